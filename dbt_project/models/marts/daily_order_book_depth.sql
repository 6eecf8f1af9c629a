with looks as (
    select
        books.exchange,
        books.symbol,
        'spot' as market,
        'look' as depth_kind,
        books.utc_date,
        books.snapshot_at,
        -- Looks are at pairs against USDT, also of exchanges whose listing is not followed.
        coalesce(symbols.base_asset, nullif(regexp_extract(books.symbol, '^(.+?)-?USDT$', 1), '')) as base_asset,
        books.mid_price,
        books.bid_within_1_percent_quote,
        books.ask_within_1_percent_quote,
        books.bid_within_2_percent_quote,
        books.ask_within_2_percent_quote,
        books.bid_within_5_percent_quote,
        books.ask_within_5_percent_quote,
        1 as snapshot_count,
        books.body_sha256
    from {{ ref('stg_order_books') }} as books
    left join {{ ref('stg_spot_symbols') }} as symbols
        on books.exchange = symbols.exchange and books.symbol = symbols.symbol
),

medians as (
    select
        depths.exchange,
        depths.symbol,
        'perpetual' as market,
        'daily_median' as depth_kind,
        depths.utc_date,
        cast(null as timestamp) as snapshot_at,
        symbols.base_asset,
        cast(null as double) as mid_price,
        depths.bid_within_1_percent_quote,
        depths.ask_within_1_percent_quote,
        depths.bid_within_2_percent_quote,
        depths.ask_within_2_percent_quote,
        depths.bid_within_5_percent_quote,
        depths.ask_within_5_percent_quote,
        depths.snapshot_count,
        depths.body_sha256
    from {{ ref('stg_perpetual_depth') }} as depths
    left join {{ ref('stg_perpetual_symbols') }} as symbols
        on depths.exchange = symbols.exchange and depths.symbol = symbols.symbol
),

depths as (
    select * from looks
    union all by name
    select * from medians
)

select
    exchange,
    symbol,
    market,
    depth_kind,
    utc_date,
    snapshot_at,
    base_asset,
    mid_price,
    bid_within_1_percent_quote,
    ask_within_1_percent_quote,
    bid_within_2_percent_quote,
    ask_within_2_percent_quote,
    bid_within_5_percent_quote,
    ask_within_5_percent_quote,
    {%- for percent in (1, 2, 5) %}
        cast(bid_within_{{ percent }}_percent_quote - ask_within_{{ percent }}_percent_quote as double)
        / nullif(
            cast(bid_within_{{ percent }}_percent_quote as double)
            + cast(ask_within_{{ percent }}_percent_quote as double), 0
        ) as imbalance_within_{{ percent }}_percent_ratio,
    {%- endfor %}
    cast(snapshot_count as bigint) as snapshot_count,
    body_sha256
from depths
