-- Looks only: the medians of a day are taken band by band.
select
    exchange,
    symbol,
    snapshot_at
from {{ ref('daily_order_book_depth') }}
where
    depth_kind = 'look'
    and (
        bid_within_1_percent_quote > bid_within_2_percent_quote
        or bid_within_2_percent_quote > bid_within_5_percent_quote
        or ask_within_1_percent_quote > ask_within_2_percent_quote
        or ask_within_2_percent_quote > ask_within_5_percent_quote
    )
