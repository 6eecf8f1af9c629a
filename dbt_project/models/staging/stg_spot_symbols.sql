select
    exchange,
    symbol,
    base_asset,
    quote_asset,
    status,
    is_trading,
    is_listed
from {{ source('raw', 'spot_symbols') }}
