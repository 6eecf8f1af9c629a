"""Order books as they are answered, and what is made of them."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from orchestration.records import ORDER_BOOKS
from orchestration.sources import binance, bybit, okx, order_books
from orchestration.sources.body import Body, SourceError
from orchestration.sources.http import Answer

NOON = datetime(2026, 3, 8, 12)
NOON_MS = int(NOON.replace(tzinfo=UTC).timestamp() * 1000)


def body(upstream: str, content: object, levels: int = 3, **context: str) -> Body:
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    told = {"symbol": "BTCUSDT", "levels": str(levels), "now": NOON.isoformat()} | context
    return Body(upstream, "order_books", f"https://{upstream}.example/x", 200, NOON, raw, told)


# Mid is 100. Within 1 %: bids 99.9 x 2 = 199.8 and 99 x 1 = 99, asks 100.1 x 3 = 300.3 (101.01 is 1.01 % away).
# Within 2 %: asks 300.3 + 101.01. The third bid at 97 is 3 % away: the answer of three levels reaches beyond 2 %.
BIDS = [["99.9", "2"], ["99", "1"], ["97", "10"]]
ASKS = [["100.1", "3"], ["101.01", "1"], ["101.5", "0.000000000001"]]


def row(book: Body) -> dict:
    parse = {
        "binance": order_books.parse_binance,
        "okx": order_books.parse_okx,
        "bybit": order_books.parse_bybit,
    }[book.upstream]
    table = parse(book).tables["order_books"]
    assert table.schema.equals(ORDER_BOOKS.schema)
    (only,) = table.to_pylist()
    return only


def test_what_rests_within_a_distance_of_the_mid():
    found = row(body("binance", {"lastUpdateId": 1, "bids": BIDS, "asks": ASKS}))
    assert found["mid_price"] == 100.0
    assert (found["snapshot_at"], found["utc_date"]) == (NOON, NOON.date())
    assert found["bid_within_1_percent_quote"] == Decimal("298.8")
    assert found["bid_within_2_percent_quote"] == Decimal("298.8")
    assert found["ask_within_1_percent_quote"] == Decimal("300.3")
    # All three levels lie within 2 % and no more was asked for: how much lies there is not known.
    assert found["ask_within_2_percent_quote"] is None
    assert found["bid_within_5_percent_quote"] is None
    assert (found["bid_level_count"], found["ask_level_count"]) == (3, 3)


def test_a_whole_book_ends_where_it_ends():
    found = row(body("binance", {"bids": BIDS, "asks": ASKS}, levels=5000))
    assert found["ask_within_2_percent_quote"] == Decimal("401.3100000001015").quantize(Decimal("1e-12"))
    assert found["bid_within_5_percent_quote"] == Decimal("1268.8")


def test_three_exchanges_three_shapes():
    shapes = {
        "binance": {"bids": BIDS, "asks": ASKS},
        "okx": {
            "code": "0",
            "data": [
                {"bids": [[*r, "0", "4"] for r in BIDS], "asks": [[*r, "0", "1"] for r in ASKS], "ts": str(NOON_MS)}
            ],
        },
        "bybit": {"retCode": 0, "result": {"s": "BTCUSDT", "b": BIDS, "a": ASKS, "ts": NOON_MS}},
    }
    found = [row(body(upstream, content)) for upstream, content in shapes.items()]
    for each in found:
        del each["exchange"], each["body_sha256"]
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"bids": [], "asks": ASKS}, "two sides"),
        ({"bids": BIDS}, "no order book"),
        ({"bids": [["101", "1"]], "asks": [["100", "1"]]}, "a bid at 101 and an ask at 100"),
        ({"bids": [["100", "1"], ["100", "1"]], "asks": [["101", "1"]]}, "a price stands twice among the bids"),
        ({"bids": [["NaN", "1"]], "asks": ASKS}, "no price and no size"),
        ({"bids": [["x", "1"]], "asks": ASKS}, "no order book"),
        ({"bids": [["99", "-1"]], "asks": ASKS}, "no price and no size"),
        ({"bids": [["99", "1e30"]], "asks": ASKS}, "does not fit"),
        ([], "no order book"),
        (b"<html>", "not JSON"),
    ],
)
def test_what_is_no_book_is_said(content: object, message: str):
    with pytest.raises(SourceError, match=message):
        row(body("binance", content, levels=5000))


def test_another_symbols_book_is_refused():
    with pytest.raises(SourceError, match="the book of ETHUSDT"):
        row(body("bybit", {"result": {"s": "ETHUSDT", "b": BIDS, "a": ASKS, "ts": NOON_MS}}))


class Script:
    """Stands for `Http`."""

    def __init__(self):
        self.asked: list[tuple] = []

    def get(self, host, path, params=None, weight=1, wrong=None) -> Answer:
        self.asked.append((host.name, path, params, weight))
        content = {"/api/v3/time": {"serverTime": NOON_MS}}.get(path, {})
        return Answer(f"https://{host.hosts[0]}{path}", 200, json.dumps(content).encode(), datetime(2026, 3, 9))


def test_what_is_asked():
    http = Script()
    (asked,) = order_books.fetch_binance(http, "BTCUSDT")  # pyright: ignore[reportArgumentType]
    assert asked.context["now"] == NOON.isoformat(), "the exchange's clock, not ours"
    list(order_books.fetch_okx(http, "BTC-USDT"))  # pyright: ignore[reportArgumentType]
    list(order_books.fetch_bybit(http, "BTCUSDT"))  # pyright: ignore[reportArgumentType]
    assert http.asked == [
        (binance.HOST.name, "/api/v3/time", None, 1),
        (binance.HOST.name, "/api/v3/depth", {"symbol": "BTCUSDT", "limit": 5000}, 250),
        (okx.HOST.name, "/api/v5/market/books", {"instId": "BTC-USDT", "sz": 400}, 1),
        (bybit.HOST.name, "/v5/market/orderbook", {"category": "spot", "symbol": "BTCUSDT", "limit": 200}, 1),
    ]


@pytest.mark.recorded
def test_recorded_books(shared: Path):
    content = (shared / "fixtures/binance_rest/depth_NKNUSDT_1000.json").read_bytes()
    levels = json.loads(content)
    found = row(body("binance", content, levels=len(levels["bids"]), symbol="NKNUSDT"))
    mid = (float(levels["bids"][0][0]) + float(levels["asks"][0][0])) / 2
    for side, sign in (("bid", "bids"), ("ask", "asks")):
        expected = sum(float(p) * float(q) for p, q in levels[sign] if abs(float(p) - mid) <= mid * 0.01)
        assert float(found[f"{side}_within_1_percent_quote"]) == pytest.approx(expected, rel=1e-12)
    told = (shared / "fixtures/bybit/v5_orderbook.json").read_bytes()
    assert row(body("bybit", told, levels=200))["bid_within_1_percent_quote"] == Decimal("346160.304")
