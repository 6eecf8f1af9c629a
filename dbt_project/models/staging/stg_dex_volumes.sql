select
    chain,
    utc_date,
    volume_usd,
    body_sha256
from {{ source('raw', 'dex_volumes') }}
