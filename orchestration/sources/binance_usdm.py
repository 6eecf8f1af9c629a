"""Binance USD-M futures: perpetuals, their daily klines with taker volume, funding and open interest.

https://developers.binance.com/docs/derivatives/usds-margined-futures/market-data/rest-api
Klines are those of spot: field 10 is the quote volume that takers bought. Each family of requests has a limit of its
own: 2,400 weight a minute, 500 requests for funding and 1,000 for statistics in five minutes.
"""

from collections.abc import Iterator
from datetime import date, datetime
from math import isfinite

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from orchestration.records import FUNDING_RATES, OPEN_INTEREST, PERPETUAL_FLOWS, PERPETUAL_SYMBOLS, Record
from orchestration.sources import binance, binance_vision
from orchestration.sources import binance_usdm_archive as archive
from orchestration.sources.binance_vision import KLINE
from orchestration.sources.body import Body, Parsed, SourceError, Window, distinct
from orchestration.sources.daily_bars import DAY_MS, Page, flows, ms, read_json
from orchestration.sources.exact import amounts, prices
from orchestration.sources.exchange import Exchange, Klines, Series
from orchestration.sources.http import Answer, Host, Http
from orchestration.sources.json_objects import Rows, day_of, moment_of, objects
from orchestration.sources.trades import Reported

HOSTS = ("fapi.binance.com",)
HOST = Host(archive.NAME, HOSTS, per_minute=2000, burst=2000, connections=4, weight_header="X-MBX-USED-WEIGHT-1M")
# So many at once and so many a minute are never more than the limit in any five minutes.
FUNDING_HOST = Host(f"{archive.NAME}_funding", HOSTS, per_minute=10, burst=450, connections=4)
STATISTICS_HOST = Host(f"{archive.NAME}_statistics", HOSTS, per_minute=100, burst=450, connections=4)
PAGE, FUNDING_PAGE, STATISTICS_PAGE = 1500, 1000, 500
WEIGHTS = ((99, 1), (499, 2), (1000, 5), (PAGE, 10))
"""of klines: pages of up to so many rows have such a weight"""
FIRST = date(2019, 9, 8)
"""BTCUSDT begins to trade"""
REACH_DAYS = 30
MOST_SYMBOLS = 50
PAYMENT = {
    "symbol": pa.string(),
    "fundingTime": pa.int64(),
    "fundingRate": pa.string(),
    "markPrice": pa.string(),
}
CONTRACTS = {
    "symbol": pa.string(),
    "timestamp": pa.int64(),
    "sumOpenInterest": pa.string(),
    "sumOpenInterestValue": pa.string(),
}


def fetch_symbols(http: Http) -> Iterator[Body]:
    """Yield `exchangeInfo`: every contract that is listed and the server's time. Contracts that are over are not."""
    yield _body(PERPETUAL_SYMBOLS, http.get(HOST, "/fapi/v1/exchangeInfo"))


def parse_symbols(body: Body) -> Parsed:
    """Rows of records.PERPETUAL_SYMBOLS. A contract type that is not told ("") is NULL.

    Raises SourceError where the body is not an exchangeInfo."""
    try:
        binance.server_time(body)
        symbols = distinct(body.data["symbols"])
        if not all(type(s[name]) is str for s in symbols for name in ("symbol", "status")):
            raise ValueError("a name or status that is no text")
        columns = {
            "exchange": [body.upstream] * len(symbols),
            "symbol": [s["symbol"] for s in symbols],
            "base_asset": [s["baseAsset"].upper() for s in symbols],
            "quote_asset": [s["quoteAsset"].upper() for s in symbols],
            "status": [s["status"] for s in symbols],
            "is_trading": [s["status"] == "TRADING" for s in symbols],
            "is_listed": [True] * len(symbols),
            "contract_type": [s["contractType"] or None for s in symbols],
            "body_sha256": [body.sha256] * len(symbols),
        }
        table = pa.table(columns, schema=PERPETUAL_SYMBOLS.schema)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise SourceError(f"{body.url}: not an exchangeInfo ({error!r})") from None
    return Parsed({PERPETUAL_SYMBOLS.table: table})


def fetch_volumes(http: Http) -> dict[str, float]:
    """Quote volume of the last 24 hours by symbol: no day of UTC, but it tells great from small.

    Raises SourceError where the answer is something else."""
    answer = http.get(HOST, "/fapi/v1/ticker/24hr", weight=40)
    body = Body(archive.NAME, "volumes", answer.url, answer.status, answer.fetched_at, answer.content)
    try:
        volumes = {row["symbol"]: float(row["quoteVolume"]) for row in body.data}
        if not all(type(symbol) is str and isfinite(volume) for symbol, volume in volumes.items()):
            raise ValueError("a symbol that is no text or a volume that is no number")
        return volumes
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise SourceError(f"{answer.url}: no tickers ({error!r})", content=answer.content) from None


def fetch_flows(http: Http, symbol: str, window: Window, now: datetime) -> Iterator[Body]:
    """Yield the pages that hold the daily bars of `symbol` opened in [start, end), oldest first. None is asked to be
    larger than what is left: weight goes by the size that is asked for."""
    start, end = ms(window.start), ms(window.end)
    while start < end:
        limit = min(PAGE, (end - start) // DAY_MS)
        query = {"symbol": symbol, "interval": "1d", "startTime": start, "endTime": end - 1, "limit": limit}
        answer = http.get(HOST, "/fapi/v1/klines", query, next(weight for most, weight in WEIGHTS if limit <= most))
        body = _body(PERPETUAL_FLOWS, answer, symbol, window, now)
        yield body
        opened = body.once(_page).rows["opened"].to_numpy()
        if len(opened) < limit:
            return
        start = _after(body, start, int(opened.max()) + DAY_MS)


def parse_flows(*bodies: Body) -> Parsed:
    """Rows of records.PERPETUAL_FLOWS from pages of klines and from files of the archive, in any mixture; see
    daily_bars.flows. Raises SourceError where a body is neither."""
    return flows(bodies, [body.once(_page) for body in bodies], PERPETUAL_FLOWS)


def _page(body: Body) -> Page:
    return body.once(binance_vision.page) if "form" in body.context else Page(read_json(body, KLINE))


def fetch_funding(http: Http, symbol: str, window: Window, now: datetime) -> Iterator[Body]:
    """Yield the pages that hold what was paid in [start, end), oldest first."""
    start, end = ms(window.start), ms(window.end)
    while start < end:
        query = {"symbol": symbol, "startTime": start, "endTime": end - 1, "limit": FUNDING_PAGE}
        body = _body(FUNDING_RATES, http.get(FUNDING_HOST, "/fapi/v1/fundingRate", query), symbol, window, now)
        yield body
        times = body.once(_payments)["fundingTime"].to_numpy()
        if len(times) < FUNDING_PAGE:
            return
        start = _after(body, start, int(times.max()) + 1)


def parse_funding(*bodies: Body) -> Parsed:
    """Rows of records.FUNDING_RATES from many pages. The mark price of old rows ("", or no such key) is NULL.

    Raises SourceError where a body holds something else."""
    rows = Rows(FUNDING_RATES, bodies, _payments, "fundingTime")
    texts = rows.column("markPrice")
    rate, mark = amounts(rows.column("fundingRate")), prices(pc.if_else(pc.equal(texts, ""), None, texts))
    rows.doubt("fundingRate", rate.values, rate.bad)
    rows.doubt("markPrice", mark.values, mark.bad, may_lack=True)
    rows.misplace(rows.outside(rows.times), "is outside of the days that were asked for")
    placed = rows.placed
    columns = {"funded_at": moment_of(placed), "funding_ratio": rate.values, "mark_price": mark.values}
    return rows.parsed(columns, day_of(placed), rate.rounded_count)


def _payments(body: Body) -> pa.Table:
    return objects(body, PAYMENT, optional="markPrice")


def fetch_open_interest(http: Http, symbol: str, window: Window, now: datetime) -> Iterator[Body]:
    """Yield what was open at the midnights that end the days [start, end), which lie in the last thirty days."""
    query = {
        "symbol": symbol,
        "period": "1d",
        "startTime": ms(window.start) + DAY_MS,
        "endTime": ms(window.end),
        "limit": STATISTICS_PAGE,
    }
    answer = http.get(STATISTICS_HOST, "/futures/data/openInterestHist", query)
    yield _body(OPEN_INTEREST, answer, symbol, window, now)


def parse_open_interest(*bodies: Body) -> Parsed:
    """Rows of records.OPEN_INTEREST: what stands at a midnight was open at the end of the day before it.

    Raises SourceError where a body holds something else."""
    rows = Rows(OPEN_INTEREST, bodies, _contracts, "timestamp")
    base, quote = amounts(rows.column("sumOpenInterest")), amounts(rows.column("sumOpenInterestValue"))
    rows.doubt("sumOpenInterest", base.values, base.bad)
    rows.doubt("sumOpenInterestValue", quote.values, quote.bad)
    rows.misplace(np.flatnonzero(rows.times % DAY_MS), "is not 00:00 UTC of a day in milliseconds")
    rows.misplace(rows.outside(rows.times - DAY_MS), "ends none of the days that were asked for")
    columns = {"open_interest_base": base.values, "open_interest_quote": quote.values}
    return rows.parsed(columns, day_of(rows.placed - DAY_MS), base.rounded_count + quote.rounded_count)


def _contracts(body: Body) -> pa.Table:
    return objects(body, CONTRACTS)


def _body(
    record: Record, answer: Answer, symbol: str = "", window: Window | None = None, now: datetime | None = None
) -> Body:
    context = archive.context_of(symbol, window, now) if window and now else {}
    return Body(archive.NAME, record.table, answer.url, answer.status, answer.fetched_at, answer.content, context)


def _after(body: Body, start: int, following: int) -> int:
    """Where the next page begins. Raises SourceError where that is no step forward."""
    if following <= start:
        raise SourceError(f"{body.url}: the page ends before its start: paging would never end")
    return following


EXCHANGE = Exchange(
    HOST,
    fetch_symbols,
    parse_symbols,
    binance.server_time,
    Klines(
        Reported("taker_buy_quote", "field 10 of a kline, 'Taker buy quote asset volume'"),
        fetch_flows,
        parse_flows,
        page_days=PAGE,
        weight=WEIGHTS[-1][1],
        spare=archive.SPARE,
    ),
    market="perpetual",
    series=(
        Series(
            FUNDING_RATES.table,
            FUNDING_HOST,
            fetch_funding,
            parse_funding,
            FIRST,
            repull_days=2,
            requests_a_day=3 / FUNDING_PAGE,
        ),
        Series(
            OPEN_INTEREST.table,
            STATISTICS_HOST,
            fetch_open_interest,
            parse_open_interest,
            FIRST,
            repull_days=2,
            reach_days=REACH_DAYS,
            requests_a_day=1 / REACH_DAYS,
        ),
        archive.METRICS,
        archive.DEPTH,
    ),
    most_symbols=MOST_SYMBOLS,
    fetch_volumes=fetch_volumes,
)
