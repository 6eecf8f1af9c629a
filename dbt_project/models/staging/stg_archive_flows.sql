select
    exchange,
    symbol,
    utc_date,
    file_grain,
    open_price_text,
    high_price_text,
    low_price_text,
    close_price_text,
    volume_base,
    volume_quote,
    taker_buy_base,
    taker_buy_quote,
    trade_count,
    body_sha256
from {{ source('raw', 'archive_flows') }}
