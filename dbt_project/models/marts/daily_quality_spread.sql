with tenths as (select * from {{ ref('int_altcoin_days_summed') }}),

days as (select * from {{ ref('int_days_listed') }}),

windows as (
    select
        days.utc_date,
        tenths.ranked_count,
        tenths.big_return_ratio,
        tenths.small_return_ratio,
        tenths.big_net_taker_usd,
        tenths.big_volume_usd,
        tenths.small_net_taker_usd,
        tenths.small_volume_usd,
        count(tenths.big_return_ratio - tenths.small_return_ratio) over days_90 as spread_count,
        avg(tenths.big_return_ratio - tenths.small_return_ratio) over days_90 as mean_return_spread,
        cast(sum(tenths.big_net_taker_usd) over days_90 as double)
        / nullif(cast(sum(tenths.big_volume_usd) over days_90 as double), 0) as big_imbalance_90d_ratio,
        cast(sum(tenths.small_net_taker_usd) over days_90 as double)
        / nullif(cast(sum(tenths.small_volume_usd) over days_90 as double), 0) as small_imbalance_90d_ratio
    from days
    left join tenths on days.utc_date = tenths.utc_date
    window days_90 as (order by days.utc_date range between interval 89 days preceding and current row)
),

imbalances as (
    select
        *,
        cast(big_net_taker_usd as double) / nullif(cast(big_volume_usd as double), 0) as big_imbalance_ratio,
        cast(small_net_taker_usd as double) / nullif(cast(small_volume_usd as double), 0) as small_imbalance_ratio
    from windows
)

select
    utc_date,
    big_return_ratio,
    small_return_ratio,
    big_return_ratio - small_return_ratio as return_spread_ratio,
    big_imbalance_ratio,
    small_imbalance_ratio,
    big_imbalance_ratio - small_imbalance_ratio as imbalance_spread_ratio,
    big_net_taker_usd,
    small_net_taker_usd,
    case when spread_count >= 60 then mean_return_spread end as rolling_90d_return_spread_ratio,
    case when spread_count >= 60 then big_imbalance_90d_ratio - small_imbalance_90d_ratio end
        as rolling_90d_imbalance_spread_ratio,
    ranked_count as altcoin_count
from imbalances
