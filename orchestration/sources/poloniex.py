"""Poloniex spot: daily candles, which tell what takers bought, of the markets that the exchange lists.

https://api-docs.poloniex.com/spot/api/public/market-data (candles) and …/reference-data (markets, clock).
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from urllib.parse import quote

import pyarrow as pa
import pyarrow.compute as pc

from orchestration.sources.body import Body, Parsed, SourceError, Window, distinct
from orchestration.sources.daily_bars import Page, flows, ms, read_json, unrepeated, utc
from orchestration.sources.exchange import Exchange, Klines
from orchestration.sources.http import Host, Http
from orchestration.sources.pairs import listed
from orchestration.sources.trades import Reported

# Granted: 200 requests a second for an address, 10 for what lists everything.
HOST = Host(name="poloniex", hosts=("api.poloniex.com",), per_minute=6000, burst=100, connections=4)
MARKETS_WEIGHT = 20
PAGE = 500
"""candles of one answer, at most"""
INTERVAL = "DAY_1"


def fetch_symbols(http: Http) -> Iterator[Body]:
    """Yield `/markets`, with the exchange's clock from `/timestamp` as its context.

    Raises SourceError where the clock is not in milliseconds."""
    clock = http.get(HOST, "/timestamp")
    told = Body("poloniex", "clock", clock.url, clock.status, clock.fetched_at, clock.content)
    try:
        now = utc(told.data["serverTime"])
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise SourceError(f"{told.url}: no serverTime in milliseconds ({error!r})", content=told.content) from None
    answer = http.get(HOST, "/markets", weight=MARKETS_WEIGHT)
    context = {"now": now.isoformat()}
    yield Body("poloniex", "spot_symbols", answer.url, answer.status, answer.fetched_at, answer.content, context)


def server_time(body: Body) -> datetime:
    """The exchange's clock (naive UTC) when `body` was asked for."""
    return datetime.fromisoformat(body.context["now"])


def parse_symbols(body: Body) -> Parsed:
    """Rows of records.SPOT_SYMBOLS. Markets that are gone are no longer listed.

    Raises SourceError where the body is no list of markets."""
    if not isinstance(body.data, list):
        raise SourceError(f"{body.url}: {str(body.data)[:200]} instead of markets", content=body.content)
    try:
        return listed(
            body,
            (
                (m["symbol"], m["baseCurrencyName"], m["quoteCurrencyName"], m["state"], m["state"] == "NORMAL")
                for m in distinct(body.data)
            ),
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise SourceError(f"{body.url}: no list of markets ({error!r})", content=body.content) from None


def fetch_flows(http: Http, symbol: str, window: Window, now: datetime) -> Iterator[Body]:
    """Yield the pages that hold the daily candles of `symbol` opened in [start, end), oldest first.

    Of more candles than a page holds the exchange keeps the newest, so that each request asks for no more days than
    that (https://github.com/ccxt/ccxt/issues/23236). `now` is the exchange's clock."""
    start = window.start
    while start < window.end:
        end = min(start + timedelta(days=PAGE), window.end)
        answer = http.get(
            HOST,
            f"/markets/{quote(symbol, safe='')}/candles",
            {"interval": INTERVAL, "startTime": ms(start), "endTime": ms(end) - 1, "limit": PAGE},
        )
        context = {"symbol": symbol, "start": start.isoformat(), "end": end.isoformat(), "now": now.isoformat()}
        yield Body("poloniex", "spot_flows", answer.url, answer.status, answer.fetched_at, answer.content, context)
        start = end


def parse_flows(*bodies: Body) -> Parsed:
    """Rows of records.SPOT_FLOWS from pages of candles; many at once cost little more than one. See
    daily_bars.flows for what is left out and what is refused. Raises SourceError where a body is no list of
    candles."""
    return flows(bodies, [body.once(_page) for body in bodies])


# The fourteen fields of a candle. `amount` is in the quote asset, `quantity` in the base asset.
_FIELDS = {
    "low_price": pa.string(),
    "high_price": pa.string(),
    "open_price": pa.string(),
    "close_price": pa.string(),
    "volume_quote": pa.string(),
    "volume_base": pa.string(),
    "taker_buy_quote": pa.string(),
    "taker_buy_base": pa.string(),
    "trade_count": pa.int64(),
    "pushed": pa.int64(),
    "mean_price": pa.string(),
    "interval": pa.string(),
    "opened": pa.int64(),
    "closed": pa.int64(),
}
_TAKERS = ("taker_buy_quote", "taker_buy_base")


def _page(body: Body) -> Page:
    rows = _reported(unrepeated(read_json(body, _FIELDS)))
    others = pc.indices_nonzero(pc.fill_null(pc.not_equal(rows["interval"], INTERVAL), True)).to_pylist()
    return Page(rows, doubts={at: f"is a candle of {rows['interval'][at]} and not of {INTERVAL}" for at in others})


def _reported(rows: pa.Table) -> pa.Table:
    """Candles from before the exchange's present system (the documented one is of 2022-03-31) have a volume, but
    0 trades and 0 bought by takers: that stands for what is not known, and is NULL here."""
    is_silent = pc.equal(rows["trade_count"], 0)
    if not pc.any(is_silent).as_py():
        return rows
    unknown = pc.and_(is_silent, _is_some(rows["volume_quote"]))
    for name in _TAKERS:
        unknown = pc.and_(unknown, pc.invert(_is_some(rows[name])))
    for name in ("trade_count", *_TAKERS):
        cells = pc.if_else(unknown, pa.scalar(None, _FIELDS[name]), rows[name])
        rows = rows.set_column(rows.column_names.index(name), name, cells)
    return rows


def _is_some(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    """Whether a decimal text is there and not zero."""
    return pc.fill_null(pc.match_substring_regex(texts, "^[^eE]*[1-9]"), False)


EXCHANGE = Exchange(
    HOST,
    fetch_symbols,
    parse_symbols,
    server_time,
    Klines(
        Reported("taker_buy_quote", "field 6 of a candle, buyTakerAmount, 'quote units … filled by market buy orders'"),
        fetch_flows,
        parse_flows,
        page_days=PAGE,
        weight=1,
    ),
)
