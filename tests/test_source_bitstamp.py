"""Bitstamp: trades by hand, and what 24 hours back from a request are worth."""

import json
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings

from orchestration.sandbox.bitstamp import LIMITS
from orchestration.sandbox.generated import GeneratedMarket
from orchestration.sources import bitstamp
from orchestration.sources.body import Absent, SourceError
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
    page,
    script,
    window,
)

NOW = date(2026, 3, 1)
PAIR = {"name": "BTC/USD", "url_symbol": "btcusd", "trading": "Enabled", "base_decimals": 8}


def trade(tid: int, time_us: int = START_US, **changes: object) -> dict:
    row = {"date": str(time_us // 1_000_000), "tid": str(tid), "price": "100.25", "type": "0", "amount": "0.50000000"}
    return row | changes


def test_a_trade_field_by_field():
    rows = bitstamp.parse(page(bitstamp, [trade(5, type="1"), trade(4, START_US + DAY_US - 1, type=0, amount=0.5)]))
    assert rows.to_pylist() == [
        {"id": 5, "time_us": START_US, "price": "100.25", "size": "0.50000000", "side": "1"},
        {"id": 4, "time_us": START_US + DAY_US - 1_000_000, "price": "100.25", "size": "0.5", "side": "0"},
    ]


@pytest.mark.parametrize(
    "content",
    [
        {"status": "error", "reason": "Market not found."},
        b"<html></html>",
        None,
        ["trade"],
        [trade(1) | {"tid": "x"}],
        [trade(1) | {"date": "1772323200000"}],
        [trade(1) | {"date": None}],
        [trade(1, price="")],
        [trade(1, amount=[])],
        [trade(1, type=None)],
    ],
)
def test_what_are_no_trades_is_said(content: object):
    with pytest.raises(SourceError, match=r"https://bitstamp\.example/x: "):
        bitstamp.parse(page(bitstamp, content))


def test_pairs_and_the_clock():
    pairs = [
        PAIR,
        PAIR | {"name": "ETH/USD-PERP", "url_symbol": "ethusd-perp"},
        PAIR | {"name": "PAX/GBP", "url_symbol": "paxgbp", "trading": "Disabled"},
    ]
    upstream = Upstream(lambda path, query: {"timestamp": "1772325000"} if "ticker" in path else pairs)
    (listing,) = bitstamp.fetch_symbols(upstream.http)
    assert bitstamp.server_time(listing) == datetime(2026, 3, 1, 0, 30)
    rows = bitstamp.parse_symbols(listing).tables["spot_symbols"].to_pylist()
    assert [(r["symbol"], r["base_asset"], r["quote_asset"], r["is_trading"]) for r in rows] == [
        ("btcusd", "BTC", "USD", True),
        ("paxgbp", "PAX", "GBP", False),
    ]
    assert bitstamp.pair_of("usdcusdt") == ("USDC", "USDT") and bitstamp.pair_of("btcxyz") is None


def exchange(rows: list[dict], seconds_late: int = 0) -> Upstream:
    """At the midnight that ends FIRST, and so many seconds later."""
    clock = {"timestamp": str((START_US + DAY_US) // 1_000_000 + seconds_late)}
    return Upstream(lambda path, query: clock if "ticker" in path else rows)


def test_a_day_is_asked_for_in_one_request_at_its_very_end():
    times = [START_US - 1_000_000, START_US, START_US, START_US + DAY_US - 1_000_000]
    upstream = exchange([trade(9 - i, t) for i, t in enumerate(times)])
    found = fetched(bitstamp, upstream, window(0, 1), midnight(1))
    clock = {"path": "/api/v2/ticker/btcusd/"}
    assert upstream.asked == [{"path": "/api/v2/transactions/X/", "time": "day"}, clock]
    assert len(found) == 4 and len(inside(found, window(0, 1))) == 3


def test_an_answer_that_came_after_midnight_lacks_the_first_seconds():
    """The run's clock was read at midnight, and this symbol's turn came later."""
    with pytest.raises(Absent, match="trades can be had from 2026-03-01 00:00:01 UTC on"):
        fetched(bitstamp, exchange([trade(1)], seconds_late=1), window(0, 1), midnight(1))


@pytest.mark.parametrize("late", [timedelta(microseconds=1), timedelta(minutes=30), timedelta(days=7)])
def test_a_moment_later_the_day_is_no_longer_whole(late: timedelta):
    upstream = script([])
    with pytest.raises(Absent, match="runs less than a day apart lose none") as caught:
        fetched(bitstamp, upstream, window(0, 1), midnight(1) + late)
    assert caught.value.reason == "out_of_reach" and not upstream.asked


def test_a_day_without_trades():
    assert fetched(bitstamp, exchange([]), window(0, 1), midnight(1)) == []


@pytest.fixture(scope="module")
def market() -> GeneratedMarket:
    return GeneratedMarket(NOW, size=30, start=date(2026, 1, 1), exchanges=("binance", "bitstamp"))


def test_all_that_a_market_traded_yesterday_comes_exactly(market: GeneratedMarket):
    assert assert_true(bitstamp, market, window(-1, 0))


@pytest.mark.parametrize(("limit", "seconds"), LIMITS)
def test_its_budget_keeps_the_limits(limit: int, seconds: float):
    assert_within(bitstamp.HOST, limit, seconds)


@pytest.mark.recorded
def test_recorded_trades_equal_the_oracle(shared: Path):
    assert_oracle(shared, bitstamp, "bitstamp/transactions_btcusd_hour.json")


@pytest.mark.recorded
def test_the_side_is_the_takers_as_prices_show(shared: Path):
    """Who takes pays the spread: a purchase after a sale is dearer, a sale after a purchase cheaper, on average."""
    rows = json.loads((shared / "fixtures/bitstamp/transactions_btcusd_hour.json").read_text())
    steps: dict[str, list[float]] = {"0": [], "1": []}
    for newer, older in zip(rows, rows[1:], strict=False):
        if newer["type"] != older["type"]:
            steps[newer["type"]].append(float(newer["price"]) - float(older["price"]))
    assert all(len(found) > 50 for found in steps.values())
    assert sum(steps["0"]) / len(steps["0"]) > 1 and sum(steps["1"]) / len(steps["1"]) < -1


@pytest.mark.recorded
def test_recorded_pairs(shared: Path):
    content = (shared / "fixtures/bitstamp/trading-pairs-info.json").read_bytes()
    rows = bitstamp.parse_symbols(page(bitstamp, content, "spot_symbols")).tables["spot_symbols"].to_pylist()
    assert len(rows) == 103 and {r["is_trading"] for r in rows} == {True, False}
    assert all(bitstamp.pair_of(r["symbol"]) == (r["base_asset"], r["quote_asset"]) for r in rows)


@settings(max_examples=200, deadline=None)
@given(content=mutated([trade(5), trade(4, type="1")]))
def test_any_body_gives_trades_or_a_source_error(content: bytes):
    check_trades(bitstamp, content)


@settings(max_examples=100, deadline=None)
@given(content=mutated([PAIR]))
def test_any_body_gives_symbols_or_a_source_error(content: bytes):
    check_symbols(bitstamp, content)
