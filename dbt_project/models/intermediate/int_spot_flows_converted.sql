{{ config(materialized="incremental") }}
-- depends_on: {{ ref('int_days_changed') }}
with flows as (
    select * from {{ ref('stg_spot_flows') }}
    {% if is_incremental() %}where utc_date in {{ days_changed() }}{% endif %}
),

symbol_days as (
    select * from {{ ref('int_symbol_days_expected') }}
    {% if is_incremental() %}where utc_date in {{ days_changed() }}{% endif %}
),

quote_prices as (select * from {{ ref('int_quote_prices_derived') }}),

-- USDT amounts stay exact decimals; only a price other than 1 goes through DOUBLE. Either way one rounding.
-- Nothing is nothing in every currency.
converted as (
    select
        symbol_days.*,
        flows.close_price,
        flows.trade_count,
        flows.source_kind,
        flows.body_sha256,
        quote_prices.quote_price_usd,
        quote_prices.conversion_method,
        quote_prices.is_usd_flagged,
        case
            when quote_prices.conversion_method = 'usdt' then round(flows.volume_quote, 8)
            when flows.volume_quote = 0 then 0
            else cast(cast(flows.volume_quote as double) * quote_prices.quote_price_usd as decimal(38, 8))
        end as volume_usd,
        case
            when quote_prices.conversion_method = 'usdt' then round(flows.taker_buy_quote, 8)
            when flows.taker_buy_quote = 0 then 0
            else cast(cast(flows.taker_buy_quote as double) * quote_prices.quote_price_usd as decimal(38, 8))
        end as taker_buy_usd
    from flows
    inner join symbol_days
        on
            flows.exchange = symbol_days.exchange
            and flows.symbol = symbol_days.symbol
            and flows.utc_date = symbol_days.utc_date
    left join quote_prices -- also keeps the planner from joining all symbols with all quotes of a day
        on
            symbol_days.exchange = quote_prices.exchange
            and symbol_days.quote_asset = quote_prices.quote_asset
            and symbol_days.utc_date = quote_prices.utc_date
)

select
    *,
    volume_usd - taker_buy_usd as taker_sell_usd,
    2 * taker_buy_usd - volume_usd as net_taker_usd
from converted
-- Days lie together, so that whoever asks for some of them reads no others.
{% if not is_incremental() %}order by utc_date{% endif %}
