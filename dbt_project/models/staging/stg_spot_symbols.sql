select
    exchange,
    symbol,
    base_asset,
    quote_asset,
    status,
    is_trading,
    is_listed,
    body_sha256
from {{ source('raw', 'spot_symbols') }}
