{{ config(materialized="view") }}

-- A view: a few rows of a few days, none at all where no exchange with estimates is followed.
with estimates as (select * from {{ ref('int_taker_estimates_kept') }}),

prices as (
    select prices.*
    from {{ ref('int_asset_prices_chosen') }} as prices
    semi join estimates on prices.asset = estimates.asset and prices.utc_date = estimates.utc_date
),

converted as (
    select
        estimates.*,
        prices.price_usd,
        cast(cast(estimates.taker_buy_base as double) * prices.price_usd as decimal(38, 8)) as taker_buy_usd,
        cast(
            cast(estimates.taker_buy_base + estimates.taker_sell_base as double) * prices.price_usd as decimal(38, 8)
        ) as volume_usd
    from estimates
    left join prices on estimates.asset = prices.asset and estimates.utc_date = prices.utc_date
)

select
    exchange,
    asset as base_asset,
    utc_date,
    taker_buy_base,
    taker_sell_base,
    price_usd,
    volume_usd,
    taker_buy_usd,
    volume_usd - taker_buy_usd as taker_sell_usd,
    2 * taker_buy_usd - volume_usd as net_taker_usd,
    true as is_estimate,
    body_sha256
from converted
