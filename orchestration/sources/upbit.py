"""Upbit: every trade of a day, up to seven days back.

https://docs.upbit.com/kr/reference/list-pair-trades
A page holds up to 500 trades of one UTC day, newest first; `cursor` goes on below a number. The day is asked for as
so many days before the request, and there is no clock to ask: that an answer is of the day that was meant is read
from its trades, and where it has none, from the day's candle.
"""

import json
from collections.abc import Iterator
from datetime import date, datetime, timedelta

import pyarrow as pa

from orchestration.sources.body import Absent, Body, Parsed, SourceError, Window
from orchestration.sources.exchange import Exchange, TradePages
from orchestration.sources.http import Host, Http
from orchestration.sources.trade_pages import (
    ID,
    TIME,
    Border,
    Symbol,
    Trade,
    ask,
    day_us,
    listing,
    moment,
    stuck,
    symbols,
    table,
    trades,
    whole,
)
from orchestration.sources.trades import Side

# 10 requests a second are allowed.
HOST = Host("upbit", ("api.upbit.com",), per_minute=500, burst=1, connections=4)
PAGE = 500
REACH_DAYS = 7
ONE_DAY = timedelta(days=1)


def fetch_symbols(http: Http) -> Iterator[Body]:
    """Yield all markets; those that no longer trade are not among them."""
    yield listing(http, HOST, "/v1/market/all", None)


def parse_symbols(body: Body) -> Parsed:
    """Rows of records.SPOT_SYMBOLS. Raises SourceError where the body is no list of markets."""
    return symbols(body, lambda markets: [_symbol(row["market"]) for row in markets])


def _symbol(market: str) -> Symbol:
    quote, _, base = market.partition("-")
    return market, base, quote, "listed", True


def pair_of(symbol: str) -> tuple[str, str] | None:
    """A market is called QUOTE-BASE."""
    quote, _, base = symbol.partition("-")
    return (base, quote) if base and quote else None


def fetch(http: Http, symbol: str, window: Window, now: datetime) -> Iterator[Body]:
    """Yield the pages that hold every trade of the days of [start, end), newest first.

    Raises Absent (`out_of_reach`) where the window begins more than seven days before the day of `now`."""
    if (now.date() - window.start).days > REACH_DAYS:
        message = f"{HOST.name} {symbol} {window}: trades can be had for {REACH_DAYS} days, from "
        raise Absent(f"{message}{now.date() - REACH_DAYS * ONE_DAY} on", "out_of_reach")
    border = Border()
    day = window.end - ONE_DAY
    while day >= window.start:
        yield from _of_day(http, symbol, window, now, day, border)
        day -= ONE_DAY


def _of_day(http: Http, symbol: str, window: Window, now: datetime, day: date, border: Border) -> Iterator[Body]:
    days_ago = (now.date() - day).days
    if days_ago < 1:
        raise Absent(f"{HOST.name} {symbol} {day}: not over yet; it is asked for later", "not_published_yet")
    params: dict[str, str | int] = {"market": symbol, "count": PAGE, "days_ago": days_ago}
    start_us, end_us = day_us(day), day_us(day + ONE_DAY)
    cursor: int | None = None
    while True:
        body = ask(http, HOST, "/v1/trades/ticks", params, symbol, window, now)
        found = body.once(_trades)
        times = [trade[TIME] for trade in found]
        if times and (max(times) >= end_us or (cursor is None and max(times) < start_us)):
            other = moment(max(times)).date()
            raise SourceError(f"{body.url}: asked for {day}, answered with trades of {other}; it is asked for again")
        if cursor is None and not times:
            _confirm_empty(http, symbol, day, body)
        yield border.after(body, found)
        if len(found) < PAGE or min(times) < start_us:
            return
        last = found[-1][ID]
        if last is None or (cursor is not None and last >= cursor):
            raise stuck(body)
        params["cursor"] = cursor = last


def _confirm_empty(http: Http, symbol: str, day: date, body: Body) -> None:
    """Raises SourceError where the candle of the day tells of trades."""
    params = {"market": symbol, "count": 1, "to": f"{day + ONE_DAY}T00:00:00Z"}
    answer = http.get(HOST, "/v1/candles/days", params)
    try:
        opened = [row["candle_date_time_utc"][:10] for row in json.loads(answer.content)]
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError, RecursionError) as error:
        raise SourceError(f"{answer.url}: no candles ({error!r})", content=answer.content) from None
    if day.isoformat() in opened:
        raise SourceError(f"{body.url}: no trades of {day}, but its candle tells of some; it is asked for again")


def parse(body: Body) -> pa.Table:
    """TRADES of one page. Pure. Raises SourceError where the body is no page of trades."""
    return table(body, body.once(_trades))


def _trades(body: Body) -> list[Trade]:
    return trades(body, lambda data: data, _trade)


def _trade(row: dict) -> Trade:
    """Trades of the first years have no number. Numbers are unique and, it is said, not always in order."""
    trade_id = whole(row["sequential_id"]) if "sequential_id" in row else None
    return trade_id, whole(row["timestamp"]) * 1000, row["trade_price"], row["trade_volume"], row["ask_bid"]


EXCHANGE = Exchange(
    HOST,
    fetch_symbols,
    parse_symbols,
    None,
    TradePages(
        Side(
            ("bid",),
            ("ask",),
            "taker",
            "https://docs.upbit.com/kr/docs/faq-order: ASK or BID of a trade is the type of the taker's order",
        ),
        fetch,
        parse,
        reach_days=REACH_DAYS,
        requests_a_day=15,
    ),
    pair_of,
)
