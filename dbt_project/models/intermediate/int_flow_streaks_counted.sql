with windows as (select * from {{ ref('int_flow_windows_summed') }}),

-- Streaks of days, weeks and months belong to the flow, not to the window: one series is enough.
days as (
    select
        universe,
        quotes,
        trust,
        panel,
        utc_date,
        net_taker_usd,
        is_covered,
        coalesce(is_covered and net_taker_usd < 0, false) as is_negative
    from windows
    where window_name = 'rolling_365d' and universe != 'btc'
),

day_streaks as (
    select
        *,
        utc_date - coalesce(
            max(utc_date) filter (where not is_negative) over so_far,
            min(utc_date) over so_far - 1
        ) as negative_streak_days
    from days
    window so_far as (partition by universe, quotes, trust, panel order by utc_date rows unbounded preceding)
),

periods as (select unnest(['week', 'month']) as period),

period_sums as (
    select
        days.universe,
        days.quotes,
        days.trust,
        days.panel,
        periods.period,
        cast(date_trunc(periods.period, days.utc_date) as date) as start_date,
        sum(days.net_taker_usd) as net_taker_usd,
        count(*) filter (where days.is_covered) as covered_day_count
    from days
    cross join periods
    group by all
),

-- A period counts once it is closed; one with a day missing is no negative period.
closed_periods as (
    select
        *,
        cast(start_date + case period when 'week' then interval 7 days else interval 1 month end as date) as end_date,
        -- A panel without any flow in a period has no sign there: not negative, and the streak ends.
        coalesce(net_taker_usd < 0 and covered_day_count = end_date - start_date, false) as is_negative,
        row_number() over so_far as period_count
    from period_sums
    window so_far as (partition by universe, quotes, trust, panel, period order by start_date)
),

period_streaks as (
    select
        *,
        period_count - coalesce(max(period_count) filter (where not is_negative) over so_far, 0) as negative_count
    from closed_periods
    window so_far as (
        partition by universe, quotes, trust, panel, period order by start_date rows unbounded preceding
    )
)

select
    day_streaks.universe,
    day_streaks.quotes,
    day_streaks.trust,
    day_streaks.panel,
    day_streaks.utc_date,
    day_streaks.negative_streak_days,
    coalesce(weeks.negative_count, 0) as negative_week_streak_count,
    coalesce(months.negative_count, 0) as negative_month_streak_count
from day_streaks
left join period_streaks as weeks
    on
        day_streaks.universe = weeks.universe
        and day_streaks.quotes = weeks.quotes
        and day_streaks.trust = weeks.trust
        and day_streaks.panel = weeks.panel
        and weeks.period = 'week'
        and weeks.end_date = cast(date_trunc('week', day_streaks.utc_date + 1) as date)
left join period_streaks as months
    on
        day_streaks.universe = months.universe
        and day_streaks.quotes = months.quotes
        and day_streaks.trust = months.trust
        and day_streaks.panel = months.panel
        and months.period = 'month'
        and months.end_date = cast(date_trunc('month', day_streaks.utc_date + 1) as date)
