"""Poloniex's candles, by hand and gone wrong; and the whole history of the two small exchanges that sum takers'
purchases themselves, over HTTP, against the truth of the generated market."""

import json
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestration.sandbox import truth
from orchestration.sandbox.generated import GeneratedMarket
from orchestration.sources import binance_us, poloniex
from orchestration.sources.body import Body, SourceError, Window
from orchestration.sources.daily_bars import DAY_MS, ms
from orchestration.sources.exchange import Exchange, Klines
from orchestration.sources.http import Http
from tests.test_faults import sandbox
from tests.test_sources import Script, body, check_parsed, mutated, rows

FIRST = date(2026, 3, 1)


def candle(day: int = 0, **changes) -> list:
    """One candle of SOL_USDT, `day` days after 2026-03-01; changes by the name of a field."""
    opened = ms(FIRST) + day * DAY_MS
    fields = {
        "low": "147.01",
        "high": "151.2",
        "open": "148.97",
        "close": "150.5",
        "amount": "149074.5",
        "quantity": "1000.5",
        "taker_amount": "59637.25",
        "taker_quantity": "400.25",
        "trades": 1234,
        "ts": opened + DAY_MS + 512,
        "mean": "149.000000000000000000",
        "interval": "DAY_1",
        "opened": opened,
        "closed": opened + DAY_MS - 1,
    }
    return list((fields | changes).values())


def page(content: object, now: str = "2026-04-01T00:00:00", start: str = "2026-03-01", end: str = "2026-03-08") -> Body:
    return body("poloniex", "spot_flows", content, symbol="SOL_USDT", start=start, end=end, now=now)


def flows(content: object, **options: str) -> list[dict]:
    parsed = poloniex.parse_flows(page(content, **options))
    assert parsed.refused == []
    return rows(parsed, "spot_flows")


def test_candles_field_by_field():
    first, second = flows([candle(0), candle(1)])
    assert first == {
        "exchange": "poloniex",
        "symbol": "SOL_USDT",
        "utc_date": date(2026, 3, 1),
        "open_price": 148.97,
        "high_price": 151.2,
        "low_price": 147.01,
        "close_price": 150.5,
        "open_price_text": "148.97",
        "high_price_text": "151.2",
        "low_price_text": "147.01",
        "close_price_text": "150.5",
        "volume_base": Decimal("1000.5"),
        "volume_quote": Decimal("149074.5"),
        "taker_buy_base": Decimal("400.25"),
        "taker_buy_quote": Decimal("59637.25"),
        "trade_count": 1234,
        "source_kind": "klines",
        "body_sha256": page([candle(0), candle(1)]).sha256,
    }
    assert second["utc_date"] == date(2026, 3, 2)
    assert flows([]) == []


@pytest.mark.parametrize("content", [[candle(0)], json.dumps([candle(0)], separators=(",", ":")).encode()])
def test_spaces_do_not_matter(content: object):
    (row,) = flows(content)
    assert (row["volume_quote"], row["taker_buy_quote"]) == (Decimal("149074.5"), Decimal("59637.25"))


SILENT = {"taker_amount": "0", "taker_quantity": "0", "trades": 0, "ts": 0}


def test_a_volume_of_no_trades_does_not_tell_what_takers_bought():
    """The form of candles from before 2022-08: 0 stands for what is not known."""
    old, new = flows([candle(0, **SILENT), candle(1)])
    assert (old["taker_buy_quote"], old["taker_buy_base"], old["trade_count"]) == (None, None, None)
    assert (old["volume_quote"], old["volume_base"]) == (Decimal("149074.5"), Decimal("1000.5"))
    assert (new["taker_buy_quote"], new["trade_count"]) == (Decimal("59637.25"), 1234)


@pytest.mark.parametrize(
    "changes",
    [
        {**SILENT, "amount": "0", "quantity": "0.00"},
        {**SILENT, "trades": 3},
        {**SILENT, "taker_amount": "0.01"},
        {**SILENT, "taker_quantity": "1E-8"},
    ],
)
def test_what_is_told_is_kept_be_it_zero(changes: dict):
    row, _ = flows([candle(0, **changes), candle(1)])
    expected = [Decimal(changes["taker_amount"]), Decimal(changes["taker_quantity"]), changes["trades"]]
    assert [row["taker_buy_quote"], row["taker_buy_base"], row["trade_count"]] == expected


@pytest.mark.parametrize(
    ("now", "days"),
    [("2026-03-03T12:00:00", 2), ("2026-03-03T23:59:59.999000", 2), ("2026-03-04T00:00:00", 3)],
)
def test_a_candle_still_open_by_the_exchanges_clock_is_left_out(now: str, days: int):
    assert len(flows([candle(day) for day in range(3)], now=now)) == days


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (candle(1, amount="NaN"), "volume_quote 'NaN' is not a finite number"),
        (candle(1, taker_amount="1e308"), "taker_buy_quote '1e308' has more than 26 digits before the point"),
        (candle(1, amount=None), "volume_quote is missing"),
        (candle(1, close="-"), "close_price '-' is not a finite number"),
        (candle(1, opened=ms(FIRST) + DAY_MS + 1), "which is not 00:00 UTC of a day in milliseconds"),
        (candle(1, opened=(ms(FIRST) + DAY_MS) * 1000), "outside of the days that were asked for"),
        (candle(8), "outside of the days that were asked for"),
        (candle(-1), "outside of the days that were asked for"),
        (candle(1, interval="HOUR_12"), "is a candle of HOUR_12 and not of DAY_1"),
        (candle(1, interval=None), "and not of DAY_1"),
    ],
)
def test_one_bad_candle_is_refused_with_its_reason_and_the_others_stay(bad: list, why: str):
    parsed = poloniex.parse_flows(page([candle(0), bad, candle(0), candle(2)]))
    assert [row["utc_date"].day for row in rows(parsed, "spot_flows")] == [1, 3]
    (refused,) = parsed.refused
    assert refused.table == "spot_flows" and why in refused.reason
    assert refused.key == f"poloniex SOL_USDT {bad[12]}" and json.loads(refused.row) == bad
    assert refused.day in (None, FIRST + timedelta(days=1))


def test_a_missing_amount_hides_nothing_else():
    row, _ = flows([candle(0, taker_quantity=None, quantity=None), candle(1, **SILENT)])
    assert (row["taker_buy_base"], row["trade_count"]) == (None, 1234)
    assert row["taker_buy_quote"] == Decimal("59637.25")


@pytest.mark.parametrize(
    "content",
    [
        {"code": 24101, "message": "Invalid symbol"},
        [candle()[:13]],
        [[*candle(), 1]],
        [candle(trades="5")],
        [candle(closed=None)],
        [candle(opened=True)],
        [candle(low=1.5)],
        [{"low": "1"}],
        None,
        b"<html></html>",
        b"[[",
    ],
)
def test_what_are_no_candles_is_said(content: object):
    with pytest.raises(SourceError, match=r"https://poloniex\.example/x"):
        poloniex.parse_flows(page(content))


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_any_body_gives_rows_or_a_source_error(data: st.DataObject):
    content = data.draw(mutated([candle(0), candle(1, **SILENT), candle(2)]))
    try:
        parsed = poloniex.parse_flows(page(content))
    except SourceError as error:
        assert "https://" in str(error)
    else:
        check_parsed(parsed)


# --- asking


@pytest.mark.parametrize(("days", "pages"), [(1, 1), (500, 1), (501, 2), (1300, 3)])
def test_no_request_asks_for_more_days_than_a_page_holds(days: int, pages: int):
    """Of more the exchange would give the newest only."""
    http, end = Script([]), FIRST + timedelta(days=days)
    now = datetime(2031, 1, 1, 0, 30)
    bodies = list(poloniex.fetch_flows(http, "SOL_USDT", Window(FIRST, end), now))  # pyright: ignore[reportArgumentType]
    starts = [FIRST + timedelta(days=500 * n) for n in range(pages)]
    ends = [*starts[1:], end]
    assert [(a["startTime"], a["endTime"]) for a in http.asked] == [
        (ms(first), ms(last) - 1) for first, last in zip(starts, ends, strict=True)
    ]
    assert all((a["interval"], a["limit"]) == ("DAY_1", 500) for a in http.asked)
    assert {a["path"] for a in http.asked} == {"/markets/SOL_USDT/candles"}
    assert [(b.context["start"], b.context["end"]) for b in bodies] == [
        (first.isoformat(), last.isoformat()) for first, last in zip(starts, ends, strict=True)
    ]
    assert {b.context["now"] for b in bodies} == {now.isoformat()}


def test_a_symbol_cannot_leave_its_place_in_the_path():
    http = Script([])
    list(poloniex.fetch_flows(http, "A/../B?_é", Window(FIRST, date(2026, 3, 2)), datetime(2026, 4, 1)))  # pyright: ignore[reportArgumentType]
    assert http.asked[0]["path"] == "/markets/A%2F..%2FB%3F_%C3%A9/candles"


MARKET = {"symbol": "SOL_USDT", "baseCurrencyName": "sol", "quoteCurrencyName": "USDT", "state": "NORMAL"}


def test_markets_and_the_clock():
    http = Script({"serverTime": ms(FIRST) + 1500}, [MARKET, MARKET | {"symbol": "A_BTC", "state": "POST_ONLY"}])
    (listing,) = poloniex.fetch_symbols(http)  # pyright: ignore[reportArgumentType]
    assert [a["path"] for a in http.asked] == ["/timestamp", "/markets"]
    assert poloniex.server_time(listing) == datetime(2026, 3, 1, 0, 0, 1, 500_000)
    found = rows(poloniex.parse_symbols(listing), "spot_symbols")
    assert [(r["symbol"], r["base_asset"], r["quote_asset"], r["status"], r["is_trading"]) for r in found] == [
        ("SOL_USDT", "SOL", "USDT", "NORMAL", True),
        ("A_BTC", "SOL", "USDT", "POST_ONLY", False),
    ]


@pytest.mark.parametrize("clock", [{}, [], {"serverTime": "1"}, {"serverTime": 1 << 60}, b'{"serverTime":NaN}', None])
def test_a_clock_that_tells_no_time_is_said(clock: object):
    with pytest.raises(SourceError, match="no serverTime in milliseconds"):
        list(poloniex.fetch_symbols(Script(clock, [MARKET])))  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    "content",
    [{}, {"code": 500, "message": "System error"}, None, "x", [[]], [{}], [MARKET | {"symbol": 5}], ["SOL_USDT"]],
)
def test_what_is_no_list_of_markets_is_said(content: object):
    with pytest.raises(SourceError, match=r"https://poloniex\.example/x: "):
        poloniex.parse_symbols(body("poloniex", "spot_symbols", content))


# --- over HTTP, against the truth

NOW, SIZE, START = date(2026, 2, 1), 14, date(2020, 1, 1)


@pytest.fixture(scope="module")
def http() -> Iterator[Http]:
    with sandbox("--now", str(NOW), "--size", str(SIZE)) as url:
        client = Http(url)
        yield client
        client.close()


@pytest.mark.parametrize(("name", "exchange"), [("binance_us", binance_us.EXCHANGE), ("poloniex", poloniex.EXCHANGE)])
def test_the_whole_history_is_the_truth_to_the_last_digit(name: str, exchange: Exchange, http: Http):
    assert isinstance(exchange.flows, Klines) and exchange.server_time
    (listing,) = exchange.fetch_symbols(http)
    now = exchange.server_time(listing)
    assert now == datetime(NOW.year, NOW.month, NOW.day)
    symbols = exchange.parse_symbols(listing).tables["spot_symbols"]
    window = Window(START, NOW)
    bodies = [b for s in symbols["symbol"].to_pylist() for b in exchange.flows.fetch(http, s, window, now)]
    parsed = exchange.flows.parse(*bodies)
    assert not parsed.refused and not parsed.rounded_count
    table = parsed.tables["spot_flows"]
    sold = pa.array([r["volume_quote"] - r["taker_buy_quote"] for r in table.to_pylist()])
    found = table.select(["exchange", "symbol", "utc_date", "taker_buy_quote"]).append_column("taker_sell_quote", sold)
    wanted = truth.flows(GeneratedMarket(NOW, size=SIZE), [name])
    order = [("symbol", "ascending"), ("utc_date", "ascending")]
    assert wanted.num_rows > 15_000
    assert found.sort_by(order).to_pylist() == wanted.sort_by(order).to_pylist()
    assert {b.upstream for b in bodies} == set(symbols["exchange"].to_pylist()) == {name}
