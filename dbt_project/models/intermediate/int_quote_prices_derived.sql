{{ config(materialized="incremental") }}
-- depends_on: {{ ref('int_days_changed') }}
with flows as (
    select * from {{ ref('stg_spot_flows') }}
    {% if is_incremental() %}where utc_date in {{ days_changed() }}{% endif %}
),

symbols as (select * from {{ ref('stg_spot_symbols') }}),

classes as (select * from {{ ref('int_assets_classified') }}),

traded as (
    select
        flows.exchange,
        flows.utc_date,
        symbols.base_asset,
        symbols.quote_asset,
        sum(flows.volume_base) as volume_base,
        sum(flows.volume_quote) as volume_quote
    from flows
    inner join symbols on flows.exchange = symbols.exchange and flows.symbol = symbols.symbol
    where
        symbols.base_asset in ('USDT', 'BTC')
        or (symbols.quote_asset = 'USDT' and symbols.base_asset in (select listed.quote_asset from symbols as listed))
    group by flows.exchange, flows.utc_date, symbols.base_asset, symbols.quote_asset
),

-- A day's volume-weighted price: X/USDT as it is, USDT/X turned round.
pairs as (
    select
        exchange,
        base_asset as asset,
        utc_date,
        cast(volume_quote as double) / cast(volume_base as double) as price_usd,
        volume_quote as depth_usd,
        'direct' as conversion_method,
        1 as preference
    from traded
    where quote_asset = 'USDT' and volume_base > 0 and volume_quote > 0
    union all
    select
        exchange,
        quote_asset as asset,
        utc_date,
        cast(volume_base as double) / cast(volume_quote as double) as price_usd,
        volume_base as depth_usd,
        'inverse' as conversion_method,
        2 as preference
    from traded
    where base_asset = 'USDT' and volume_base > 0 and volume_quote > 0
),

own as (
    select *
    from pairs
    qualify row_number() over (partition by exchange, asset, utc_date order by preference) = 1
),

deepest as (
    select *
    from own
    qualify row_number() over (partition by asset, utc_date order by depth_usd desc, exchange asc) = 1
),

bitcoin as (
    select
        exchange,
        quote_asset as asset,
        utc_date,
        cast(volume_quote as double) / cast(volume_base as double) as price_quote
    from traded
    where base_asset = 'BTC' and volume_base > 0 and volume_quote > 0
),

wanted as (
    select distinct
        flows.exchange,
        symbols.quote_asset,
        flows.utc_date
    from flows
    inner join symbols on flows.exchange = symbols.exchange and flows.symbol = symbols.symbol
),

candidates as (
    select
        wanted.exchange,
        wanted.quote_asset,
        wanted.utc_date,
        own.price_usd as own_price_usd,
        own.conversion_method as own_method,
        deepest.price_usd as deepest_price_usd,
        case when classes.is_usd_pegged then 1.0 end as pegged_price_usd,
        case
            when classes.asset_class = 'fiat'
                then coalesce(own_bitcoin.price_usd, deepest_bitcoin.price_usd) / bitcoin.price_quote
        end as through_btc_price_usd
    from wanted
    inner join classes
        on
            wanted.quote_asset = classes.asset
            and wanted.utc_date >= classes.valid_from
            and wanted.utc_date < classes.valid_to
    left join own
        on wanted.exchange = own.exchange and wanted.quote_asset = own.asset and wanted.utc_date = own.utc_date
    left join deepest on wanted.quote_asset = deepest.asset and wanted.utc_date = deepest.utc_date
    left join bitcoin
        on
            wanted.exchange = bitcoin.exchange
            and wanted.quote_asset = bitcoin.asset
            and wanted.utc_date = bitcoin.utc_date
    left join own as own_bitcoin
        on
            wanted.exchange = own_bitcoin.exchange
            and wanted.utc_date = own_bitcoin.utc_date
            and own_bitcoin.asset = 'BTC'
    left join deepest as deepest_bitcoin
        on wanted.utc_date = deepest_bitcoin.utc_date and deepest_bitcoin.asset = 'BTC'
),

chosen as (
    select
        exchange,
        quote_asset,
        utc_date,
        case
            when quote_asset = 'USDT' then 'usdt'
            when own_price_usd is not null then own_method
            when deepest_price_usd is not null then 'other_exchange'
            when pegged_price_usd is not null then 'pegged'
            when through_btc_price_usd is not null then 'through_btc'
        end as conversion_method,
        case
            when quote_asset = 'USDT' then 1.0
            else coalesce(own_price_usd, deepest_price_usd, pegged_price_usd, through_btc_price_usd)
        end as quote_price_usd
    from candidates
)

select
    exchange,
    quote_asset,
    utc_date,
    quote_price_usd,
    conversion_method,
    coalesce(conversion_method in ('pegged', 'through_btc'), true) as is_usd_flagged
from chosen
