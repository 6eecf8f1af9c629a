select
    exchange,
    symbol,
    utc_date,
    open_interest_base,
    open_interest_quote,
    body_sha256
from {{ source('raw', 'open_interest') }}
