select
    stablecoin_id,
    symbol,
    name,
    gecko_id,
    peg_type,
    peg_mechanism,
    circulating_peg,
    price_usd,
    is_followed,
    body_sha256,
    load_id
from {{ source('raw', 'stablecoins') }}
