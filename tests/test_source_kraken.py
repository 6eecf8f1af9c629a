"""Kraken: trades by hand, pages by nanosecond, errors that come with status 200, names of old."""

import json
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from orchestration.sandbox.generated import GeneratedMarket
from orchestration.sandbox.kraken import COUNTER, COUNTER_SECONDS
from orchestration.sources import kraken
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
PAIR = {"altname": "XBTUSD", "wsname": "XBT/USD", "base": "XXBT", "quote": "ZUSD", "status": "online"}


def trade(trade_id: int, time_us: int = START_US, **changes: Any) -> list:
    row = {"price": "100.25", "volume": "0.5", "time": time_us / 1e6, "side": "b", "type": "l", "misc": ""}
    return [*(row | changes).values(), trade_id]


def answer_of(rows: object, last: object = None) -> dict:
    result = {"XXBTZUSD": rows} | ({} if last is None else {"last": last})
    return {"error": [], "result": result}


def exchange(times: list[int], is_inclusive: bool = False, last: Any = str) -> Upstream:
    """Answers as Kraken does, with trades at `times` (microseconds, ascending; the exchange's clock is finer, and no
    two of its nanoseconds are the same). `last`: what it makes of the nanosecond."""
    nanos = [time_us * 1000 + i % 900 for i, time_us in enumerate(times)]

    def answer(path: str, query: dict[str, Any]) -> dict:
        assert path == "/0/public/Trades" and query["pair"] == "X"
        since = int(query["since"]) - is_inclusive
        found = [i for i, nano in enumerate(nanos) if nano > since][: query["count"]]
        # Times exact to the microsecond: a double has no room for more.
        rows = [["1", "2", times[i] / 1e6, "s", "m", "", i + 1] for i in found]
        return answer_of(rows, last(nanos[found[-1]]) if found else query["since"])

    return Upstream(answer)


def test_a_trade_field_by_field():
    content = (
        b'{"error":[],"result":{"XXBTZUSD":[["5.10000","2.00000000",1772323200.1234567,"b","m","",9],'
        b'["5.00000","1.00000000",1772323201,"s","l","",0],["4.0","1e-7",1772323202.5,"s","l",""]],"last":"1"}}'
    )
    assert kraken.parse(page(kraken, content)).to_pylist() == [
        {"id": 9, "time_us": START_US + 123_456, "price": "5.10000", "size": "2.00000000", "side": "b"},
        {"id": None, "time_us": START_US + 1_000_000, "price": "5.00000", "size": "1.00000000", "side": "s"},
        {"id": None, "time_us": START_US + 2_500_000, "price": "4.0", "size": "1e-7", "side": "s"},
    ]


@pytest.mark.parametrize("digits", ["", ".0", ".999999", ".9999999", ".999999999", ".000000001"])
def test_a_trade_stays_in_its_second_whatever_its_decimals(digits: str):
    content = f'{{"error":[],"result":{{"X":[["1","1",1772409599{digits},"b","m","",9]],"last":"1"}}}}'
    (row,) = kraken.parse(page(kraken, content.encode())).to_pylist()
    assert row["time_us"] == START_US + DAY_US - 1_000_000 + int((digits[1:] or "0").ljust(6, "0")[:6])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"error": ["EQuery:Unknown asset pair"]}, "EQuery:Unknown asset pair"),
        ({"error": ["EGeneral:Invalid arguments"], "result": {}}, "Invalid arguments"),
        (answer_of(None), "instead of trades"),
        (answer_of({}), "instead of trades"),
        ({"error": [], "result": {"last": "1"}}, "instead of trades"),
        ({"error": [], "result": {"A": [], "B": [], "last": "1"}}, "instead of trades"),
        ({"error": []}, "instead of trades"),
        (b"[[1,2", "not JSON"),
        ([], "instead of trades"),
        (answer_of([trade(1)[:5]]), "6 or 7 fields"),
        (answer_of([[*trade(1), 1]]), "6 or 7 fields"),
        (answer_of([dict(enumerate(trade(1)))]), "6 or 7 fields"),
        (answer_of([trade(1, time="soon")]), "no seconds"),
        (answer_of([trade(1, time=1772323200000)]), "instead of trades|which no trade has"),
        (answer_of([trade(1, time=float("nan"))]), "no seconds"),
        (answer_of([trade(1, price=None)]), "no price"),
        (answer_of([trade(1, volume="Infinity")]), "a size that is no number"),
        (answer_of([trade(1, side=["b"])]), "no trades"),
        (answer_of([trade(-1)]), "no whole number"),
    ],
)
def test_what_are_no_trades_is_said(content: object, said: str):
    with pytest.raises(SourceError, match=said):
        kraken.parse(page(kraken, content))


def test_pairs_and_the_clock():
    pairs = {
        "XXBTZUSD": PAIR,
        "XXBTZUSD.d": {"altname": "XBTUSD.d", "base": "XXBT", "quote": "ZUSD"},
        "XDGEUR": PAIR | {"altname": "XDGEUR", "wsname": "XDG/EUR", "status": "limit_only"},
        "ETHXBT": PAIR | {"altname": "ETHXBT", "wsname": "ETH/XBT", "status": "cancel_only"},
    }
    time = {"unixtime": 1772325000, "rfc1123": "Sun,  1 Mar 26 00:30:00 +0000"}
    upstream = Upstream(lambda path, query: {"error": [], "result": time if path.endswith("Time") else pairs})
    (listing,) = kraken.fetch_symbols(upstream.http)
    assert kraken.server_time(listing) == datetime(2026, 3, 1, 0, 30)
    rows = kraken.parse_symbols(listing).tables["spot_symbols"].to_pylist()
    assert [(r["symbol"], r["base_asset"], r["quote_asset"], r["is_trading"]) for r in rows] == [
        ("XBTUSD", "BTC", "USD", True),
        ("XDGEUR", "DOGE", "EUR", True),
        ("ETHXBT", "ETH", "BTC", False),
    ]
    with pytest.raises(SourceError, match="instead of a clock"):
        list(kraken.fetch_symbols(script({"error": ["EService:Unavailable"]}).http))


@pytest.mark.parametrize(
    ("symbol", "pair"),
    [
        ("XBTUSDT", ("BTC", "USDT")),
        ("USDTUSD", ("USDT", "USD")),
        ("USDCUSDT", ("USDC", "USDT")),
        ("XDGXBT", ("DOGE", "BTC")),
        ("EURUSD", ("EUR", "USD")),
        ("USD", None),
        ("ABCXYZ", None),
    ],
)
def test_a_name_is_split_by_the_longest_quote(symbol: str, pair: tuple[str, str] | None):
    assert kraken.pair_of(symbol) == pair


@settings(max_examples=150, deadline=None)
@given(times=moments)
@pytest.mark.parametrize("is_inclusive", [False, True])
@pytest.mark.parametrize("last", [str, lambda nano: None, lambda nano: "17", lambda nano: str(nano + 10**12)])
def test_every_trade_of_a_window_comes_once_wherever_pages_end(is_inclusive: bool, last: Any, times: list[int]):
    """Also where `since` is included, and where `last` is missing or wrong: four trades a page, and never more of one
    microsecond."""
    times = [t for i, t in enumerate(times) if i < 3 or times[i - 3] != t]
    of = window(1, 3)
    with pages_of(kraken, 5):
        found = inside(fetched(kraken, exchange(times, is_inclusive, last), of, LATER), of)
    assert [row["id"] for row in found] == [i + 1 for i, t in enumerate(times) if DAY_US <= t - START_US < 3 * DAY_US]


def test_last_is_passed_back_as_it_came():
    times = [START_US + i for i in range(5)]
    with pages_of(kraken, 2):
        upstream = exchange(times)
        assert len(fetched(kraken, upstream, window(0, 1), LATER)) == 5
    since = [asked["since"] for asked in upstream.asked]
    assert since == [str(START_US * 1000 - 1), str((START_US + 1) * 1000 + 1), str((START_US + 3) * 1000 + 3)]


def test_a_page_border_at_a_day_border_ends_with_the_first_trade_of_the_next_day():
    times = [START_US + DAY_US - 2, START_US + DAY_US - 1, START_US + DAY_US, START_US + DAY_US + 1]
    with pages_of(kraken, 2):
        upstream = exchange(times)
        found = fetched(kraken, upstream, window(0, 1), LATER)
    assert len(found) == 4 and len(upstream.asked) == 2


@pytest.mark.parametrize("times", [[], [START_US - 5], [START_US + DAY_US]])
def test_a_day_without_trades(times: list[int]):
    upstream = exchange(times)
    assert inside(fetched(kraken, upstream, window(0, 1), LATER), window(0, 1)) == []
    assert len(upstream.asked) == 1


def test_a_page_that_repeats_ends_with_an_error():
    rows = [trade(i, START_US + i) for i in range(3)]
    with pages_of(kraken, 3), pytest.raises(SourceError, match="paging would never end"):
        fetched(kraken, script(answer_of(rows, "1772323200000002000")), window(0, 1), LATER)


def test_more_trades_of_a_microsecond_than_a_page_holds_end_with_an_error_where_last_is_missing():
    with pages_of(kraken, 3), pytest.raises(SourceError, match="paging would never end"):
        fetched(kraken, exchange([START_US] * 9, last=lambda nano: None), window(0, 1), LATER)
    with pages_of(kraken, 3):
        assert len(fetched(kraken, exchange([START_US] * 9), window(0, 1), LATER)) == 9


@pytest.mark.parametrize(
    ("content", "wrong"),
    [
        (b'{"error":["EGeneral:Too many requests"]}', "the error EGeneral:Too many requests"),
        (b'{ "error" : ["EAPI:Rate limit exceeded"] }', "the error EAPI:Rate limit exceeded"),
        (b'{"error":["EService:Unavailable"],"result":{}}', "the error EService:Unavailable"),
        (b'{"error":["EQuery:Unknown asset pair"]}', None),
        (json.dumps(answer_of([], "1")).encode(), None),
        (b"<html>", "an HTML page instead of JSON"),
    ],
)
def test_what_passes_by_itself_is_asked_again(content: bytes, wrong: str | None):
    assert kraken._unless_busy(content) == wrong


@pytest.fixture(scope="module")
def market() -> GeneratedMarket:
    return GeneratedMarket(NOW, size=30, start=date(2025, 9, 1), exchanges=("binance", "kraken"))


@pytest.mark.parametrize(("first", "end", "count"), [(-1, 0, None), (-1, 0, 5), (-9, -7, 20)])
def test_all_that_a_market_traded_comes_exactly(first: int, end: int, count: int | None, market: GeneratedMarket):
    assert assert_true(kraken, market, window(first, end), count)


def test_its_budget_keeps_the_limit():
    assert_within(kraken.HOST, COUNTER, COUNTER_SECONDS)


@pytest.mark.recorded
@pytest.mark.parametrize("name", ["Trades", "Trades_2013_6fields"])
def test_recorded_trades_equal_the_oracle(name: str, shared: Path):
    assert_oracle(shared, kraken, f"kraken/{name}.json")


@pytest.mark.recorded
def test_recorded_pairs(shared: Path):
    content = (shared / "fixtures/kraken/AssetPairs_2021.json").read_bytes()
    rows = kraken.parse_symbols(page(kraken, content, "spot_symbols")).tables["spot_symbols"].to_pylist()
    assert len(rows) == 293 and not [r for r in rows if r["symbol"].endswith(".d")]
    assert all(kraken.pair_of(r["symbol"]) == (r["base_asset"], r["quote_asset"]) for r in rows)
    assert {"BTC", "DOGE"} <= {r["base_asset"] for r in rows} and not {"XBT", "XDG"} & {r["base_asset"] for r in rows}


@settings(max_examples=200, deadline=None)
@given(content=mutated(answer_of([trade(1), trade(2, side="s"), trade(3)[:6]], "1772323200000000000")))
def test_any_body_gives_trades_or_a_source_error(content: bytes):
    check_trades(kraken, content)


@settings(max_examples=100, deadline=None)
@given(content=mutated({"error": [], "result": {"XXBTZUSD": PAIR}}))
def test_any_body_gives_symbols_or_a_source_error(content: bytes):
    check_symbols(kraken, content)
