-- R25. A fixed panel is left out: its assets change from day to day.
with flows as (
    select
        definition_id,
        utc_date,
        coalesce(net_taker_usd, 0) as net_taker_usd,
        coalesce(window_net_taker_usd, 0) as window_net_taker_usd
    from {{ ref('daily_altcoin_flow') }}
    where window_name = 'rolling_365d' and panel = 'all'
),

differences as (
    select
        today.definition_id,
        today.utc_date,
        today.window_net_taker_usd - yesterday.window_net_taker_usd as window_change_usd,
        today.net_taker_usd - coalesce(leaving.net_taker_usd, 0) as day_change_usd
    from flows as today
    inner join flows as yesterday
        on today.definition_id = yesterday.definition_id and today.utc_date - 1 = yesterday.utc_date
    left join flows as leaving
        on today.definition_id = leaving.definition_id and today.utc_date - 365 = leaving.utc_date
)

select
    definition_id,
    count(*) as checked_count,
    count(*) filter (where window_change_usd != day_change_usd) as violation_count
from differences
group by definition_id
