"""Order books of a few large pairs, as they stand when they are asked for: what rests within 1, 2 and 5 % of the price.

Nobody gives their history without a key, so it begins with the first run and has a row per look.
https://developers.binance.com/docs/binance-spot-api-docs/rest-api/market-data-endpoints#order-book (weight 250, no time
in the answer: the exchange's clock is asked just before), https://www.okx.com/docs-v5/en/ (GET market/books),
https://bybit-exchange.github.io/docs/v5/market/orderbook. A level is [price, size in base asset, …].
"""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from decimal import Context, Decimal

import pyarrow as pa

from orchestration.records import ORDER_BOOKS
from orchestration.sources import binance, bybit, okx
from orchestration.sources.body import Body, Parsed, SourceError
from orchestration.sources.http import Answer, Http

MAJORS = ("BTC", "ETH", "SOL", "XRP", "DOGE")
BINANCE = BYBIT = tuple(f"{asset}USDT" for asset in MAJORS)
OKX = tuple(f"{asset}-USDT" for asset in MAJORS)
BINANCE_LEVELS, OKX_LEVELS, BYBIT_LEVELS = 5000, 400, 200
BANDS = (1, 2, 5)
EPOCH = datetime(1970, 1, 1)
_EXACT = Context(prec=80)
_UNIT, _LIMIT = Decimal("1e-12"), Decimal("1e26")
_FOREIGN = (LookupError, TypeError, AttributeError, ValueError, ArithmeticError)
"""What reading a body of another shape raises."""


def fetch_binance(http: Http, scope: str) -> Iterator[Body]:
    """Yield the book of one symbol; the exchange's clock is in the context."""
    told = http.get(binance.HOST, "/api/v3/time")
    clock = Body(binance.HOST.name, "time", told.url, told.status, told.fetched_at, told.content)
    query = {"symbol": scope, "limit": BINANCE_LEVELS}
    answer = http.get(binance.HOST, "/api/v3/depth", query, weight=250)
    yield _body(binance.HOST.name, answer, scope, BINANCE_LEVELS, {"now": binance.server_time(clock).isoformat()})


def fetch_okx(http: Http, scope: str) -> Iterator[Body]:
    """Yield the book of one symbol."""
    query = {"instId": scope, "sz": OKX_LEVELS}
    answer = http.get(okx.HOST, "/api/v5/market/books", query, wrong=okx.is_well)
    yield _body(okx.HOST.name, answer, scope, OKX_LEVELS)


def fetch_bybit(http: Http, scope: str) -> Iterator[Body]:
    """Yield the book of one symbol."""
    query = {"category": "spot", "symbol": scope, "limit": BYBIT_LEVELS}
    answer = http.get(bybit.HOST, "/v5/market/orderbook", query, wrong=bybit.is_well)
    yield _body(bybit.HOST.name, answer, scope, BYBIT_LEVELS)


def _body(upstream: str, answer: Answer, symbol: str, levels: int, more: Mapping[str, str] | None = None) -> Body:
    context = {"symbol": symbol, "levels": str(levels), **(more or {})}
    table = ORDER_BOOKS.table
    return Body(upstream, table, answer.url, answer.status, answer.fetched_at, answer.content, context)


def parse_binance(body: Body) -> Parsed:
    """Rows of records.ORDER_BOOKS. Raises SourceError where the body is no book with two sides."""
    try:
        book = body.data_as_text
        return _summed(body, book["bids"], book["asks"], datetime.fromisoformat(body.context["now"]))
    except _FOREIGN as error:
        raise _foreign(body, error) from None


def parse_okx(body: Body) -> Parsed:
    """As parse_binance."""
    try:
        book = body.data_as_text["data"][0]
        return _summed(body, book["bids"], book["asks"], _moment(book["ts"]))
    except _FOREIGN as error:
        raise _foreign(body, error) from None


def parse_bybit(body: Body) -> Parsed:
    """As parse_binance."""
    try:
        book = body.data_as_text["result"]
        if book["s"] != body.context["symbol"]:
            raise SourceError(f"{body.url}: answers with the book of {book['s']}", content=body.content)
        return _summed(body, book["b"], book["a"], _moment(book["ts"]))
    except _FOREIGN as error:
        raise _foreign(body, error) from None


def _foreign(body: Body, error: Exception) -> SourceError:
    return SourceError(f"{body.url}: no order book ({error!r})", content=body.content)


def _moment(milliseconds: str) -> datetime:
    return EPOCH + timedelta(milliseconds=int(milliseconds))


def _summed(body: Body, bids: list, asks: list, at: datetime) -> Parsed:
    sides = {"bid": _levels(bids), "ask": _levels(asks)}
    if not all(sides.values()):
        raise SourceError(f"{body.url}: no order book with two sides", content=body.content)
    for side, levels in sides.items():
        if len({price for price, _ in levels}) < len(levels):
            raise SourceError(f"{body.url}: a price stands twice among the {side}s", content=body.content)
    best_bid, best_ask = max(price for price, _ in sides["bid"]), min(price for price, _ in sides["ask"])
    if best_bid >= best_ask:
        raise SourceError(f"{body.url}: a bid at {best_bid} and an ask at {best_ask}", content=body.content)
    mid, most = (best_bid + best_ask) / 2, int(body.context["levels"])
    row: dict[str, object] = {
        "exchange": body.upstream,
        "symbol": body.context["symbol"],
        "snapshot_at": at,
        "utc_date": at.date(),
        "mid_price": float(mid),
        "bid_level_count": len(bids),
        "ask_level_count": len(asks),
        "body_sha256": body.sha256,
    }
    for side, levels in sides.items():
        for percent in BANDS:
            row[f"{side}_within_{percent}_percent_quote"] = _within(levels, mid, percent, len(levels) < most)
    return Parsed({ORDER_BOOKS.table: pa.Table.from_pylist([row], schema=ORDER_BOOKS.schema)})


def _levels(rows: list) -> list[tuple[Decimal, Decimal]]:
    levels = [(Decimal(row[0]), Decimal(row[1])) for row in rows]
    if any(not price.is_finite() or not size.is_finite() or price <= 0 or size < 0 for price, size in levels):
        raise ValueError("a level that is no price and no size")
    return levels


def _within(levels: list[tuple[Decimal, Decimal]], mid: Decimal, percent: int, is_whole: bool) -> Decimal | None:
    """Value of the levels within the distance; None where the answer ends before it and is not the whole book."""
    reach = mid * percent / 100
    inside = [(price, size) for price, size in levels if abs(price - mid) <= reach]
    if len(inside) == len(levels) and not is_whole:
        return None
    total = Decimal(0)
    for price, size in inside:
        total = _EXACT.add(total, _EXACT.multiply(price, size))
    if total >= _LIMIT:
        raise ValueError(f"{total:.3e} does not fit")
    return total.quantize(_UNIT, context=_EXACT)
