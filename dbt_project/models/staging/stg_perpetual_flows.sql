select
    exchange,
    symbol,
    utc_date,
    open_price,
    high_price,
    low_price,
    close_price,
    volume_base,
    volume_quote,
    taker_buy_base,
    taker_buy_quote,
    trade_count,
    source_kind,
    body_sha256
from {{ source('raw', 'perpetual_flows') }}
