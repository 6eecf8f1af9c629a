{{ config(materialized="incremental") }}
-- depends_on: {{ ref('int_days_changed') }}
with flows as (
    select
        *,
        close_price * quote_price_usd as close_price_usd,
        -- Equal volumes are told apart by their names, in a number: pairs of values are slow to compare.
        cast(volume_usd * 100000000 as hugeint) * 4096 + cast(hash(symbol) % 4096 as hugeint) as depth
    from {{ ref('int_spot_flows_converted') }}
    where
        flow_group in ('ALT', 'BTC', 'ETH')
        and is_usd_pegged_quote
        and volume_usd > 0
        and close_price_usd > 0
        {% if is_incremental() %}and utc_date in {{ days_changed() }}{% endif %}
),

-- Most assets of most days are traded on one exchange: looked for first, they cost no prices.
on_several as (
    select
        base_asset,
        utc_date
    from flows
    group by base_asset, utc_date
    having min(exchange) != max(exchange)
),

-- Of an asset's pairs on an exchange the deepest one tells the price.
assets as (
    select
        flows.exchange,
        flows.base_asset,
        flows.utc_date,
        sum(flows.volume_usd) as volume_usd,
        arg_max(flows.close_price_usd, flows.depth) as close_price_usd
    from flows
    semi join on_several on flows.base_asset = on_several.base_asset and flows.utc_date = on_several.utc_date
    group by flows.exchange, flows.base_asset, flows.utc_date
),

common as (
    select
        base_asset,
        utc_date,
        sum(volume_usd) as volume_usd,
        median(close_price_usd) as close_price_usd
    from assets
    group by base_asset, utc_date
)

select
    assets.exchange,
    assets.utc_date,
    count(*) as common_asset_count,
    median(abs(assets.close_price_usd - common.close_price_usd) / common.close_price_usd) as median_deviation_ratio,
    sum(assets.volume_usd) as volume_usd,
    sum(common.volume_usd - assets.volume_usd) as others_volume_usd
from assets
inner join common on assets.base_asset = common.base_asset and assets.utc_date = common.utc_date
group by assets.exchange, assets.utc_date
