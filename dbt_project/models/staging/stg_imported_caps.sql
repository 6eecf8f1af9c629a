select
    asset,
    utc_date,
    cap_usd,
    coin_count,
    body_sha256
from {{ source('raw', 'imported_caps') }}
