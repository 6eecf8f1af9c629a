select
    exchange,
    asset,
    utc_date,
    taker_buy_base,
    taker_sell_base,
    body_sha256
from {{ source('raw', 'taker_estimates') }}
