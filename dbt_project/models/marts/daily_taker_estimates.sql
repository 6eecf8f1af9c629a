{{ config(materialized="view") }}

-- A view: a few rows of a few days, none at all where no exchange with estimates is followed.
with estimates as (select * from {{ ref('int_taker_estimates_kept') }}),

assets as (select * from {{ ref('daily_asset_flows') }}),

priced as (
    select
        estimates.*,
        assets.close_price_usd as price_usd
    from estimates
    left join assets on estimates.asset = assets.base_asset and estimates.utc_date = assets.utc_date
),

converted as (
    select
        *,
        cast(cast(taker_buy_base as double) * price_usd as decimal(38, 8)) as taker_buy_usd,
        cast(cast(taker_buy_base + taker_sell_base as double) * price_usd as decimal(38, 8)) as volume_usd
    from priced
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
