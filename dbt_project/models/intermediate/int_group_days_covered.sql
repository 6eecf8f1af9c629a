with controls as (
    select
        flow_group,
        utc_date,
        net_taker_usd,
        volume_usd,
        imbalance_ratio,
        coverage_ratio
    from {{ ref('daily_control_flow') }}
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
        max(controls.utc_date) filter (where controls.coverage_ratio is null or controls.coverage_ratio < 0.5)
            as utc_date
    from controls
    cross join last_valid
    where controls.flow_group = 'ALT' and controls.utc_date <= last_valid.last_date
),

-- Equal weights: one coin, one vote.
returns as (
    select
        flow_group,
        utc_date,
        avg(ln(1 + return_ratio) order by base_asset) as mean_log_return_ratio,
        count(return_ratio) as return_count
    from {{ ref('int_asset_days_priced') }}
    where flow_group in ('ALT', 'BTC', 'ETH') and return_ratio > -1
    group by flow_group, utc_date
)

select
    controls.flow_group,
    controls.utc_date,
    controls.net_taker_usd,
    controls.volume_usd,
    controls.imbalance_ratio,
    returns.mean_log_return_ratio,
    returns.return_count
from controls
cross join last_valid
cross join last_gap
left join returns on controls.flow_group = returns.flow_group and controls.utc_date = returns.utc_date
where
    controls.utc_date <= last_valid.last_date
    and controls.utc_date > coalesce(last_gap.utc_date, date '1900-01-01')
