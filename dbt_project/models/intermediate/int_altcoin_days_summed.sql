{{ config(materialized="incremental", meta={"reach_days": 395}) }}
-- depends_on: {{ ref('int_days_changed') }}
with altcoins as (
    select * from {{ ref('int_altcoin_days_windowed') }}
    {% if is_incremental() %}where utc_date in {{ days_changed(395) }}{% endif %}
),

-- Sums of DOUBLE are taken in the order of the names, so that they are the same in every run.
breadths as (
    select
        utc_date,
        sum(taker_sell_usd) as taker_sell_usd,
        sum(return_ratio * cast(previous_volume_usd as double) order by base_asset)
        / nullif(cast(sum(previous_volume_usd) filter (where return_ratio is not null) as double), 0)
            as weighted_return_ratio,
        stddev_samp(return_ratio order by base_asset) as cross_section_return_ratio,
        count(return_ratio) as return_count,
        count(*) as altcoin_count,
        count(*) filter (where net_taker_usd < 0) / nullif(count(net_taker_usd), 0) as net_sold_share_ratio,
        count(*) filter (where net_taker_3d_usd < 0) / nullif(count(net_taker_3d_usd), 0) as net_sold_3d_share_ratio,
        count(*) filter (where net_taker_usd > 0) / nullif(count(net_taker_usd), 0) as net_bought_share_ratio,
        count(*) filter (where return_ratio < 0) / nullif(count(return_ratio), 0) as falling_share_ratio,
        count(*) filter (where imbalance_30d_ratio > lagged_365d_imbalance_ratio)
        / nullif(count(imbalance_30d_ratio - lagged_365d_imbalance_ratio), 0) as above_own_mean_share_ratio,
        count(imbalance_30d_ratio - lagged_365d_imbalance_ratio) as own_mean_count,
        count(*) filter (where is_at_90d_low) / nullif(count(is_at_90d_low), 0) as at_90d_low_share_ratio,
        count(is_at_90d_low) as low_count
    from altcoins
    group by utc_date
),

-- Decile 10 traded most in the 30 days before. A name decides between equal volumes.
ranked as (
    select
        *,
        ntile(10) over (partition by utc_date order by volume_30d_before_usd, base_asset) as decile,
        count(*) over (partition by utc_date) as ranked_count
    from altcoins
    where volume_30d_before_usd is not null
),

tenths as (
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
    where ranked_count >= 50 and decile in (1, 10)
    group by utc_date
)

select
    breadths.*,
    tenths.* exclude (utc_date)
from breadths
left join tenths on breadths.utc_date = tenths.utc_date
