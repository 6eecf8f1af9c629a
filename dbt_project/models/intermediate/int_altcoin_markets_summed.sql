with altcoins as (select * from {{ ref('int_altcoin_days_windowed') }}),

controls as (
    select *
    from {{ ref('int_control_days_summed') }}
    where quotes = 'all'
),

bitcoin as (
    select
        utc_date,
        return_ratio
    from {{ ref('int_asset_days_priced') }}
    where base_asset = 'BTC'
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
)

select
    controls.utc_date,
    controls.net_taker_usd,
    controls.volume_usd,
    controls.imbalance_ratio,
    controls.rolling_365d_net_taker_usd,
    controls.is_covered,
    breadths.* exclude (utc_date),
    bitcoin_flows.net_taker_usd as bitcoin_net_taker_usd,
    bitcoin.return_ratio as bitcoin_return_ratio
from controls
inner join controls as bitcoin_flows
    on controls.utc_date = bitcoin_flows.utc_date and bitcoin_flows.flow_group = 'BTC'
left join breadths on controls.utc_date = breadths.utc_date
left join bitcoin on controls.utc_date = bitcoin.utc_date
where controls.flow_group = 'ALT'
