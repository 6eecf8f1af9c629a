{{ config(materialized="incremental", meta={"reach_days": 31}) }}
-- depends_on: {{ ref('int_days_changed') }}
-- Looks back a month: trading pauses while a coin changes its unit.
with flows as (
    select * from {{ ref('stg_spot_flows') }}
    {% if is_incremental() %}where utc_date in {{ days_changed(31, days_before=31) }}{% endif %}
),

symbols as (select * from {{ ref('stg_spot_symbols') }}),

eras as (
    select
        asset,
        utc_date
    from {{ ref('asset_renames_and_eras') }}
    where kind in ('redenomination', 'reused_ticker')
),

bars as (
    select
        *,
        lag(utc_date) over in_order as date_before,
        lag(close_price) over in_order as close_price_before,
        lag(volume_quote) over in_order as volume_before,
        lag(taker_buy_quote) over in_order as taker_buy_before,
        lag(trade_count) over in_order as trade_count_before,
        lag(source_kind) over in_order as source_kind_before
    from flows
    window in_order as (partition by exchange, symbol order by utc_date)
),

breaks as (
    select
        exchange,
        symbol,
        utc_date,
        date_before,
        open_price / close_price_before as price_ratio,
        case
            when abs(ln(open_price / close_price_before)) > ln(3) and date_before >= utc_date - 31
                then 'unit'
            when
                date_before = utc_date - 1
                and volume_quote > 0
                -- A few trades of round sizes may well come twice.
                and coalesce(trade_count, 10) >= 10
                and volume_quote = volume_before
                and (taker_buy_quote is not distinct from taker_buy_before)
                and (trade_count is not distinct from trade_count_before)
                then 'repeated'
            when source_kind_before = 'archive' and day(utc_date) = 1 and date_before < utc_date - 1
                then 'cut month'
        end as kind
    from bars
    where open_price > 0 and close_price_before > 0
)

select
    breaks.exchange,
    breaks.symbol,
    breaks.utc_date,
    breaks.kind,
    breaks.date_before,
    breaks.price_ratio,
    symbols.base_asset
from breaks
left join symbols on breaks.exchange = symbols.exchange and breaks.symbol = symbols.symbol
where
    breaks.kind is not null
    {%- if is_incremental() %} and breaks.utc_date in {{ days_changed(31) }}{% endif %}
    -- The seed has named the others.
    and (
        breaks.kind != 'unit'
        or not exists (
            from eras
            where
                eras.asset = symbols.base_asset
                and eras.utc_date > breaks.date_before
                and eras.utc_date <= breaks.utc_date
        )
    )
