"""Kraken: every trade since a nanosecond.

https://docs.kraken.com/api/docs/rest-api/get-recent-trades
A page holds up to a thousand trades after `since`, oldest first, and says in `last` where to go on. Every answer has
status 200; what went wrong stands in `error`. Symbols are called by their `altname`; Bitcoin is XBT, Dogecoin XDG.
The API goes back to the first trade; what a day costs (10 to 25 minutes for all pairs, at one request a second)
bounds the reach.
"""

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pyarrow as pa

from orchestration.sources.body import Body, Parsed, Window
from orchestration.sources.exchange import Exchange, TradePages
from orchestration.sources.http import Host, Http, is_json
from orchestration.sources.pairs import split
from orchestration.sources.trade_pages import (
    TIME,
    Border,
    Symbol,
    Trade,
    ask,
    clock,
    day_us,
    listing,
    seconds_us,
    server_time,
    stuck,
    symbols,
    table,
    trades,
    whole,
)
from orchestration.sources.trades import Side

# A counter that goes up to 15 and down by one a second.
HOST = Host("kraken", ("api.kraken.com",), per_minute=55, burst=1, connections=2)
ROOT = "/0/public/"
PAGE = 1000
REACH_DAYS = 30
RENAMED = {"XBT": "BTC", "XDG": "DOGE"}
FIAT = ("USD", "EUR", "GBP", "CAD", "JPY", "AUD", "CHF")
QUOTES = (*FIAT, "USDT", "USDC", "USDG", "USD1", "RLUSD", "EURC", "DAI", "XBT", "ETH", "DOT")
TRADING = ("online", "limit_only", "reduce_only")
_PASSES = re.compile(rb'"error"\s*:\s*\[\s*"(EGeneral:Too many requests|EAPI:Rate limit exceeded|EService:[^"]*)')


def fetch_symbols(http: Http) -> Iterator[Body]:
    """Yield all pairs, with the time of `Time`."""
    now = clock(http, HOST, f"{ROOT}Time", lambda data: seconds_us(_result(data)["unixtime"]))
    yield listing(http, HOST, f"{ROOT}AssetPairs", now)


def parse_symbols(body: Body) -> Parsed:
    """Rows of records.SPOT_SYMBOLS, without dark pools (`.d`, no `wsname`). Raises SourceError where the body lists no
    pairs."""
    return symbols(body, lambda data: [_symbol(row) for row in _result(data).values() if _is_public(row)])


def _is_public(row: dict) -> bool:
    return "wsname" in row and not row["altname"].endswith(".d")


def _symbol(row: dict) -> Symbol:
    """Listings of the first years have no status."""
    base, _, quote = row["wsname"].partition("/")
    status = row.get("status", "online")
    return row["altname"], _asset(base), _asset(quote), status, status in TRADING


def pair_of(symbol: str) -> tuple[str, str] | None:
    pair = split(symbol, QUOTES)
    return (_asset(pair[0]), _asset(pair[1])) if pair else None


def _asset(name: str) -> str:
    return RENAMED.get(name, name)


def fetch(http: Http, symbol: str, window: Window, now: datetime) -> Iterator[Body]:
    """Yield the pages that hold every trade of [start, end), oldest first."""
    since, end_us = str(day_us(window.start) * 1000 - 1), day_us(window.end)
    border = Border()
    while True:
        params = {"pair": symbol, "since": since, "count": PAGE}
        body = ask(http, HOST, f"{ROOT}Trades", params, symbol, window, now, _unless_busy)
        found = body.once(_trades)
        last_us = max((trade[TIME] for trade in found), default=end_us)
        yield border.after(body, found)
        if len(found) < PAGE or last_us >= end_us:
            return
        following = _following(body, last_us)
        if int(following) <= int(since):
            raise stuck(body)
        since = following


def _following(body: Body, last_us: int) -> str:
    """`last` as it came: the nanosecond of the page's last trade. It has been missing and it has been another pair's:
    then from just before the last trade, and `Border` tells which trades come twice."""
    last = _result(body.data_as_text).get("last")
    if type(last) is str and re.fullmatch("[0-9]{16,19}", last) and abs(int(last) // 1000 - last_us) <= 1:
        return last
    return str(last_us * 1000 - 1)


def parse(body: Body) -> pa.Table:
    """TRADES of one page. Pure. Raises SourceError where the body is no page of trades, or an error."""
    return table(body, body.once(_trades))


def _trades(body: Body) -> list[Trade]:
    return trades(body, _rows, _trade)


def _rows(data: dict) -> list:
    (rows,) = (rows for key, rows in _result(data).items() if key != "last")
    return rows


def _trade(row: list) -> Trade:
    """Trades of 2013 have no number, and some of later years had 0 for one."""
    if type(row) is not list or len(row) not in (6, 7):
        raise ValueError("a trade has 6 or 7 fields")
    trade_id = whole(row[6]) if len(row) == 7 else 0
    return trade_id or None, seconds_us(row[2]), row[0], row[1], row[3]


def _result(data: Any) -> dict:
    if data["error"]:
        raise ValueError(f"error {data['error']}")
    return data["result"]


def _unless_busy(content: bytes) -> str | None:
    """What passes by itself is asked again: too many requests, a service that is not available."""
    busy = _PASSES.search(content[:300])
    return f"the error {busy[1].decode('utf-8', 'replace')}" if busy else is_json(content)


EXCHANGE = Exchange(
    HOST,
    fetch_symbols,
    parse_symbols,
    server_time,
    TradePages(
        Side(
            ("b",),
            ("s",),
            "taker",
            "https://docs.kraken.com/api/docs/rest-api/get-recent-trades: <buy/sell>; whose: "
            "https://docs.kraken.com/api/docs/websocket-v2/trade, 'the side of the taker order'",
        ),
        fetch,
        parse,
        reach_days=REACH_DAYS,
        requests_a_day=2,
    ),
    pair_of,
)
