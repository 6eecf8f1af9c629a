"""Binance spot: daily klines with taker volume, of every symbol that the exchange lists.

https://developers.binance.com/docs/binance-spot-api-docs/rest-api/market-data-endpoints
Field 10 of a kline is the quote volume that *takers bought*: no side needs to be inverted.
"""

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from orchestration.records import SPOT_FLOWS, SPOT_SYMBOLS
from orchestration.sources.body import Body, Parsed, Refused, SourceError, Window
from orchestration.sources.exact import amounts, prices
from orchestration.sources.http import Host, Http

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
        symbols = info["symbols"]
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
        opened = _rows(body)
        if len(opened) < PAGE:
            return
        last_ms = max(row[0] for row in opened)
        if last_ms < start_ms:
            raise SourceError(f"{answer.url}: the page ends at {last_ms}, before its start: paging would never end")
        start_ms = last_ms + DAY_MS


def parse_flows(body: Body) -> Parsed:
    """Rows of records.SPOT_FLOWS from one page of klines. Pure: bytes in, tables out.

    Bars that were still open at the exchange's clock are left out, and so is a row that repeats another
    to the letter; rows that no column can hold and bars outside of the window asked for are refused with
    a reason. Raises SourceError where the body is not a list of klines."""
    rows = _rows(body)
    if len({row[0] for row in rows}) < len(rows):
        rows = [json.loads(text) for text in dict.fromkeys(map(json.dumps, rows))]
    symbol, exchange = body.context["symbol"], body.upstream
    if not rows:
        return Parsed({SPOT_FLOWS.table: SPOT_FLOWS.schema.empty_table()})
    columns = list(zip(*rows, strict=True))
    count = len(rows)
    try:
        opened, closed, trades = (pa.array(columns[index], pa.int64()) for index in (0, 6, 8))
        exact = {name: amounts(columns[index]) for name, index in _AMOUNTS.items()}
        rates = {name: prices(columns[index]) for name, index in _PRICES.items()}
        texts = {f"{name}_text": pa.array(columns[index], pa.string()) for name, index in _PRICES.items()}
    except (TypeError, ValueError, OverflowError, pa.ArrowException) as error:
        raise SourceError(f"{body.url}: a kline has a field of another type ({str(error)[:120]})") from None
    table = pa.table(
        {
            "exchange": [exchange] * count,
            "symbol": [symbol] * count,
            "utc_date": pc.cast(pc.divide(opened, DAY_MS), pa.int32(), safe=False).cast(pa.date32()),
            **rates,
            **texts,
            **{name: cells.values for name, cells in exact.items()},
            "trade_count": trades,
            "source_kind": ["klines"] * count,
            "body_sha256": [body.sha256] * count,
        }
    ).select(SPOT_FLOWS.schema.names)
    reasons: dict[int, str] = {}
    for index in pc.indices_nonzero(pc.is_null(exact["volume_quote"].values)).to_pylist():
        reasons[index] = "volume_quote is missing"
    for name, cells in exact.items():
        for index, why in cells.bad.items():
            reasons[index] = f"{name} {why}"
    days = pc.multiply(pc.divide(opened, DAY_MS), DAY_MS)
    for index in pc.indices_nonzero(pc.not_equal(opened, days)).to_pylist():
        reasons.setdefault(index, f"opens at {columns[0][index]} ms, which is not 00:00 UTC of a day in milliseconds")
    # Microseconds at 00:00 UTC are whole days of milliseconds too: only the window tells them apart.
    first, end = (_ms(date.fromisoformat(body.context[name])) for name in ("start", "end"))
    for index in pc.indices_nonzero(pc.or_(pc.less(opened, first), pc.greater_equal(opened, end))).to_pylist():
        reasons.setdefault(index, f"opens at {columns[0][index]} ms, outside of the days that were asked for")
    refused = [
        Refused(SPOT_FLOWS.table, f"{exchange} {symbol} {rows[i][0]}", why, json.dumps(rows[i]))
        for i, why in sorted(reasons.items())
    ]
    whole = pc.less(closed, _ms_of(datetime.fromisoformat(body.context["now"])))
    keep = pc.and_(whole, pa.array([i not in reasons for i in range(count)])) if reasons else whole
    table = table.filter(keep)
    return Parsed(
        {SPOT_FLOWS.table: table.cast(SPOT_FLOWS.schema)}, sum(c.rounded_count for c in exact.values()), refused
    )


_PRICES = {"open_price": 1, "high_price": 2, "low_price": 3, "close_price": 4}
_AMOUNTS = {"volume_base": 5, "volume_quote": 7, "taker_buy_base": 9, "taker_buy_quote": 10}


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
