-- Only valid windows have a cumulative figure, and only those are ranked: against the days before, never after.
with windows as (
    select
        definition_id,
        utc_date,
        cast(date_trunc('month', utc_date) as date) as month_date,
        window_net_taker_usd as cumulative_net_taker_usd
    from {{ ref('int_flow_windows_summed') }}
    where is_window_valid and window_name like 'rolling_%' and universe != 'btc'
),

ranked as (
    select
        *,
        min(cumulative_net_taker_usd) over before as lowest_before_usd,
        count(*) over before as before_count,
        percent_rank(order by cumulative_net_taker_usd) over so_far as percent_rank_so_far
    from windows
    window
        before as (partition by definition_id order by utc_date rows between unbounded preceding and 1 preceding),
        so_far as (partition by definition_id order by utc_date rows between unbounded preceding and current row)
),

-- The last lower day is found in two steps, the month and then the day: all pairs of days would be too many.
monthly_lows as (
    select
        definition_id,
        month_date,
        min(cumulative_net_taker_usd) as lowest_usd
    from windows
    group by definition_id, month_date
),

months_to_search as (
    select
        definition_id,
        utc_date,
        cumulative_net_taker_usd,
        month_date
    from windows
    union all
    select
        windows.definition_id,
        windows.utc_date,
        windows.cumulative_net_taker_usd,
        max(monthly_lows.month_date) as month_date
    from windows
    inner join monthly_lows
        on
            windows.definition_id = monthly_lows.definition_id
            and windows.month_date > monthly_lows.month_date
            and windows.cumulative_net_taker_usd > monthly_lows.lowest_usd
    group by windows.definition_id, windows.utc_date, windows.cumulative_net_taker_usd
),

lower_days as (
    select
        later.definition_id,
        later.utc_date,
        max(earlier.utc_date) as utc_date_of_lower
    from months_to_search as later
    inner join windows as earlier
        on
            later.definition_id = earlier.definition_id
            and later.month_date = earlier.month_date
            and later.utc_date > earlier.utc_date
            and later.cumulative_net_taker_usd > earlier.cumulative_net_taker_usd
    group by later.definition_id, later.utc_date
)

select
    ranked.definition_id,
    ranked.utc_date,
    case when ranked.before_count > 0 then ranked.percent_rank_so_far end as percentile_rank_ratio,
    ranked.cumulative_net_taker_usd < ranked.lowest_before_usd as is_record_low,
    ranked.utc_date - lower_days.utc_date_of_lower as days_since_lower
from ranked
left join lower_days
    on ranked.definition_id = lower_days.definition_id and ranked.utc_date = lower_days.utc_date
