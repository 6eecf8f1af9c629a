select
    exchange,
    symbol,
    utc_date,
    bid_within_1_percent_quote,
    ask_within_1_percent_quote,
    bid_within_2_percent_quote,
    ask_within_2_percent_quote,
    bid_within_5_percent_quote,
    ask_within_5_percent_quote,
    snapshot_count,
    body_sha256
from {{ source('raw', 'perpetual_depth') }}
