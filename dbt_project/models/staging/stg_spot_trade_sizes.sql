select
    exchange,
    symbol,
    utc_date,
    below_1k_count,
    below_1k_volume_quote,
    below_1k_taker_buy_quote,
    from_1k_count,
    from_1k_volume_quote,
    from_1k_taker_buy_quote,
    from_10k_count,
    from_10k_volume_quote,
    from_10k_taker_buy_quote,
    from_100k_count,
    from_100k_volume_quote,
    from_100k_taker_buy_quote,
    body_sha256
from {{ source('raw', 'spot_trade_sizes') }}
