with controls as (
    select
        flow_group,
        utc_date,
        net_taker_usd,
        volume_usd,
        imbalance_ratio,
        mean_log_return_ratio,
        is_covered
    from {{ ref('int_control_days_summed') }}
    where quotes = 'all' and flow_group in ('ALT', 'BTC', 'ETH')
),

last_valid as (
    select max(utc_date) as last_date
    from {{ ref('int_flow_windows_summed') }}
    where definition_id = 'rolling_365d.ex_btc_eth.all.all' and is_window_valid
),

-- Days before the last valid one that are not covered: the stretch begins after the last of them.
last_gap as (
    select
        max(controls.utc_date) filter (where not controls.is_covered) as utc_date
    from controls
    cross join last_valid
    where controls.flow_group = 'ALT' and controls.utc_date <= last_valid.last_date
)

select
    controls.flow_group,
    controls.utc_date,
    controls.net_taker_usd,
    controls.volume_usd,
    controls.imbalance_ratio,
    controls.mean_log_return_ratio
from controls
cross join last_valid
cross join last_gap
where
    controls.utc_date <= last_valid.last_date
    and controls.utc_date > coalesce(last_gap.utc_date, date '1900-01-01')
