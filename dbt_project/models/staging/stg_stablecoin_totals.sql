select
    peg_type,
    utc_date,
    circulating_peg,
    circulating_usd,
    body_sha256,
    load_id
from {{ source('raw', 'stablecoin_totals') }}
