"""OKX: two files make a UTC day, whatever their form and place; hours told by the exchange make an estimate."""

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import cast

import pytest

from orchestration.records import TAKER_ESTIMATES
from orchestration.reduce import Task, reduce_file
from orchestration.sandbox.generated import GeneratedMarket
from orchestration.sources import okx
from orchestration.sources.body import Body, SourceError, Window
from orchestration.sources.exchange import TradeFiles
from orchestration.sources.http import Http
from tests.served import check_403_stops, check_oracle, downloaded, reduced, served, sides, truth_of, upstreams
from tests.test_sources import Script, body

FLOWS = cast(TradeFiles, okx.EXCHANGE.flows)
NOW = datetime(2026, 3, 8)
ROOT = "https://static.okx.com/cdn/okex/traderecords/trades"
INSTRUMENTS = {"code": "0", "msg": "", "data": [{"instId": "A-B", "baseCcy": "A", "quoteCcy": "B", "state": "live"}]}


def files(start: date, end: date):
    return list(okx.list_files(Http(), [], Window(start, end), NOW))


def test_the_clock_is_asked_for_and_goes_with_the_instruments():
    http = Script({"code": "0", "msg": "", "data": [{"ts": "1772366400123"}]}, INSTRUMENTS)
    (listed,) = okx.fetch_symbols(http)  # pyright: ignore
    assert okx.server_time(listed) == datetime(2026, 3, 1, 12, 0, 0, 123000)
    assert [asked["path"] for asked in http.asked] == ["/api/v5/public/time", "/api/v5/public/instruments"]
    assert json.loads(listed.content) == INSTRUMENTS


@pytest.mark.parametrize("told", [[], [{}], [{"ts": "soon"}], [{"ts": "9" * 30}], "now", None])
def test_a_clock_that_tells_no_time_is_no_answer(told: object):
    with pytest.raises(SourceError):
        list(okx.fetch_symbols(Script({"code": "0", "data": told})))  # pyright: ignore


@pytest.mark.parametrize(
    "content", [{"code": "51000", "msg": "error", "data": []}, {"code": "0"}, [], {"code": "0", "data": [{}]}]
)
def test_what_is_no_list_of_instruments_is_said(content: object):
    with pytest.raises(SourceError):
        okx.parse_symbols(body("okx", "spot_symbols", content))


def test_two_days_of_utc_are_in_three_files_of_a_clock_eight_hours_ahead():
    old, new, last = files(date(2024, 12, 31), date(2025, 1, 2))
    assert old.url == f"{ROOT}/monthly/202412/allspot-trades-2024-12-31.zip"
    assert old.also == (f"{ROOT}/daily/20241231/allspot-trades-2024-12-31.zip",)
    assert new.url == f"{ROOT}/daily/20250101/allspot-trades-2025-01-01.zip"
    assert new.also == (f"{ROOT}/monthly/202501/allspot-trades-2025-01-01.zip",)
    assert (old.start, old.end, old.symbol) == (datetime(2024, 12, 30, 16), datetime(2024, 12, 31, 16), None)
    assert (new.start, last.end) == (old.end, datetime(2025, 1, 2, 16))
    assert last.due == datetime(2025, 1, 4) == okx.due(date(2025, 1, 1))


def test_nothing_is_asked_for_before_the_first_file():
    assert [file.end for file in files(date(2021, 8, 1), date(2021, 9, 2))] == [
        datetime(2021, 9, 1, 16),
        datetime(2021, 9, 2, 16),
    ]
    assert files(date(2020, 1, 1), date(2021, 8, 31)) == [] == files(date(2025, 1, 1), date(2025, 1, 1))


def test_the_recorded_file_gives_the_expected_sums(shared: Path, tmp_path: Path):
    check_oracle(shared, tmp_path, okx.EXCHANGE, "okx/spot_trades_BTC-USDT_2026-07-29.csv", None)


@pytest.mark.parametrize("encoding", ["gbk", "utf-8"])
def test_the_header_is_read_by_what_stands_before_the_slash_and_sides_in_any_case(tmp_path: Path, encoding: str):
    header = (
        "side/交易方向,instrument_name/交易币对名,price/价格,size/数量,created_time/成交时间,trade_id/撮合id,source"
    )
    lines = [header, "BUY,A-B,2,1E+1,1785254400000,1,0", "sell,A-B,3,1e-3,1785254400001,2,1"]
    path = tmp_path / "old.csv"
    path.write_bytes("\n".join(lines).encode(encoding))
    (total,) = reduce_file(Task(str(path), "old", okx.LAYOUT, None)).sums.values()
    assert (total.buys.quote, total.all.quote) == (Decimal(20), Decimal("20.003"))


@pytest.mark.parametrize(
    ("begins", "start", "end", "now"),
    [
        # The form of the files changes inside of the window, then their folder.
        (date(2022, 12, 20), date(2022, 12, 30), date(2023, 1, 3), date(2023, 1, 6)),
        (date(2024, 12, 20), date(2024, 12, 30), date(2025, 1, 3), date(2025, 1, 6)),
    ],
)
def test_files_over_http_come_to_what_the_market_traded(
    begins: date, start: date, end: date, now: date, tmp_path: Path
):
    market = GeneratedMarket(now, size=12, start=begins, exchanges=("binance", "okx"))
    with served(upstreams(market)) as url:
        http = Http(url)
        (listed,) = okx.fetch_symbols(http)
        assert okx.server_time(listed) == datetime(now.year, now.month, now.day)
        symbols = okx.parse_symbols(listed).tables["spot_symbols"]["symbol"].to_pylist()
        found = sides(reduced(http, FLOWS, files(start, end), tmp_path), start, end)
        early = files(now - timedelta(days=1), now)[0]
        assert early.due > datetime(now.year, now.month, now.day)
        with pytest.raises(SourceError) as caught:
            downloaded(http, FLOWS, early, tmp_path / "early")
        assert caught.value.status == 404
        http.close()
    wanted = truth_of(market, "okx", start, end)
    assert found == wanted and len(wanted) > 20 and {symbol for symbol, _ in wanted} <= set(symbols)
    assert all(okx.pair_of(symbol) for symbol, _ in wanted)


def test_a_403_stops_the_venue(tmp_path: Path):
    check_403_stops(
        okx.EXCHANGE, "/cdn/okex/traderecords/trades/daily/20250101/allspot-trades-2025-01-01.zip", tmp_path
    )


# --- estimates


def hours(day: date, count: int = 24, sold: str = "2", bought: str = "1.5") -> list[list[str]]:
    midnight = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() * 1000)
    return [[str(midnight + hour * 3_600_000), sold, bought] for hour in range(count)]


def estimate(rows: list, start: str = "2026-03-01", end: str = "2026-03-08", now: str = "2026-03-08T00:00:00") -> list:
    told: Body = body("okx", "taker_estimates", {"code": "0", "data": rows}, asset="SOL", start=start, end=end, now=now)
    table = okx.parse_estimate(told)
    assert table.schema.equals(TAKER_ESTIMATES.schema)
    return [(r["utc_date"].day, r["taker_buy_base"], r["taker_sell_base"]) for r in table.to_pylist()]


def test_an_hour_is_time_sold_bought_in_this_order():
    rows = hours(date(2026, 3, 1)) + hours(date(2026, 3, 2), sold="0.0001", bought="0")
    assert estimate(rows[::-1]) == [(1, Decimal(36), Decimal(48)), (2, Decimal(0), Decimal("0.0024"))]


@pytest.mark.parametrize(
    "rows",
    [
        hours(date(2026, 3, 1), 23),
        hours(date(2026, 3, 1))[1:],
        [*hours(date(2026, 3, 1), 23), ["1772406000000", "NaN", "1"]],
        [*hours(date(2026, 3, 1), 23), ["1772406000000", "1", None]],
        [*hours(date(2026, 3, 1), 23), ["1772406000000", "-1", "1"]],
        [*hours(date(2026, 3, 1), 23), ["1772406000001", "1", "1"]],
        [*hours(date(2026, 3, 1)), ["1772406000000", "2", "1"]],
        [*hours(date(2026, 3, 1), 23), {}, "row", 7],
        hours(date(2026, 2, 28)),
        hours(date(2026, 3, 8)),
    ],
)
def test_a_day_counts_only_with_all_its_hours_known(rows: list):
    assert estimate(rows) == []


def test_a_row_that_comes_again_is_no_other_and_an_hour_that_is_open_is_none():
    rows = hours(date(2026, 3, 7))
    assert estimate([*rows, rows[3]]) == [(7, Decimal(36), Decimal(48))]
    assert estimate(rows, now="2026-03-07T23:59:59") == []


def test_an_estimate_is_not_asked_for_where_no_whole_day_can_be_had():
    told = {"code": "0", "data": []}
    http = Script(told)
    window = Window(date(2026, 1, 1), date(2026, 2, 6))
    assert not list(okx.fetch_estimate(http, "SOL", window, NOW)) and not http.asked  # pyright: ignore
    window = Window(date(2026, 1, 1), date(2026, 2, 7))
    (answer,) = okx.fetch_estimate(http, "SOL", window, NOW)  # pyright: ignore
    assert answer.context["start"] == "2026-02-06" and answer.context["end"] == "2026-02-07"
    assert http.asked[0]["period"] == "1H" and http.asked[0]["instType"] == "SPOT"
    (answer,) = okx.fetch_estimate(http, "SOL", window, NOW - timedelta(seconds=1))  # pyright: ignore
    assert answer.context["start"] == "2026-02-06"


def test_currencies_of_which_estimates_are_told_are_those_of_spot():
    told = {"code": "0", "msg": "", "data": {"contract": ["XRP"], "option": [], "spot": ["BTC", "sol"]}}
    (answer,) = okx.fetch_estimated(Script(told))  # pyright: ignore
    assert okx.parse_estimated(answer) == {"BTC", "SOL"}


@pytest.mark.parametrize("told", [{"code": "50011", "data": []}, {"data": {"spot": [1]}}, {"data": {}}, [], None])
def test_what_is_no_list_of_currencies_is_said(told: object):
    with pytest.raises(SourceError):
        okx.parse_estimated(body("okx", "estimated_assets", told))


@pytest.fixture(scope="module")
def today() -> GeneratedMarket:
    return GeneratedMarket(date(2025, 3, 9), size=12, start=date(2025, 2, 20), exchanges=("binance", "okx"))


def test_estimates_over_http_are_what_the_market_traded_and_nobody_is_asked_too_often(today: GeneratedMarket):
    window = Window(date(2025, 3, 6), date(2025, 3, 9))
    application = upstreams(today, weight_limit=6000)
    currencies = sorted({pair.base for pair in today.listings("okx").values() if pair.end is None})[:7]
    found = {}
    with served(application) as url:
        http = Http(url)
        for currency in currencies:
            for answer in okx.fetch_estimate(http, currency, window, datetime(2025, 3, 9)):
                for row in okx.parse_estimate(answer).to_pylist():
                    found[currency, row["utc_date"]] = row["taker_buy_base"], row["taker_sell_base"]
        http.close()
    assert dict(application.statuses) == {200: len(currencies)}
    assert len(found) == 3 * len(currencies)
    for (currency, day), told in found.items():
        wanted = traded(today, currency, day)
        # Each hour is rounded to four decimals.
        assert all(abs(a - b) <= 24 * Decimal("0.00005") for a, b in zip(told, wanted, strict=True))
    assert any(buy != sell for buy, sell in found.values())


def traded(market: GeneratedMarket, currency: str, day: date) -> Iterator[Decimal]:
    """Bought and sold on a day over all pairs of `currency`."""
    bought = both = Decimal(0)
    for name, pair in market.listings("okx").items():
        bars = market.bars("okx", name, "1d") if pair.base == currency else None
        if bars is None:
            continue
        for i in range(len(bars.times_ms)):
            if bars.times_ms[i] // 86_400_000 == (day - date(1970, 1, 1)).days:
                bought += Decimal(int(bars.taker_buy_base[i])).scaleb(-bars.base_decimals)
                both += Decimal(int(bars.volume_base[i])).scaleb(-bars.base_decimals)
    yield from (bought, both - bought)
