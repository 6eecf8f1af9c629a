"""Bitstamp: the trades of the last 24 hours, in one answer.

https://www.bitstamp.net/api/#tag/Market-info/operation/GetTransactions
The 24 hours end at the request, and there is no other way back. A closed UTC day lies within them only where the
request is made at the very midnight that closes it: a minute later its first minute is gone, and that the rest were
the whole day would be untrue. So a day can be had right at 00:00 UTC of the exchange's clock; then it is out of reach.
"""

import re
from collections.abc import Iterator
from datetime import datetime, time, timedelta

import pyarrow as pa

from orchestration.sources.body import Absent, Body, Parsed, Window
from orchestration.sources.exchange import Exchange, TradePages
from orchestration.sources.http import Host, Http
from orchestration.sources.pairs import split
from orchestration.sources.trade_pages import (
    Symbol,
    Trade,
    ask,
    clock,
    listing,
    seconds_us,
    server_time,
    symbols,
    table,
    trades,
    whole,
)
from orchestration.sources.trades import Side

# 8,000 requests in ten minutes are allowed.
HOST = Host("bitstamp", ("www.bitstamp.net",), per_minute=780, burst=20, connections=4)
REACH = timedelta(hours=24)
QUOTES = ("usd", "eur", "gbp", "btc", "eth", "usdt", "usdc", "pax", "dai")


def fetch_symbols(http: Http) -> Iterator[Body]:
    """Yield all pairs, with the exchange's clock."""
    yield listing(http, HOST, "/api/v2/trading-pairs-info/", _clock(http))


def _clock(http: Http) -> datetime:
    """Whole seconds, of the BTC/USD ticker: a clock of its own the API does not have."""
    return clock(http, HOST, "/api/v2/ticker/btcusd/", lambda data: seconds_us(data["timestamp"]))


def parse_symbols(body: Body) -> Parsed:
    """Rows of records.SPOT_SYMBOLS; what is no pair of two assets (perpetuals) is left out. Raises SourceError where
    the body is no list of pairs."""
    return symbols(body, lambda pairs: [symbol for row in pairs if (symbol := _symbol(row))])


def _symbol(row: dict) -> Symbol | None:
    name = re.fullmatch(r"([^/-]+)/([^/-]+)", row["name"])
    return (row["url_symbol"], name[1], name[2], row["trading"], row["trading"] == "Enabled") if name else None


def pair_of(symbol: str) -> tuple[str, str] | None:
    pair = split(symbol, QUOTES)
    return (pair[0].upper(), pair[1].upper()) if pair else None


def fetch(http: Http, symbol: str, window: Window, now: datetime) -> Iterator[Body]:
    """Yield the one page that holds every trade of the last 24 hours, newest first; see fetch_since."""
    return fetch_since(http, symbol, datetime.combine(window.start, time()), now)


def fetch_since(http: Http, symbol: str, since: datetime, now: datetime) -> Iterator[Body]:
    """Yield the page that holds every trade from `since` on.

    Raises Absent (`out_of_reach`) where it begins later: without asking where that is known by `now`; else by the
    clock after the answer."""
    _reach(symbol, since, now)
    window = Window(since.date(), now.date())
    body = ask(http, HOST, f"/api/v2/transactions/{symbol}/", {"time": "day"}, symbol, window, now)
    _reach(symbol, since, _clock(http))
    yield body


def _reach(symbol: str, since: datetime, now: datetime) -> None:
    if since < now - REACH:
        can = f"trades can be had from {now - REACH:%Y-%m-%d %H:%M:%S} UTC on"
        raise Absent(f"{HOST.name} {symbol} from {since}: {can}; runs less than a day apart lose none", "out_of_reach")


def parse(body: Body) -> pa.Table:
    """TRADES of the page. Pure. Raises SourceError where the body is no page of trades."""
    return table(body, trades(body, lambda data: data, _trade))


def _trade(row: dict) -> Trade:
    return whole(row["tid"]), whole(row["date"]) * 1_000_000, row["price"], row["amount"], row["type"]


EXCHANGE = Exchange(
    HOST,
    fetch_symbols,
    parse_symbols,
    server_time,
    TradePages(
        Side(
            ("0",),
            ("1",),
            "taker",
            "https://www.bitstamp.net/api/#tag/Market-info/operation/GetTransactions: type 0 buy, 1 sell; that it "
            "is the taker's shows in the prices: a purchase that follows a sale stands higher",
        ),
        fetch,
        parse,
        reach_days=2,
        requests_a_day=2,
        fetch_since=fetch_since,
    ),
    pair_of,
)
