{#- Column → how often it counts in the net flow, which is twice what takers bought less the volume. -#}
{%- set columns = {
    'open_price': 0,
    'high_price': 0,
    'low_price': 0,
    'close_price': 0,
    'volume_base': 0,
    'volume_quote': -1,
    'taker_buy_base': 0,
    'taker_buy_quote': 2,
    'trade_count': 0,
} -%}
-- R2: what the API said and what the files say of the same day.
with days as (select * from {{ ref('int_archive_days_compared') }}),

symbols as (select * from {{ ref('stg_spot_symbols') }}),

cells as (
    select
        exchange,
        symbol,
        utc_date,
        file_grain,
        klines_body_sha256,
        archive_body_sha256,
        unnest([
            {% for column, times in columns.items() -%}
                {
                    'column_name': '{{ column }}',
                    'klines_text': cast(klines_{{ column }} as varchar),
                    'archive_text': cast(archive_{{ column }} as varchar),
                    'net_taker_quote': {{ times }} * (
                        {{ 'coalesce(archive_' ~ column ~ ', 0) - coalesce(klines_' ~ column ~ ', 0)' if times else 0 }}
                    )
                }{{ ',' if not loop.last }}
            {% endfor -%}
        ], recursive := true)
    from days
),

differences as (
    select
        *,
        {{ without_last_zeros('klines_text') }} as klines_value,
        {{ without_last_zeros('archive_text') }} as archive_value
    from cells
    where klines_text is distinct from archive_text
),

quote_prices as (
    select distinct
        flows.exchange,
        flows.quote_asset,
        flows.utc_date,
        flows.quote_price_usd,
        flows.conversion_method
    from {{ ref('int_spot_flows_converted') }} as flows
    semi join differences on flows.exchange = differences.exchange and flows.utc_date = differences.utc_date
)

select
    differences.exchange,
    differences.symbol,
    differences.utc_date,
    differences.file_grain,
    differences.column_name,
    differences.klines_value,
    differences.archive_value,
    'klines' as chosen,
    case
        when differences.net_taker_quote = 0 then 0
        when quote_prices.conversion_method = 'usdt' then round(differences.net_taker_quote, 8)
        else cast(cast(differences.net_taker_quote as double) * quote_prices.quote_price_usd as decimal(38, 8))
    end as impact_usd,
    differences.klines_body_sha256,
    differences.archive_body_sha256
from differences
left join symbols on differences.exchange = symbols.exchange and differences.symbol = symbols.symbol
left join quote_prices
    on
        differences.exchange = quote_prices.exchange
        and symbols.quote_asset = quote_prices.quote_asset
        and differences.utc_date = quote_prices.utc_date
where differences.klines_value is distinct from differences.archive_value
