select
    exchange,
    symbol,
    utc_date,
    snapshot_at,
    mid_price,
    bid_within_1_percent_quote,
    ask_within_1_percent_quote,
    bid_within_2_percent_quote,
    ask_within_2_percent_quote,
    bid_within_5_percent_quote,
    ask_within_5_percent_quote,
    bid_level_count,
    ask_level_count,
    body_sha256
from {{ source('raw', 'order_books') }}
