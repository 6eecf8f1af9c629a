-- R4, on what was stored: a row that breaks it at the door is in raw.quarantine.
select
    exchange,
    count(*) as row_count,
    count(*) filter (
        where volume_quote < 0
        or taker_buy_quote < 0
        or taker_buy_quote > volume_quote
        or (trade_count = 0) != (volume_quote = 0)
    ) as violation_count
from {{ ref('stg_spot_flows') }}
group by exchange
