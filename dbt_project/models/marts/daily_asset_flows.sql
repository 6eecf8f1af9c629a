{{ config(materialized="incremental", meta={"reach_days": 1}) }}
-- depends_on: {{ ref('int_days_changed') }}
with flows as (
    select * from {{ ref('int_spot_flows_converted') }}
    {% if is_incremental() %}where utc_date in {{ days_changed(1) }}{% endif %}
),

prices as (
    select * from {{ ref('int_asset_days_priced') }}
    {% if is_incremental() %}where utc_date in {{ days_changed(1) }}{% endif %}
),

-- A pair that cannot be converted, or whose exchange does not report the taker's side, is counted nowhere.
exchange_days as (
    select
        base_asset,
        utc_date,
        exchange,
        asset_class,
        flow_group,
        sum(volume_usd) as volume_usd,
        sum(taker_buy_usd) as taker_buy_usd,
        sum(trade_count) as trade_count,
        count(*) as symbol_count,
        bool_or(is_usd_flagged) as is_usd_flagged
    from flows
    where net_taker_usd is not null
    group by base_asset, utc_date, exchange, asset_class, flow_group
),

asset_days as (
    select
        base_asset,
        utc_date,
        asset_class,
        flow_group,
        sum(volume_usd) as volume_usd,
        sum(taker_buy_usd) as taker_buy_usd,
        2 * sum(taker_buy_usd) - sum(volume_usd) as net_taker_usd,
        cast(sum(trade_count) as bigint) as trade_count,
        cast(sum(symbol_count) as bigint) as symbol_count,
        count(*) as exchange_count,
        bool_or(is_usd_flagged) as is_usd_flagged
    from exchange_days
    group by base_asset, utc_date, asset_class, flow_group
),

totals as (
    select
        utc_date,
        sum(volume_usd) as volume_usd
    from asset_days
    group by utc_date
)

select
    asset_days.base_asset,
    asset_days.utc_date,
    asset_days.asset_class,
    asset_days.flow_group,
    prices.close_price_usd,
    prices.return_ratio,
    asset_days.volume_usd,
    asset_days.taker_buy_usd,
    asset_days.volume_usd - asset_days.taker_buy_usd as taker_sell_usd,
    asset_days.net_taker_usd,
    cast(asset_days.net_taker_usd as double) / nullif(cast(asset_days.volume_usd as double), 0) as imbalance_ratio,
    cast(asset_days.volume_usd as double) / nullif(cast(totals.volume_usd as double), 0) as volume_share_ratio,
    asset_days.trade_count,
    asset_days.symbol_count,
    asset_days.exchange_count,
    asset_days.is_usd_flagged
from asset_days
inner join totals on asset_days.utc_date = totals.utc_date
left join prices on asset_days.base_asset = prices.base_asset and asset_days.utc_date = prices.utc_date
