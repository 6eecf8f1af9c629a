select
    coin_id,
    symbol,
    name,
    utc_date,
    rank_count,
    price_usd,
    cap_usd,
    circulating_supply_base,
    body_sha256,
    load_id
from {{ source('raw', 'coin_snapshots') }}
