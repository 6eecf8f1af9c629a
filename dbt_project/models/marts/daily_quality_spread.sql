with altcoins as (select * from {{ ref('int_altcoin_days_windowed') }}),

days as (select * from {{ ref('int_days_listed') }}),

-- Decile 10 traded most in the 30 days before. A name decides between equal volumes.
ranked as (
    select
        *,
        ntile(10) over (partition by utc_date order by volume_30d_before_usd, base_asset) as decile,
        count(*) over (partition by utc_date) as ranked_count
    from altcoins
    where volume_30d_before_usd is not null
),

spreads as (
    select
        utc_date,
        any_value(ranked_count) as ranked_count,
        avg(return_ratio order by base_asset) filter (where decile = 10) as big_return_ratio,
        avg(return_ratio order by base_asset) filter (where decile = 1) as small_return_ratio,
        sum(net_taker_usd) filter (where decile = 10) as big_net_taker_usd,
        sum(volume_usd) filter (where decile = 10) as big_volume_usd,
        sum(net_taker_usd) filter (where decile = 1) as small_net_taker_usd,
        sum(volume_usd) filter (where decile = 1) as small_volume_usd
    from ranked
    where ranked_count >= 50
    group by utc_date
),

windows as (
    select
        days.utc_date,
        spreads.* exclude (utc_date),
        count(spreads.big_return_ratio - spreads.small_return_ratio) over days_90 as spread_count,
        avg(spreads.big_return_ratio - spreads.small_return_ratio) over days_90 as mean_return_spread,
        cast(sum(spreads.big_net_taker_usd) over days_90 as double)
        / nullif(cast(sum(spreads.big_volume_usd) over days_90 as double), 0) as big_imbalance_90d_ratio,
        cast(sum(spreads.small_net_taker_usd) over days_90 as double)
        / nullif(cast(sum(spreads.small_volume_usd) over days_90 as double), 0) as small_imbalance_90d_ratio
    from days
    left join spreads on days.utc_date = spreads.utc_date
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
