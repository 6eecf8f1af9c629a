with days as (select * from {{ ref('int_control_days_summed') }}),

estimates as (select * from {{ ref('int_control_statistics_estimated') }})

select
    days.flow_group,
    days.quotes,
    days.utc_date,
    days.net_taker_usd,
    days.volume_usd,
    days.imbalance_ratio,
    days.rolling_365d_net_taker_usd,
    days.rolling_365d_volume_usd,
    days.rolling_365d_imbalance_ratio,
    days.excess_imbalance_ratio,
    days.return_90d_ratio,
    days.return_gap_90d_ratio,
    days.symbol_count,
    days.coverage_ratio,
    days.rolling_365d_coverage_ratio,
    estimates.mean_excess as mean_excess_imbalance_ratio,
    estimates.mean_excess_t as mean_excess_t_ratio,
    estimates.same_day_r_squared as same_day_r_squared_ratio,
    estimates.next_day_r_squared as next_day_r_squared_ratio,
    estimates.day_count as covered_day_count
from days
left join estimates
    on
        days.flow_group = estimates.flow_group
        and days.quotes = estimates.quotes
        and days.utc_date = estimates.utc_date
