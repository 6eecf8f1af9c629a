{{ config(materialized="view") }}
{%- set values = ['volume_base', 'volume_quote', 'taker_buy_base', 'taker_buy_quote', 'trade_count', 'body_sha256'] %}

-- A view: some hundred rows are read for every day that a run adds.
with archive as (select * from {{ ref('stg_archive_flows') }}),

flows as (select * from {{ ref('stg_spot_flows') }}),

-- What was answered is a symbol's month, by one kind of file: a day in it without a row is there to be compared too.
days as (
    select
        upstream as exchange,
        split_part(scope, ' ', 1) as symbol,
        split_part(scope, ' ', 2) as file_grain,
        cast(unnest(generate_series(start_date, end_date - 1, interval 1 day)) as date) as utc_date
    from {{ ref('stg_asked') }}
    where dataset = 'archive_flows'
)

select
    days.exchange,
    days.symbol,
    days.utc_date,
    days.file_grain,
    {% for price in ['open_price', 'high_price', 'low_price', 'close_price'] -%}
        flows.{{ price }}_text as klines_{{ price }},
        archive.{{ price }}_text as archive_{{ price }},
    {% endfor -%}
    {% for value in values -%}
        flows.{{ value }} as klines_{{ value }},
        archive.{{ value }} as archive_{{ value }},
    {% endfor -%}
    flows.symbol is not null as is_in_klines,
    archive.symbol is not null as is_in_archive
from days
left join flows
    on
        days.exchange = flows.exchange
        and days.symbol = flows.symbol
        and days.utc_date = flows.utc_date
left join archive
    on
        days.exchange = archive.exchange
        and days.symbol = archive.symbol
        and days.utc_date = archive.utc_date
        and days.file_grain = archive.file_grain
where
    (flows.symbol is not null or archive.symbol is not null)
    -- The archive is no witness of days that were read from itself.
    and coalesce(flows.source_kind = 'klines', true)
