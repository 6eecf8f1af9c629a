"""Upbit: trades by hand, pages of one day after the other, and proof that an answer is of the day that was meant."""

from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestration.sandbox.generated import GeneratedMarket
from orchestration.sandbox.upbit import PER_SECOND
from orchestration.sources import upbit
from orchestration.sources.body import Absent, SourceError
from tests.test_sources import mutated
from tests.trade_pages import (
    DAY_US,
    FIRST,
    START_US,
    Upstream,
    assert_oracle,
    assert_true,
    assert_within,
    check_symbols,
    check_trades,
    day,
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


def trade(number: int, time_us: int = START_US, **changes: Any) -> dict:
    row = {"market": "X", "timestamp": time_us // 1000, "trade_price": 100.25, "trade_volume": 0.5, "ask_bid": "BID"}
    return row | {"sequential_id": time_us * 10 + number} | changes


def candles(days: set[date], query: dict[str, Any]) -> list[dict]:
    """The last traded day before `to`."""
    to = date.fromisoformat(query["to"][:10])
    return [{"candle_date_time_utc": f"{max(d)}T00:00:00"} for d in [[d for d in days if d < to]] if d]


def exchange(times: list[int], today: date, is_spilling: bool = False) -> Upstream:
    """Answers as Upbit does on the day `today`. `is_spilling`: a page goes on into the day before."""
    rows = [trade(i % 10, time_us) for i, time_us in enumerate(times)]
    rows.sort(key=lambda row: row["sequential_id"])
    days = {FIRST + timedelta(days=(t - START_US) // DAY_US) for t in times}

    def answer(path: str, query: dict[str, Any]) -> list[dict]:
        if path == "/v1/candles/days":
            return candles(days, query)
        assert path == "/v1/trades/ticks" and query["market"] == "X" and 1 <= query["days_ago"] <= 7
        start_ms = (START_US + (today - FIRST).days * DAY_US - query["days_ago"] * DAY_US) // 1000
        first = 0 if is_spilling else start_ms
        found = [row for row in rows if first <= row["timestamp"] < start_ms + DAY_US // 1000]
        found = [row for row in found if row["sequential_id"] < query.get("cursor", 1 << 62)]
        return found[::-1][: query["count"]]

    return Upstream(answer)


def test_a_trade_field_by_field():
    content = (
        b'[{"market":"KRW-X","trade_date_utc":"2026-03-01","timestamp":1772323200123,"trade_price":147058000.0,'
        b'"trade_volume":6.043e-05,"ask_bid":"ASK","sequential_id":17723232001230001},'
        b'{"timestamp":1772323200000,"trade_price":1.5E+3,"trade_volume":1,"ask_bid":"BID"}]'
    )
    assert upbit.parse(page(upbit, content)).to_pylist() == [
        {
            "id": 17723232001230001,
            "time_us": START_US + 123_000,
            "price": "147058000.0",
            "size": "6.043e-05",
            "side": "ASK",
        },
        {"id": None, "time_us": START_US, "price": "1.5E+3", "size": "1", "side": "BID"},
    ]


@pytest.mark.parametrize(
    "content",
    [
        {"error": {"name": 404, "message": "Code not found"}},
        b"[[1,2",
        None,
        [[]],
        [trade(1) | {"timestamp": "2026-03-01"}],
        [trade(1) | {"timestamp": 1772323200}],
        [trade(1) | {"timestamp": 1772323200123.5}],
        [trade(1) | {"sequential_id": None}],
        [trade(1) | {"sequential_id": 1 << 70}],
        [trade(1, trade_price=None)],
        [trade(1, trade_price=float("nan"))],
        [trade(1, trade_volume=float("inf"))],
        [trade(1, trade_volume={})],
        [trade(1, ask_bid=None)],
    ],
)
def test_what_are_no_trades_is_said(content: object):
    with pytest.raises(SourceError, match=r"https://upbit\.example/x: "):
        upbit.parse(page(upbit, content))


def test_markets():
    upstream = script(
        [{"market": "KRW-BTC", "korean_name": "비트코인", "english_name": "Bitcoin"}, {"market": "BTC-X"}]
    )
    (listing,) = upbit.fetch_symbols(upstream.http)
    rows = upbit.parse_symbols(listing).tables["spot_symbols"].to_pylist()
    assert [(r["symbol"], r["base_asset"], r["quote_asset"], r["is_trading"]) for r in rows] == [
        ("KRW-BTC", "BTC", "KRW", True),
        ("BTC-X", "X", "BTC", True),
    ]
    assert upbit.EXCHANGE.server_time is None
    assert upbit.pair_of("KRW-BTC") == ("BTC", "KRW") and upbit.pair_of("BTC") is None
    with pytest.raises(SourceError, match="no list of symbols"):
        upbit.parse_symbols(page(upbit, [{"market": "KRW"}], "spot_symbols"))


@settings(max_examples=150, deadline=None)
@given(times=moments, count=st.integers(1, 5), is_spilling=st.booleans())
def test_every_trade_of_a_window_comes_once_wherever_pages_end(times: list[int], count: int, is_spilling: bool):
    """Ten trades of one millisecond have numbers of their own."""
    times = [t for i, t in enumerate(times) if i < 10 or times[i - 10] != t]
    of = window(1, 3)
    is_sure = all(any(0 <= t - START_US - n * DAY_US < DAY_US for t in times) for n in (1, 2))
    with pages_of(upbit, count):
        upstream = exchange(times, day(4), is_spilling and is_sure)
        found = inside(fetched(upbit, upstream, of, midnight(4)), of)
    wanted = [trade(i % 10, t)["sequential_id"] for i, t in enumerate(times) if DAY_US <= t - START_US < 3 * DAY_US]
    assert [row["id"] for row in found] == sorted(wanted, reverse=True)


def test_a_page_border_at_a_day_border_asks_once_more():
    times = [START_US - 1, START_US, START_US + 5000]
    with pages_of(upbit, 2):
        upstream = exchange(times, day(1))
        found = fetched(upbit, upstream, window(0, 1), midnight(1))
    assert len(found) == 2
    assert [(asked["days_ago"], asked.get("cursor")) for asked in upstream.asked] == [(1, None), (1, START_US * 10 + 1)]


def test_days_come_newest_first_so_that_pages_follow_each_other():
    upstream = exchange([START_US + n * DAY_US + 7000 for n in range(7)], day(7))
    found = fetched(upbit, upstream, window(0, 7), midnight(7))
    assert [asked["days_ago"] for asked in upstream.asked] == [1, 2, 3, 4, 5, 6, 7]
    assert [row["id"] for row in found] == sorted((row["id"] for row in found), reverse=True)


def test_an_empty_day_is_confirmed_by_the_candles():
    upstream = exchange([START_US - 1, START_US + DAY_US], day(2))
    assert fetched(upbit, upstream, window(0, 1), midnight(2)) == []
    assert upstream.asked[-1] == {"path": "/v1/candles/days", "market": "X", "count": 1, "to": "2026-03-02T00:00:00Z"}
    assert fetched(upbit, exchange([], day(1)), window(0, 1), midnight(1)) == []


def test_an_empty_answer_for_a_day_that_traded_is_an_error():
    """The run's `now` is three days behind, as where an old range is asked for by hand."""
    with pytest.raises(SourceError, match="no trades of 2026-03-01, but its candle tells of some"):
        fetched(upbit, exchange([START_US], day(4)), window(0, 1), midnight(1))


@pytest.mark.parametrize("other", [-1, 1])
def test_trades_of_another_day_are_an_error(other: int):
    answers = script([trade(1, START_US + other * DAY_US)])
    with pytest.raises(SourceError, match=f"asked for 2026-03-01, answered with trades of {day(other)}"):
        fetched(upbit, answers, window(0, 1), midnight(1))


def test_candles_that_are_none_are_an_error():
    answers = Upstream(lambda path, query: [] if path.endswith("ticks") else {"error": "busy"})
    with pytest.raises(SourceError, match="no candles"):
        fetched(upbit, answers, window(0, 1), midnight(1))


@pytest.mark.parametrize(("first", "end", "now", "reason"), [(0, 1, 8, "out_of_reach"), (0, 2, 1, "not_published_yet")])
def test_what_cannot_be_had_is_absent_and_not_asked_for(first: int, end: int, now: int, reason: str):
    upstream = exchange([START_US], day(now))
    with pytest.raises(Absent) as caught:
        fetched(upbit, upstream, window(first, end), midnight(now))
    assert caught.value.reason == reason and not upstream.asked
    assert fetched(upbit, exchange([START_US], day(7)), window(0, 1), midnight(7) + timedelta(hours=23))


def test_a_page_that_repeats_ends_with_an_error():
    for answers in (
        script([trade(3), trade(2)]),
        script([trade(3), trade(2)], [trade(5), trade(4)], [trade(7), trade(6)]),
    ):
        with pages_of(upbit, 2), pytest.raises(SourceError, match="paging would never end"):
            fetched(upbit, answers, window(0, 1), midnight(1))


def test_numbers_out_of_order_lose_nothing():
    """They are unique and, it is said, not always in order: what comes again is left out."""
    pages = [[trade(9), trade(6), trade(8)], [trade(7), trade(6), trade(5)], [trade(4)]]
    with pages_of(upbit, 3):
        found = fetched(upbit, script(*pages), window(0, 1), midnight(1))
    assert [row["id"] - START_US * 10 for row in found] == [9, 6, 8, 7, 5, 4]


@pytest.fixture(scope="module")
def market() -> GeneratedMarket:
    return GeneratedMarket(NOW, size=30, start=date(2026, 1, 1), exchanges=("binance", "upbit"))


@pytest.mark.parametrize(("first", "end", "count"), [(-1, 0, None), (-1, 0, 5), (-7, -4, 7)])
def test_all_that_a_market_traded_comes_exactly(first: int, end: int, count: int | None, market: GeneratedMarket):
    assert assert_true(upbit, market, window(first, end), count)


def test_its_budget_keeps_the_limit():
    assert_within(upbit.HOST, PER_SECOND, 1.0)


@pytest.mark.recorded
@pytest.mark.parametrize("name", ["trades_ticks", "trades_ticks_BTC-ETH_2018"])
def test_recorded_trades_equal_the_oracle(name: str, shared: Path):
    assert_oracle(shared, upbit, f"upbit/{name}.json")


@pytest.mark.recorded
def test_recorded_markets(shared: Path):
    content = (shared / "fixtures/upbit/market_all.json").read_bytes()
    rows = upbit.parse_symbols(page(upbit, content, "spot_symbols")).tables["spot_symbols"].to_pylist()
    assert {r["quote_asset"] for r in rows} == {"KRW", "BTC", "USDT"}
    assert all(upbit.pair_of(r["symbol"]) == (r["base_asset"], r["quote_asset"]) for r in rows)


@settings(max_examples=200, deadline=None)
@given(content=mutated([trade(5), trade(4, ask_bid="ASK")]))
def test_any_body_gives_trades_or_a_source_error(content: bytes):
    check_trades(upbit, content)


@settings(max_examples=100, deadline=None)
@given(content=mutated([{"market": "KRW-BTC", "english_name": "Bitcoin"}]))
def test_any_body_gives_symbols_or_a_source_error(content: bytes):
    check_symbols(upbit, content)


def test_now_is_a_day_of_utc():
    """At 23:59 the day before is one day ago; a minute later it is two."""
    for now, ago in ((datetime(2026, 3, 2, 23, 59), 1), (datetime(2026, 3, 3), 2)):
        upstream = exchange([START_US], now.date())
        assert fetched(upbit, upstream, window(0, 1), now)
        assert [asked["days_ago"] for asked in upstream.asked] == [ago]
