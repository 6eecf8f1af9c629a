"""Coinbase Exchange: every trade, by its number.

https://docs.cdp.coinbase.com/api-reference/exchange-api/rest-api/products/get-product-trades
Trades of a product are numbered without gaps that matter; a page holds up to a thousand below a number, newest
first. The API goes back to the first trade; what a day costs (some 5 to 9 minutes for all products) bounds the reach.
"""

from collections.abc import Iterator
from datetime import datetime

import pyarrow as pa

from orchestration.sources.body import Body, Parsed, SourceError, Window
from orchestration.sources.exchange import Exchange, TradePages
from orchestration.sources.http import Host, Http
from orchestration.sources.trade_pages import (
    ID,
    TIME,
    Symbol,
    Trade,
    ask,
    clock,
    day_us,
    iso_us,
    listing,
    server_time,
    stuck,
    symbols,
    table,
    trades,
    whole,
)
from orchestration.sources.trades import Side

# 10 requests a second are allowed, 15 in a burst.
HOST = Host("coinbase", ("api.exchange.coinbase.com",), per_minute=500, burst=2, connections=4)
PAGE = 1000
REACH_DAYS = 30
# Numbers are given in the order of matching; a time may lag behind by a moment.
LAG_US = 1_000_000
MOST_PROBES = 120
"""requests that look for one number: three times the binary digits of a trade number, at most"""


def fetch_symbols(http: Http) -> Iterator[Body]:
    """Yield all products, the delisted ones too, with the time of `/time`."""
    now = clock(http, HOST, "/time", lambda data: iso_us(data["iso"]))
    yield listing(http, HOST, "/products", now)


def parse_symbols(body: Body) -> Parsed:
    """Rows of records.SPOT_SYMBOLS. Raises SourceError where the body is no list of products."""
    return symbols(body, lambda products: [_symbol(product) for product in products])


def _symbol(product: dict) -> Symbol:
    trades = product["status"] == "online" and product["trading_disabled"] is False
    return product["id"], product["base_currency"], product["quote_currency"], product["status"], trades


def pair_of(symbol: str) -> tuple[str, str] | None:
    base, _, quote = symbol.rpartition("-")
    return (base, quote) if base and quote else None


def fetch(http: Http, symbol: str, window: Window, now: datetime) -> Iterator[Body]:
    """Yield the pages that hold every trade of [start, end), newest first: from the number at the end of the window
    on, which is looked for where it is not in the newest page."""
    start_us, end_us = day_us(window.start) - LAG_US, day_us(window.end) + LAG_US
    body = _page(http, symbol, window, now)
    found = body.once(_trades)
    if found and min(found, key=_id)[TIME] >= end_us:
        after = _after(http, symbol, window, now, max(found, key=_id), min(found, key=_id), end_us)
        body = _page(http, symbol, window, now, after)
        found = body.once(_trades)
    while True:
        yield body
        if not found or min(found, key=_id)[TIME] < start_us:
            return
        after = min(map(_id, found))
        body = _page(http, symbol, window, now, after)
        found = body.once(_trades)
        if found and max(map(_id, found)) >= after:
            raise stuck(body)


def _page(http: Http, symbol: str, window: Window, now: datetime, after: int | None = None, limit: int = 0) -> Body:
    """The newest trades, or those numbered below `after`; `limit` 0: as many as a page holds."""
    params = {"limit": limit or PAGE}
    if after is not None:
        params["after"] = after
    return ask(http, HOST, f"/products/{symbol}/trades", params, symbol, window, now)


def _after(http: Http, symbol: str, window: Window, now: datetime, newest: Trade, oldest: Trade, end_us: int) -> int:
    """The number of a trade at or after `end_us`, at most a page above the last one before it.

    Goes by the pace of the trades that are known, half a page too high and then half a page too low; every third time
    it halves what is left, so that a day that was slower or faster than others costs some requests more, never many."""
    low, low_us, high, high_us = 0, None, _id(oldest), oldest[TIME]
    pace_us = max(1, (newest[TIME] - oldest[TIME]) // max(1, _id(newest) - _id(oldest)))
    for turn in range(MOST_PROBES):
        if high - low <= PAGE:
            return high
        if low_us is None:
            guess = high - (high_us - end_us) // pace_us
        else:
            guess = low + (high - low) * (end_us - low_us) // max(1, high_us - low_us)
        guess = (guess + PAGE // 2, guess - PAGE // 2 + 1, (low + high) // 2)[turn % 3]
        guess = min(max(guess, low + 1), high - 1)
        body = _page(http, symbol, window, now, guess + 1, limit=1)
        found = [trade for trade in body.once(_trades) if low < _id(trade) <= guess]
        if not found or found[0][TIME] < end_us:
            low, low_us = guess, found[0][TIME] if found else low_us
        else:
            high, high_us = _id(found[0]), found[0][TIME]
    message = f"{HOST.name} {symbol}: {MOST_PROBES} requests did not find the number at {window.end}"
    raise SourceError(f"{message}; it is looked for again by the next run")


def parse(body: Body) -> pa.Table:
    """TRADES of one page: `side` is the maker's. Pure. Raises SourceError where the body is no page of trades."""
    return table(body, body.once(_trades))


def _trades(body: Body) -> list[Trade]:
    return trades(body, lambda data: data, _trade)


def _trade(row: dict) -> Trade:
    return whole(row["trade_id"]), iso_us(row["time"]), row["price"], row["size"], row["side"]


def _id(trade: Trade) -> int:
    trade_id = trade[ID]
    assert trade_id is not None
    return trade_id


EXCHANGE = Exchange(
    HOST,
    fetch_symbols,
    parse_symbols,
    server_time,
    TradePages(
        Side(
            ("buy",),
            ("sell",),
            "maker",
            "https://docs.cdp.coinbase.com/api-reference/exchange-api/rest-api/products/get-product-trades: "
            "'the maker order side', a buy is a down-tick",
        ),
        fetch,
        parse,
        reach_days=REACH_DAYS,
        requests_a_day=10,
    ),
    pair_of,
)
