select
    exchange,
    symbol,
    base_asset,
    quote_asset,
    status,
    is_trading,
    is_listed,
    contract_type,
    body_sha256
from {{ source('raw', 'perpetual_symbols') }}
