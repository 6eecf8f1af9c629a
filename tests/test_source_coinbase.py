"""Coinbase: trades by hand, pages by number, the number at the end of a day found in few requests."""

from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestration.sandbox.coinbase import BURST, BURST_SECONDS
from orchestration.sandbox.generated import GeneratedMarket
from orchestration.sources import coinbase
from orchestration.sources.body import SourceError
from tests.test_sources import mutated
from tests.trade_pages import (
    DAY_US,
    START_US,
    Upstream,
    assert_oracle,
    assert_true,
    assert_within,
    check_symbols,
    check_trades,
    fetched,
    inside,
    midnight,
    moments,
    page,
    pages_of,
    script,
    window,
)

NOW = date(2026, 3, 1)
LATER = midnight(9)
PRODUCT = {
    "id": "SOL-USD",
    "base_currency": "SOL",
    "quote_currency": "USD",
    "status": "online",
    "trading_disabled": False,
}


def trade(trade_id: int, time_us: int = START_US, **changes: Any) -> dict:
    moment = datetime(1970, 1, 1) + timedelta(microseconds=time_us)
    row = {"trade_id": trade_id, "side": "buy", "size": "0.5", "price": "100.25", "time": f"{moment.isoformat()}Z"}
    return row | changes


def exchange(trades: list[tuple[int, int]]) -> Upstream:
    """Answers as Coinbase does, with (id, time) of trades, ascending."""

    def answer(path: str, query: dict[str, Any]) -> list[dict]:
        assert path == "/products/X/trades"
        older = [t for t in trades if t[0] < query.get("after", 1 << 60)]
        return [trade(*t) for t in older[::-1][: query["limit"]]]

    return Upstream(answer)


def test_a_trade_field_by_field():
    rows = coinbase.parse(page(coinbase, [trade(5, time="2026-03-01T12:00:00.000001Z"), trade(4, side="sell")]))
    assert rows.to_pylist() == [
        {"id": 5, "time_us": START_US + DAY_US // 2 + 1, "price": "100.25", "size": "0.5", "side": "buy"},
        {"id": 4, "time_us": START_US, "price": "100.25", "size": "0.5", "side": "sell"},
    ]


@pytest.mark.parametrize(
    ("text", "microseconds"),
    [
        ("2026-03-01T00:00:00Z", 0),
        ("2026-03-01T00:00:00.1Z", 100_000),
        ("2026-03-01T00:00:00.123456Z", 123_456),
        ("2026-03-01T23:59:59.999999999Z", DAY_US - 1),
        ("2026-03-02T00:00:00.000000Z", DAY_US),
    ],
)
def test_times_are_exact_microseconds_of_their_day(text: str, microseconds: int):
    (row,) = coinbase.parse(page(coinbase, [trade(1, time=text)])).to_pylist()
    assert row["time_us"] == START_US + microseconds


@pytest.mark.parametrize(
    "content",
    [
        {"message": "NotFound"},
        b"[[1,2",
        b"<html></html>",
        "trades",
        None,
        [1],
        [[1, "buy"]],
        [{"trade_id": 1}],
        [trade(1, side=None)],
        [trade(1, price="dear")],
        [trade(1, price="NaN")],
        [trade(1, size="")],
        [trade(1, size=["1"])],
        [trade(1) | {"trade_id": "one"}],
        [trade(1) | {"trade_id": 1.5}],
        [trade(1) | {"trade_id": True}],
        [trade(1) | {"trade_id": 1 << 70}],
        [trade(1, time="2026-03-01T00:00:00")],
        [trade(1, time="2026-03-01T24:00:00Z")],
        [trade(1, time="2026-02-30T00:00:00Z")],
        [trade(1, time="1026-03-01T00:00:00Z")],
        [trade(1, time=1772323200)],
    ],
)
def test_what_are_no_trades_is_said(content: object):
    with pytest.raises(SourceError, match=r"https://coinbase\.example/x: "):
        coinbase.parse(page(coinbase, content))


def test_products_and_the_clock():
    products = [PRODUCT, PRODUCT | {"id": "X-EUR", "quote_currency": "EUR", "status": "delisted"}, PRODUCT]
    upstream = Upstream(lambda path, query: {"iso": "2026-03-01T00:30:00.5Z"} if path == "/time" else products)
    (listing,) = coinbase.fetch_symbols(upstream.http)
    assert coinbase.server_time(listing) == datetime(2026, 3, 1, 0, 30, 0, 500_000)
    rows = coinbase.parse_symbols(listing).tables["spot_symbols"].to_pylist()
    assert [(r["symbol"], r["quote_asset"], r["is_trading"]) for r in rows] == [
        ("SOL-USD", "USD", True),
        ("X-EUR", "EUR", False),
    ]
    with pytest.raises(SourceError, match="instead of a clock"):
        list(coinbase.fetch_symbols(script({"message": "busy"}).http))
    with pytest.raises(SourceError, match="without the exchange's clock"):
        coinbase.server_time(page(coinbase, products))
    assert coinbase.pair_of("BTC-USD") == ("BTC", "USD") and coinbase.pair_of("BTCUSD") is None


@settings(max_examples=150, deadline=None)
@given(times=moments, gaps=st.lists(st.integers(1, 9), min_size=40, max_size=40), count=st.integers(1, 5))
def test_every_trade_of_a_window_comes_once_wherever_pages_end(times: list[int], gaps: list[int], count: int):
    ids = [sum(gaps[: i + 1]) for i in range(len(times))]
    trades = list(zip(ids, times, strict=True))
    of = window(1, 3)
    with pages_of(coinbase, count):
        upstream = exchange(trades)
        found = inside(fetched(coinbase, upstream, of, LATER), of)
    assert [row["id"] for row in found] == [i for i, t in trades if DAY_US <= t - START_US < 3 * DAY_US][::-1]


def test_a_page_border_at_a_day_border_asks_for_the_next_page():
    """Whether the day before ended there is not known until it is asked."""
    trades = [(1, START_US - 10 * DAY_US), (2, START_US), (3, START_US), (4, START_US + DAY_US)]
    with pages_of(coinbase, 3):
        upstream = exchange(trades)
        found = fetched(coinbase, upstream, window(0, 1), LATER)
    assert [row["id"] for row in found] == [4, 3, 2, 1]
    assert [asked.get("after") for asked in upstream.asked] == [None, 2]


@pytest.mark.parametrize("trades", [[], [(7, START_US - DAY_US)], [(7, START_US + 2 * DAY_US)]])
def test_a_day_without_trades(trades: list[tuple[int, int]]):
    assert inside(fetched(coinbase, exchange(trades), window(0, 1), LATER), window(0, 1)) == []


def test_order_within_a_page_does_not_turn_paging_round():
    upstream = script([trade(8), trade(9)], [trade(6), trade(7)], [])
    assert len(fetched(coinbase, upstream, window(0, 1), LATER)) == 4
    assert [asked.get("after") for asked in upstream.asked] == [None, 8, 6]


@pytest.mark.parametrize("pages", [[[trade(8)]], [[trade(8)], [trade(9)]], [[trade(8), trade(7)], [trade(7)]]])
def test_a_page_that_repeats_ends_with_an_error(pages: list):
    with pytest.raises(SourceError, match="paging would never end"):
        fetched(coinbase, script(*pages), window(0, 1), LATER)


@pytest.mark.parametrize(("per_day", "most"), [(86_400, 8), (2_000, 8), (200_000, 8)])
def test_the_end_of_a_day_long_ago_is_found_in_few_requests(per_day: int, most: int):
    """Trades at an even pace, numbered through: a year lies behind the day that is asked for."""
    step = DAY_US // per_day
    last = 366 * per_day

    def answer(path: str, query: dict[str, Any]) -> list[dict]:
        newest = min(query.get("after", last + 1), last + 1) - 1
        return [trade(i, START_US + i * step) for i in range(newest, max(0, newest - query["limit"]), -1)]

    upstream = Upstream(answer, most=per_day // 1000 + 20)
    found = inside(fetched(coinbase, upstream, window(1, 2), midnight(366)), window(1, 2))
    assert len({row["id"] for row in found}) == len(found) == per_day
    probes = [asked for asked in upstream.asked if asked["limit"] == 1]
    assert len(probes) <= most and len(upstream.asked) - len(probes) <= per_day // 1000 + 4


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_the_end_is_found_however_uneven_the_pace_is(data: st.DataObject):
    """Bursts of thousands of trades at one moment, and days without any."""
    bursts = data.draw(st.lists(st.tuples(st.integers(0, 400), st.integers(1, 5_000)), min_size=1, max_size=12))
    bursts.sort()
    ends, total = [], 0
    for number, count in bursts:
        total += count
        ends.append((total, START_US + number * DAY_US))

    def time_of(trade_id: int) -> int:
        return next(t for end, t in ends if trade_id <= end)

    def answer(path: str, query: dict[str, Any]) -> list[dict]:
        newest = min(query.get("after", total + 1), total + 1) - 1
        return [trade(i, time_of(i)) for i in range(newest, max(0, newest - query["limit"]), -1)]

    wanted = data.draw(st.sampled_from([number for number, _ in bursts]))
    of = window(wanted, wanted + 1)
    upstream = Upstream(answer, most=150)
    found = inside(fetched(coinbase, upstream, of, midnight(500)), of)
    assert len({row["id"] for row in found}) == len(found) == sum(c for number, c in bursts if number == wanted)


@pytest.fixture(scope="module")
def market() -> GeneratedMarket:
    return GeneratedMarket(NOW, size=30, start=date(2025, 9, 1), exchanges=("binance", "coinbase"))


@pytest.mark.parametrize(("ago", "count"), [(1, None), (1, 7), (100, 15)])
def test_all_that_a_market_traded_on_a_day_comes_exactly(ago: int, count: int | None, market: GeneratedMarket):
    assert assert_true(coinbase, market, window(-ago, 1 - ago), count)


def test_a_week_is_asked_for_at_once(market: GeneratedMarket):
    assert assert_true(coinbase, market, window(-7, 0), 50)


def test_its_budget_keeps_the_limit():
    assert_within(coinbase.HOST, BURST, BURST_SECONDS)


@pytest.mark.recorded
def test_recorded_trades_equal_the_oracle(shared: Path):
    assert_oracle(shared, coinbase, "coinbase_exchange/trades.json")


@pytest.mark.recorded
@pytest.mark.parametrize(("name", "count"), [("products", 30), ("products_all_2021-04", 100)])
def test_recorded_products(name: str, count: int, shared: Path):
    content = (shared / f"fixtures/coinbase_exchange/{name}.json").read_bytes()
    rows = coinbase.parse_symbols(page(coinbase, content, "spot_symbols")).tables["spot_symbols"].to_pylist()
    assert len(rows) >= count
    assert all(coinbase.pair_of(r["symbol"]) == (r["base_asset"], r["quote_asset"]) for r in rows)
    assert all(r["is_trading"] == (r["status"] == "online") for r in rows)


@settings(max_examples=200, deadline=None)
@given(content=mutated([trade(5), trade(4, side="sell")]))
def test_any_body_gives_trades_or_a_source_error(content: bytes):
    check_trades(coinbase, content)


@settings(max_examples=100, deadline=None)
@given(content=mutated([PRODUCT]))
def test_any_body_gives_symbols_or_a_source_error(content: bytes):
    check_symbols(coinbase, content)
