select
    exchange,
    symbol,
    utc_date,
    open_interest_base,
    open_interest_quote,
    last_row_at,
    mean_top_account_long_short_ratio,
    mean_top_position_long_short_ratio,
    mean_account_long_short_ratio,
    mean_taker_buy_sell_ratio,
    row_count,
    body_sha256
from {{ source('raw', 'perpetual_metrics') }}
