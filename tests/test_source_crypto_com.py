"""Crypto.com: trades by hand, pages backwards by time that lose none of one moment, errors with status 200."""

from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestration.sandbox.crypto_com import PER_SECOND
from orchestration.sandbox.generated import GeneratedMarket
from orchestration.sources import crypto_com
from orchestration.sources.body import Absent, SourceError
from tests.test_sources import mutated
from tests.trade_pages import (
    DAY_US,
    START_US,
    Upstream,
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
INSTRUMENT = {"symbol": "BTC_USDT", "inst_type": "CCY_PAIR", "base_ccy": "BTC", "quote_ccy": "USDT", "tradable": True}


def trade(number: int, time_us: int = START_US, **changes: Any) -> dict:
    row = {"d": str(number), "t": time_us // 1000, "tn": str(time_us * 1000), "q": "0.5", "p": "100.25", "s": "BUY"}
    return row | changes


def answer_of(rows: object) -> dict:
    return {"id": -1, "method": "public/get-trades", "code": 0, "result": {"data": rows}}


def exchange(times: list[int], order: Any = None, traded: set[int] | None = None) -> Upstream:
    """Answers as Crypto.com does, with trades at `times`; those of one moment in any `order`. `traded`: days since
    FIRST of which there are candles, None: those of the trades."""
    ids = order or list(range(1, len(times) + 1))
    trades = sorted(zip(times, ids, strict=True), reverse=True)
    days = {(t - START_US) // DAY_US for t in times} if traded is None else traded

    def answer(path: str, query: dict[str, Any]) -> dict:
        assert query["instrument_name"] == "X"
        if path.endswith("candlestick"):
            candles = [{"t": (START_US + n * DAY_US) // 1000, "v": "1.5"} for n in sorted(days)]
            return answer_of([c for c in candles if query["start_ts"] <= c["t"] < query["end_ts"]])
        start, end = query["start_ts"] // 1000, -(-query["end_ts"] // 1000)
        assert path == "/exchange/v1/public/get-trades" and end - start <= 7 * DAY_US
        found = [trade(i, t) for t, i in trades if start <= t < end]
        return answer_of(found[: query["count"]])

    return Upstream(answer)


def test_a_trade_field_by_field():
    rows = [trade(9, tn="1772323200000000999", s="SELL"), {"d": 8, "t": "1772323200001", "q": 2, "p": 1.5, "s": "BUY"}]
    assert crypto_com.parse(page(crypto_com, answer_of(rows))).to_pylist() == [
        {"id": 9, "time_us": START_US, "price": "100.25", "size": "0.5", "side": "SELL"},
        {"id": 8, "time_us": START_US + 1000, "price": "1.5", "size": "2", "side": "BUY"},
    ]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"id": -1, "method": "public/get-trades", "code": 40004, "message": "Invalid instrument_name"}, "code 40004"),
        ({"code": 10006}, "code 10006, no message"),
        ({"code": 0}, "instead of trades"),
        ({"code": False, "result": {"data": []}}, "code False"),
        ({"code": 0, "result": {}}, "instead of trades"),
        (answer_of(None), "instead of trades"),
        (b"[[1,2", "not JSON"),
        ([], "instead of trades"),
        (answer_of([[1]]), "instead of trades"),
        (answer_of([trade(1, d=None)]), "no whole number"),
        (answer_of([trade(1, d="9" * 19)]), "no trades"),
        (answer_of([trade(1, tn="soon")]), "no whole number"),
        (answer_of([trade(1, tn="1772323200000")]), "which no trade has"),
        (answer_of([trade(1, p=None)]), "no price"),
        (answer_of([trade(1, q="NaN")]), "a size that is no number"),
        (answer_of([trade(1, s={})]), "no trades"),
    ],
)
def test_what_are_no_trades_is_said(content: object, said: str):
    with pytest.raises(SourceError, match=said):
        crypto_com.parse(page(crypto_com, content))


def test_instruments_and_the_clock():
    instruments = [
        INSTRUMENT,
        INSTRUMENT | {"symbol": "BTCUSD-PERP", "inst_type": "PERPETUAL_SWAP"},
        INSTRUMENT | {"symbol": "CRO_USD", "base_ccy": "CRO", "quote_ccy": "USD", "tradable": False},
    ]
    ticker = {"i": "BTC_USDT", "t": 1772325000250}
    upstream = Upstream(lambda path, query: answer_of([ticker] if "tickers" in path else instruments))
    (listing,) = crypto_com.fetch_symbols(upstream.http)
    assert crypto_com.server_time(listing) == datetime(2026, 3, 1, 0, 30, 0, 250_000)
    rows = crypto_com.parse_symbols(listing).tables["spot_symbols"].to_pylist()
    assert [(r["symbol"], r["base_asset"], r["quote_asset"], r["is_trading"]) for r in rows] == [
        ("BTC_USDT", "BTC", "USDT", True),
        ("CRO_USD", "CRO", "USD", False),
    ]
    assert crypto_com.pair_of("BTC_USDT") == ("BTC", "USDT") and crypto_com.pair_of("BTCUSD-PERP") is None
    with pytest.raises(SourceError, match="instead of a clock"):
        list(crypto_com.fetch_symbols(script({"code": 50001}).http))


@settings(max_examples=200, deadline=None)
@given(times=moments, data=st.data())
def test_every_trade_of_a_window_comes_once_wherever_pages_end(times: list[int], data: st.DataObject):
    """Four trades a page, up to three of one moment, whose numbers say nothing of their order."""
    times = [t for i, t in enumerate(times) if i < 3 or times[i - 3] != t]
    order = data.draw(st.permutations(range(1, len(times) + 1)))
    of = window(1, 3)
    with pages_of(crypto_com, 4):
        found = inside(fetched(crypto_com, exchange(times, order), of, midnight(4)), of)
    wanted = [i for t, i in zip(times, order, strict=True) if DAY_US <= t - START_US < 3 * DAY_US]
    assert sorted(row["id"] for row in found) == sorted(wanted)
    assert [row["time_us"] for row in found] == sorted((row["time_us"] for row in found), reverse=True)


def test_trades_of_one_moment_across_two_pages_come_once():
    times = [START_US + 1, START_US + 2, START_US + 2, START_US + 3, START_US + 4]
    with pages_of(crypto_com, 3):
        upstream = exchange(times)
        found = fetched(crypto_com, upstream, window(0, 1), midnight(1))
    assert [row["id"] for row in found] == [5, 4, 3, 2, 1]
    assert [asked["end_ts"] - START_US * 1000 for asked in upstream.asked] == [DAY_US * 1000, 2001, 1001]
    assert {asked["start_ts"] for asked in upstream.asked} == {START_US * 1000}


def test_a_page_border_at_a_day_border_asks_once_more():
    times = [START_US - 1, START_US, START_US + 1, START_US + DAY_US]
    with pages_of(crypto_com, 2):
        upstream = exchange(times)
        found = fetched(crypto_com, upstream, window(0, 1), midnight(2))
    assert [row["time_us"] - START_US for row in found] == [1, 0] and len(upstream.asked) == 2


def test_more_trades_of_a_moment_than_a_page_holds_end_with_an_error():
    with pages_of(crypto_com, 3), pytest.raises(SourceError, match="paging would never end"):
        fetched(crypto_com, exchange([START_US + 5] * 4), window(0, 1), midnight(1))


def test_a_page_that_repeats_ends_with_an_error():
    with pages_of(crypto_com, 2), pytest.raises(SourceError, match="paging would never end"):
        fetched(crypto_com, script(answer_of([trade(2, START_US + 9), trade(1)])), window(0, 1), midnight(1))


def test_a_window_without_trades_is_confirmed_by_the_candles():
    upstream = exchange([START_US - 1, START_US + DAY_US])
    assert fetched(crypto_com, upstream, window(0, 1), midnight(2)) == []
    assert upstream.asked[-1]["timeframe"] == "1D"


def test_trades_that_are_kept_no_more_are_absent():
    with pytest.raises(Absent, match="no trades any more, but candles tell of some") as caught:
        fetched(crypto_com, exchange([], traded={0}), window(0, 1), midnight(2))
    assert caught.value.reason == "out_of_reach"
    answers = Upstream(lambda path, query: answer_of([] if "trades" in path else [{"t": 1}]))
    assert fetched(crypto_com, answers, window(0, 1), midnight(2)) == []
    answers = Upstream(lambda path, query: answer_of([]) if "trades" in path else {"code": 1})
    with pytest.raises(SourceError, match="no candles"):
        fetched(crypto_com, answers, window(0, 1), midnight(2))


def test_more_than_a_week_ago_is_not_asked_for():
    upstream = exchange([START_US])
    with pytest.raises(Absent) as caught:
        fetched(crypto_com, upstream, window(0, 1), midnight(8))
    assert caught.value.reason == "out_of_reach" and not upstream.asked
    assert fetched(crypto_com, upstream, window(0, 7), midnight(7) + timedelta(hours=23))


@pytest.fixture(scope="module")
def market() -> GeneratedMarket:
    return GeneratedMarket(NOW, size=30, start=date(2026, 1, 1), exchanges=("binance", "crypto_com"))


@pytest.mark.parametrize(("first", "end", "count"), [(-1, 0, None), (-1, 0, 5), (-7, -4, 7)])
def test_all_that_a_market_traded_comes_exactly(first: int, end: int, count: int | None, market: GeneratedMarket):
    assert assert_true(crypto_com, market, window(first, end), count)


def test_its_budget_keeps_the_limit():
    assert_within(crypto_com.HOST, PER_SECOND, 1.0)


@pytest.mark.recorded
def test_the_recorded_answer_is_understood(shared: Path):
    """It is of a perpetual, and the sums that others worked out have no day of it."""
    (row,) = crypto_com.parse(
        page(crypto_com, (shared / "fixtures/cryptocom/get-trades.json").read_bytes())
    ).to_pylist()
    assert (row["id"], row["side"], row["size"], row["price"]) == (15281981878, "SELL", "0.181900", "50772.000000")
    assert row["time_us"] == 1_613_547_060_925_523


@settings(max_examples=200, deadline=None)
@given(content=mutated(answer_of([trade(5), trade(4, s="SELL")])))
def test_any_body_gives_trades_or_a_source_error(content: bytes):
    check_trades(crypto_com, content)


@settings(max_examples=100, deadline=None)
@given(content=mutated(answer_of([INSTRUMENT])))
def test_any_body_gives_symbols_or_a_source_error(content: bytes):
    check_symbols(crypto_com, content)
