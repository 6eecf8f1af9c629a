with breadths as (select * from {{ ref('int_altcoin_days_summed') }}),

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
)

select
    controls.utc_date,
    controls.net_taker_usd,
    controls.volume_usd,
    controls.imbalance_ratio,
    controls.rolling_365d_net_taker_usd,
    controls.is_covered,
    breadths.taker_sell_usd,
    breadths.weighted_return_ratio,
    breadths.cross_section_return_ratio,
    breadths.return_count,
    breadths.altcoin_count,
    breadths.net_sold_share_ratio,
    breadths.net_sold_3d_share_ratio,
    breadths.net_bought_share_ratio,
    breadths.falling_share_ratio,
    breadths.above_own_mean_share_ratio,
    breadths.own_mean_count,
    breadths.at_90d_low_share_ratio,
    breadths.low_count,
    bitcoin_flows.net_taker_usd as bitcoin_net_taker_usd,
    bitcoin.return_ratio as bitcoin_return_ratio
from controls
inner join controls as bitcoin_flows
    on controls.utc_date = bitcoin_flows.utc_date and bitcoin_flows.flow_group = 'BTC'
left join breadths on controls.utc_date = breadths.utc_date
left join bitcoin on controls.utc_date = bitcoin.utc_date
where controls.flow_group = 'ALT'
