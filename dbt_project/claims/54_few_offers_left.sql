-- sentence: After the exhaustion of sellers few offers are left.
-- unit: ratio
-- rule: value is what is offered within 1 % of the price on the newest day of looks at spot books of altcoins, over the
--   median of the days before, median of all books. Supported below 0.8 where the bids fell less, contradicted from 1
--   on, else partly; no data with fewer than 30 earlier days. Forward only, for nobody gives away the history of spot
--   books, and orders may be withdrawn. Control: the same of Bitcoin's books.
with looks as (
    select
        exchange,
        symbol,
        utc_date,
        base_asset = 'BTC' as is_bitcoin,
        avg(cast(ask_within_1_percent_quote as double)) as ask_quote,
        avg(cast(bid_within_1_percent_quote as double)) as bid_quote
    from daily_order_book_depth
    where market = 'spot' and depth_kind = 'look' and coalesce(base_asset, 'none') != 'ETH'
    group by exchange, symbol, utc_date, is_bitcoin
),

newest as (
    select max(utc_date) as utc_date from looks
),

books as (
    select
        looks.exchange,
        looks.symbol,
        looks.is_bitcoin,
        max(looks.ask_quote) filter (where looks.utc_date = newest.utc_date)
        / nullif(median(looks.ask_quote) filter (where looks.utc_date < newest.utc_date), 0) as ask_ratio,
        max(looks.bid_quote) filter (where looks.utc_date = newest.utc_date)
        / nullif(median(looks.bid_quote) filter (where looks.utc_date < newest.utc_date), 0) as bid_ratio,
        count(looks.ask_quote) filter (where looks.utc_date < newest.utc_date) as earlier_days
    from looks
    cross join newest
    group by looks.exchange, looks.symbol, looks.is_bitcoin
),

compared as (
    select
        median(ask_ratio) filter (where not is_bitcoin) as ask_ratio,
        median(bid_ratio) filter (where not is_bitcoin) as bid_ratio,
        median(ask_ratio) filter (where is_bitcoin) as btc_ask_ratio,
        count(ask_ratio) filter (where not is_bitcoin) as book_count,
        max(earlier_days) as earlier_days
    from books
),

judged as (
    select
        *,
        coalesce(earlier_days >= 30 and book_count > 0, false) as is_known
    from compared
)

select
    newest.utc_date,
    case when judged.is_known then judged.ask_ratio end as value,
    case when judged.is_known then judged.btc_ask_ratio end as control_value,
    cast(null as double) as p_value,
    case
        when not judged.is_known then 'no data'
        when judged.ask_ratio >= 1 then 'contradicted'
        when judged.ask_ratio < 0.8 and judged.ask_ratio < judged.bid_ratio then 'supported'
        else 'partly'
    end as verdict,
    case
        when not judged.is_known
            then format(
                '{} earlier days of looks at spot books, 30 are needed', coalesce(judged.earlier_days, 0)
            )
        else concat_ws(
            '; ',
            format(
                'asks {:.2f} and bids {:.2f} of their usual depth in {} books of altcoins, {} earlier days',
                judged.ask_ratio, judged.bid_ratio, judged.book_count, judged.earlier_days
            ),
            format('asks of Bitcoin {:.2f}', judged.btc_ask_ratio)
        )
    end as evidence
from newest
cross join judged
