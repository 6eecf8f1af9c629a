select
    exchange,
    symbol,
    utc_date,
    sampled_count,
    {% for digit in range(1, 10) -%}
        digit_{{ digit }}_count,
    {% endfor -%}
    round_count,
    twin_count,
    crossed_twin_count,
    body_sha256
from {{ source('raw', 'spot_trade_screens') }}
