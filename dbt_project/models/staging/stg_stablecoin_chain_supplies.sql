select
    stablecoin_id,
    chain,
    symbol,
    peg_type,
    utc_date,
    circulating_peg,
    body_sha256,
    load_id
from {{ source('raw', 'stablecoin_chain_supplies') }}
