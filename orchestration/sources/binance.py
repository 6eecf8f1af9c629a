"""Binance spot: daily klines with taker volume, of every symbol that the exchange lists.

https://developers.binance.com/docs/binance-spot-api-docs/rest-api/market-data-endpoints
Field 10 of a kline is the quote volume that *takers bought*: no side needs to be inverted.
"""

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from orchestration.records import SPOT_FLOWS, SPOT_SYMBOLS
from orchestration.sources.body import Body, Parsed, Refused, SourceError, Window, distinct
from orchestration.sources.exact import amounts, prices
from orchestration.sources.exchange import Exchange, Klines
from orchestration.sources.http import Host, Http
from orchestration.sources.json_rows import columns
from orchestration.sources.trades import Reported

HOST = Host(
    name="binance",
    hosts=("data-api.binance.vision", "api.binance.com"),
    per_minute=5000,
    burst=5000,
    connections=4,
    weight_header="X-MBX-USED-WEIGHT-1M",
)
PAGE = 1000
DAY_MS = 86_400_000


def fetch_symbols(http: Http) -> Iterator[Body]:
    """Yield `exchangeInfo`: every symbol, the delisted ones (BREAK) too, and the server's time."""
    answer = http.get(HOST, "/api/v3/exchangeInfo", weight=20)
    yield Body("binance", "spot_symbols", answer.url, answer.status, answer.fetched_at, answer.content)


def parse_symbols(body: Body) -> Parsed:
    """Rows of records.SPOT_SYMBOLS.

    Raises SourceError where the body is not an exchangeInfo."""
    info = body.data
    try:
        server_time(body)
        symbols = distinct(info["symbols"])
        columns = {
            "exchange": [body.upstream] * len(symbols),
            "symbol": [s["symbol"] for s in symbols],
            "base_asset": [s["baseAsset"].upper() for s in symbols],
            "quote_asset": [s["quoteAsset"].upper() for s in symbols],
            "status": [s["status"] for s in symbols],
            "is_trading": [s["status"] == "TRADING" for s in symbols],
            "is_listed": [True] * len(symbols),
            "body_sha256": [body.sha256] * len(symbols),
        }
        table = pa.table(columns, schema=SPOT_SYMBOLS.schema)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise SourceError(f"{body.url}: not an exchangeInfo ({error!r})") from None
    return Parsed({SPOT_SYMBOLS.table: table})


def server_time(body: Body) -> datetime:
    """The exchange's clock (naive UTC), from the same `exchangeInfo`: bars that close later are open.

    Raises SourceError where the body has none, or one that is not in milliseconds."""
    try:
        return _utc(body.data["serverTime"])
    except (KeyError, TypeError, OverflowError) as error:
        raise SourceError(f"{body.url}: no serverTime in milliseconds ({error!r})", content=body.content) from None


def fetch_flows(http: Http, symbol: str, window: Window, now: datetime) -> Iterator[Body]:
    """Yield the pages that hold the daily bars of `symbol` opened in [start, end), oldest first.

    `now` is the exchange's clock; it goes into the context, so that a bar still open is dropped
    whenever the body is parsed."""
    end_ms = _ms(window.end) - 1
    start_ms = _ms(window.start)
    while start_ms <= end_ms:
        answer = http.get(
            HOST,
            "/api/v3/klines",
            {"symbol": symbol, "interval": "1d", "startTime": start_ms, "endTime": end_ms, "limit": PAGE},
            weight=2,
        )
        context = {
            "symbol": symbol,
            "start": window.start.isoformat(),
            "end": window.end.isoformat(),
            "now": now.isoformat(),
        }
        body = Body("binance", "spot_flows", answer.url, answer.status, answer.fetched_at, answer.content, context)
        yield body
        page = body.once(_page)
        if page.num_rows < PAGE:
            return
        last_ms = pc.max(page["opened"]).as_py()
        if last_ms < start_ms:
            raise SourceError(f"{answer.url}: the page ends at {last_ms}, before its start: paging would never end")
        start_ms = last_ms + DAY_MS


def parse_flows(*bodies: Body) -> Parsed:
    """Rows of records.SPOT_FLOWS from pages of klines. Pure: bytes in, tables out. Many pages at once cost
    little more than one.

    Bars that were still open at the exchange's clock are left out, and so is a row that repeats another
    to the letter; rows that no column can hold and bars outside of the window asked for are refused with
    a reason. Raises SourceError where a body is not a list of klines."""
    pages = [_unrepeated(body.once(_page)) for body in bodies]
    rows = pa.concat_tables(pages).combine_chunks()
    if not rows.num_rows:
        return Parsed({SPOT_FLOWS.table: SPOT_FLOWS.schema.empty_table()})
    cells = {name: rows[name].chunk(0) for name in rows.column_names}
    opened = cells["opened"]
    exact = {name: amounts(cells[name]) for name in AMOUNTS}
    rates = {name: prices(cells[name]) for name in PRICES}
    counts = [page.num_rows for page in pages]
    first, end, now = (pa.array(np.repeat([bound(body) for body in bodies], counts)) for bound in _BOUNDS)
    table = pa.table(
        {
            "exchange": pa.array([bodies[0].upstream] * len(opened)),
            "symbol": _repeated([body.context["symbol"] for body in bodies], counts),
            "utc_date": pc.cast(pc.divide(opened, DAY_MS), pa.int32(), safe=False).cast(pa.date32()),
            **{name: rate.values for name, rate in rates.items()},
            **{f"{name}_text": cells[name] for name in PRICES},
            **{name: amount.values for name, amount in exact.items()},
            "trade_count": cells["trade_count"],
            "source_kind": pa.array(["klines"] * len(opened)),
            "body_sha256": _repeated([body.sha256 for body in bodies], counts),
        }
    ).select(SPOT_FLOWS.schema.names)
    reasons: dict[int, str] = {}
    for index in pc.indices_nonzero(pc.is_null(exact["volume_quote"].values)).to_pylist():
        reasons[index] = "volume_quote is missing"
    for name, read in (exact | rates).items():
        for index, why in read.bad.items():
            reasons[index] = f"{name} {why}"
    unplaced: dict[int, str] = {}
    days = pc.multiply(pc.divide(opened, DAY_MS), DAY_MS)
    for index in pc.indices_nonzero(pc.not_equal(opened, days)).to_pylist():
        unplaced[index] = f"opens at {opened[index]} ms, which is not 00:00 UTC of a day in milliseconds"
    # Microseconds at 00:00 UTC are whole days of milliseconds too: only the window tells them apart.
    for index in pc.indices_nonzero(pc.or_(pc.less(opened, first), pc.greater_equal(opened, end))).to_pylist():
        unplaced.setdefault(index, f"opens at {opened[index]} ms, outside of the days that were asked for")
    refused = []
    for index, why in sorted((unplaced | reasons).items()):
        body = bodies[int(np.searchsorted(np.cumsum(counts), index, "right"))]
        row = list(rows.slice(index, 1).to_pylist()[0].values())
        key = f"{body.upstream} {body.context['symbol']} {row[0]}"
        day = None if index in unplaced else _utc(row[0]).date()
        refused.append(Refused(SPOT_FLOWS.table, key, why, json.dumps(row), body.sha256, day))
    keep = pc.less(cells["closed"], now)
    if refused:
        out = reasons.keys() | unplaced.keys()
        keep = pc.and_(keep, pa.array([index not in out for index in range(rows.num_rows)]))
    table = table.filter(keep).cast(SPOT_FLOWS.schema)
    return Parsed({SPOT_FLOWS.table: table}, sum(amount.rounded_count for amount in exact.values()), refused)


# The twelve fields of a kline.
PRICES = ("open_price", "high_price", "low_price", "close_price")
AMOUNTS = ("volume_base", "volume_quote", "taker_buy_base", "taker_buy_quote")
_FIELDS = {
    "opened": pa.int64(),
    **dict.fromkeys(PRICES, pa.string()),
    "volume_base": pa.string(),
    "closed": pa.int64(),
    "volume_quote": pa.string(),
    "trade_count": pa.int64(),
    "taker_buy_base": pa.string(),
    "taker_buy_quote": pa.string(),
    "ignore": pa.string(),
}
# First and end (excluded) of the window asked for and the exchange's clock, in milliseconds.
_BOUNDS = (
    lambda body: _ms(date.fromisoformat(body.context["start"])),
    lambda body: _ms(date.fromisoformat(body.context["end"])),
    lambda body: _ms_of(datetime.fromisoformat(body.context["now"])),
)


def _page(body: Body) -> pa.Table:
    """The klines of one body, as received. Raises SourceError where they are none."""
    page = columns(body.content, _FIELDS)
    if page is not None:
        return page
    rows = _rows(body)
    cells = list(zip(*rows, strict=True)) if rows else [()] * len(_FIELDS)
    try:
        arrays = [pa.array(cell, kind) for cell, kind in zip(cells, _FIELDS.values(), strict=True)]
    except (TypeError, ValueError, OverflowError, pa.ArrowException) as error:
        raise SourceError(f"{body.url}: a kline has a field of another type ({str(error)[:120]})") from None
    return pa.table(arrays, names=list(_FIELDS))


def _unrepeated(page: pa.Table) -> pa.Table:
    opened = page["opened"].to_numpy()
    if (opened[1:] > opened[:-1]).all():
        return page
    seen = dict.fromkeys(tuple(row.values()) for row in page.to_pylist())
    cells = [pa.array(cell, kind) for cell, kind in zip(zip(*seen, strict=True), _FIELDS.values(), strict=True)]
    return pa.table(cells, page.schema)


def _repeated(texts: list[str], counts: list[int]) -> pa.Array:
    return pa.array(texts).take(pa.array(np.repeat(np.arange(len(texts)), counts)))


def _rows(body: Body) -> list[list]:
    rows = body.data
    if not isinstance(rows, list):
        raise SourceError(f"{body.url}: {str(rows)[:200]} instead of klines", content=body.content)
    for row in rows:
        if type(row) is not list or len(row) != 12 or not type(row[0]) is type(row[6]) is type(row[8]) is int:
            raise SourceError(f"{body.url}: {str(row)[:120]} is not a kline of 12 fields", content=body.content)
    return rows


def _ms(day: date) -> int:
    return (day - date(1970, 1, 1)).days * DAY_MS


def _ms_of(moment: datetime) -> int:
    return int(moment.replace(tzinfo=UTC).timestamp() * 1000)


def _utc(ms: int) -> datetime:
    return datetime(1970, 1, 1) + timedelta(milliseconds=ms)


EXCHANGE = Exchange(
    HOST,
    fetch_symbols,
    parse_symbols,
    server_time,
    Klines(
        Reported("taker_buy_quote", "field 10 of a kline, 'Taker buy quote asset volume'"),
        fetch_flows,
        parse_flows,
        page_days=PAGE,
        weight=2,
    ),
)
