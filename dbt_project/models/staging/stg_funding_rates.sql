select
    exchange,
    symbol,
    utc_date,
    funded_at,
    funding_ratio,
    mark_price,
    body_sha256
from {{ source('raw', 'funding_rates') }}
