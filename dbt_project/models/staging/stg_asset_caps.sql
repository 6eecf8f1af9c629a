select
    upstream,
    asset,
    utc_date,
    cap_usd,
    price_usd,
    body_sha256,
    load_id
from {{ source('raw', 'asset_caps') }}
