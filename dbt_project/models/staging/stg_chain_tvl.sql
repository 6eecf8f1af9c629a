select
    chain,
    utc_date,
    tvl_usd,
    body_sha256
from {{ source('raw', 'chain_tvl') }}
