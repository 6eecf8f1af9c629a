"""Crypto.com Exchange: every trade of up to seven days.

https://exchange-docs.crypto.com/exchange/v1/rest-ws/index.html#public-get-trades
A page holds up to 150 trades before `end_ts`, newest first. Times are asked for in nanoseconds. How far back trades
are kept is not promised: where a window has none, its candles are asked whether that is true.
"""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta

import pyarrow as pa

from orchestration.sources.body import Absent, Body, Parsed, SourceError, Window
from orchestration.sources.exchange import Exchange, TradePages
from orchestration.sources.http import Host, Http
from orchestration.sources.trade_pages import (
    Border,
    Symbol,
    Trade,
    ask,
    clock,
    day_us,
    listing,
    server_time,
    stuck,
    symbols,
    table,
    trades,
    whole,
)
from orchestration.sources.trades import Side

# 100 requests a second are allowed; others ask too.
HOST = Host("crypto_com", ("api.crypto.com",), per_minute=1200, burst=10, connections=4)
ROOT = "/exchange/v1/public/"
PAGE = 150
REACH_DAYS = 7
SPOT = "CCY_PAIR"


def fetch_symbols(http: Http) -> Iterator[Body]:
    """Yield all instruments, with the time of the BTC_USDT ticker: a clock of its own the API does not have."""
    params = {"instrument_name": "BTC_USDT"}
    now = clock(http, HOST, f"{ROOT}get-tickers", lambda data: whole(_data(data)[0]["t"]) * 1000, params)
    yield listing(http, HOST, f"{ROOT}get-instruments", now)


def parse_symbols(body: Body) -> Parsed:
    """Rows of records.SPOT_SYMBOLS: the spot pairs. Raises SourceError where the body is no list of instruments."""
    return symbols(body, lambda data: [_symbol(row) for row in _data(data) if row["inst_type"] == SPOT])


def _symbol(row: dict) -> Symbol:
    trades = row["tradable"] is True
    return row["symbol"], row["base_ccy"], row["quote_ccy"], "tradable" if trades else "not tradable", trades


def pair_of(symbol: str) -> tuple[str, str] | None:
    base, _, quote = symbol.rpartition("_")
    return (base, quote) if base and quote else None


def fetch(http: Http, symbol: str, window: Window, now: datetime) -> Iterator[Body]:
    """Yield the pages that hold every trade of [start, end), newest first.

    The next page ends just above the oldest trade of the one before: trades of one moment that a page's end cut apart
    come twice rather than never, and `Border` tells which. Raises Absent (`out_of_reach`) where the window begins
    more than seven days before the day of `now`."""
    if (now.date() - window.start).days > REACH_DAYS:
        message = f"{HOST.name} {symbol} {window}: trades can be had for {REACH_DAYS} days, from "
        raise Absent(f"{message}{now.date() - timedelta(days=REACH_DAYS)} on", "out_of_reach")
    start, end = day_us(window.start) * 1000, day_us(window.end) * 1000
    params: dict[str, str | int] = {"instrument_name": symbol, "count": PAGE, "start_ts": start}
    border = Border()
    while True:
        body = ask(http, HOST, f"{ROOT}get-trades", params | {"end_ts": end}, symbol, window, now)
        found = body.once(_trades)
        if not found:
            _confirm_empty(http, symbol, window, body)
        yield border.after(body, found)
        if len(found) < PAGE:
            return
        following = min(_nanoseconds(row) for row in _data(body.data_as_text)) + 1
        if following >= end:
            raise stuck(body)
        end = following


def _confirm_empty(http: Http, symbol: str, window: Window, body: Body) -> None:
    """Raises Absent (`out_of_reach`) where a daily candle of the window tells of trades."""
    start_ms, end_ms = (day_us(day) // 1000 for day in (window.start, window.end))
    params = {"instrument_name": symbol, "timeframe": "1D", "start_ts": start_ms, "end_ts": end_ms}
    answer = http.get(HOST, f"{ROOT}get-candlestick", params)
    try:
        candles = _data(json.loads(answer.content))
        traded = [row for row in candles if start_ms <= int(row["t"]) < end_ms and float(row["v"])]
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError, RecursionError) as error:
        raise SourceError(f"{answer.url}: no candles ({error!r})", content=answer.content) from None
    if traded:
        raise Absent(f"{body.url}: no trades any more, but candles tell of some in {window}", "out_of_reach")


def parse(body: Body) -> pa.Table:
    """TRADES of one page. Pure. Raises SourceError where the body is no page of trades, or an error."""
    return table(body, body.once(_trades))


def _trades(body: Body) -> list[Trade]:
    return trades(body, _data, _trade)


def _trade(row: dict) -> Trade:
    return whole(row["d"]), _nanoseconds(row) // 1000, row["p"], row["q"], row["s"]


def _nanoseconds(row: dict) -> int:
    """Answers of the first years have milliseconds only."""
    return whole(row["tn"]) if "tn" in row else whole(row["t"]) * 1_000_000


def _data(content: dict) -> list[dict]:
    """What an answer holds; errors come with status 200 and a code. Raises ValueError."""
    if str(content["code"]) != "0":
        raise ValueError(f"code {content['code']}, {content.get('message', 'no message')}")
    return content["result"]["data"]


EXCHANGE = Exchange(
    HOST,
    fetch_symbols,
    parse_symbols,
    server_time,
    TradePages(
        Side(
            ("buy",),
            ("sell",),
            "taker",
            "https://exchange-docs.crypto.com/exchange/v1/rest-ws/index.html#public-get-trades: "
            "'Side is the side of the taker order'",
        ),
        fetch,
        parse,
        reach_days=REACH_DAYS,
        requests_a_day=12,
    ),
    pair_of,
)
