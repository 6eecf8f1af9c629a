"""Bybit: days and months lie side by side, listed from where a window begins; ids begin anew every day."""

from datetime import date, datetime
from pathlib import Path
from typing import cast

import pytest

from orchestration.plan_files import is_long
from orchestration.reduce import Task, reduce_file
from orchestration.sandbox.archive_text import gzipped
from orchestration.sandbox.generated import GeneratedMarket
from orchestration.sources import bybit
from orchestration.sources.body import SourceError, Window
from orchestration.sources.exchange import TradeFiles
from orchestration.sources.http import Http
from tests.served import (
    Listings,
    check_403_stops,
    check_oracle,
    downloaded,
    reduced,
    served,
    sides,
    truth_of,
    upstreams,
)
from tests.test_sources import Script, body

FLOWS = cast(TradeFiles, bybit.EXCHANGE.flows)
NOW = datetime(2025, 3, 9)
KEYS = [
    *(
        f"spot/{name}/{name}-{month}.csv.gz"
        for name in ("AUSDT", "GONEETH")
        for month in ("2024-12", "2025-01", "2025-02")
    ),
    *(f"spot/{name}/{name}_2025-{day}.csv.gz" for name in ("AUSDT", "GONEETH") for day in ("01-31", "02-01", "02-02")),
    *(f"spot/AUSDT/AUSDT_2025-03-0{day}.csv.gz" for day in range(1, 9)),
    "spot/AUSDT/index.html",
    "spot/AUSDT/AUSDT_2025-02-30.csv.gz",
    "spot/AUSDT/BUSDT_2025-02-01.csv.gz",
    "spot/..;'/..;'_2025-02-01.csv.gz",
]


def listed(http: Listings, start: date, end: date, now: datetime = NOW) -> list[tuple]:
    found = bybit.list_files(http, ["AUSDT", "NEW"], Window(start, end), now)  # pyright: ignore
    return [(file.symbol, file.url.rpartition("/")[2].removesuffix(".csv.gz")) for file in found]


def page(*names: str, cursor: str = "", **envelope: object) -> dict:
    rows = [{"symbol": name + "USDT", "baseCoin": name, "quoteCoin": "USDT", "status": "Trading"} for name in names]
    result = {"category": "spot", "list": rows, **({"nextPageCursor": cursor} if cursor else {})}
    return {"retCode": 0, "retMsg": "OK", "result": result, "time": 1672712468011, **envelope}


def test_pages_of_instruments_are_followed_by_their_cursor():
    http = Script(page("A", cursor="x"), page("B", cursor="y"), page("C"))
    bodies = list(bybit.fetch_symbols(http))  # pyright: ignore
    assert [asked.get("cursor") for asked in http.asked] == [None, "x", "y"]
    names = [bybit.parse_symbols(each).tables["spot_symbols"]["symbol"].to_pylist() for each in bodies]
    assert names == [["AUSDT"], ["BUSDT"], ["CUSDT"]]
    assert bybit.server_time(bodies[0]) == datetime(2023, 1, 3, 2, 21, 8, 11000)


def test_a_cursor_that_comes_again_ends_it():
    with pytest.raises(SourceError, match="do not end"):
        list(bybit.fetch_symbols(Script(page("A", cursor="x"))))  # pyright: ignore


@pytest.mark.parametrize(
    "content", [page(retCode=10001, result={}), [], {"retCode": 0}, page() | {"result": {"list": [{}]}}]
)
def test_what_is_no_list_of_instruments_is_said(content: object):
    with pytest.raises(SourceError):
        bybit.parse_symbols(body("bybit", "spot_symbols", content))


@pytest.mark.parametrize("time", [None, "1672712468011", 10**30])
def test_a_clock_that_tells_no_time_is_no_answer(time: object):
    with pytest.raises(SourceError):
        bybit.server_time(body("bybit", "spot_symbols", page(time=time)))


@pytest.mark.parametrize(
    ("symbol", "pair"),
    [
        ("BTCUSDT", ("BTC", "USDT")),
        ("USDEUSDT", ("USDE", "USDT")),
        ("USDTBRL", ("USDT", "BRL")),
        ("ETHUSDE", ("ETH", "USDE")),
        ("BTC3LUSDT", ("BTC3L", "USDT")),
        ("SOLBTC", ("SOL", "BTC")),
        ("BTCDAI", ("BTC", "DAI")),
        ("USDT", None),
        ("FOOBAR", None),
        ("", None),
    ],
)
def test_a_name_is_split_by_the_longest_quote(symbol: str, pair: tuple | None):
    assert bybit.pair_of(symbol) == pair


def test_only_what_the_window_touches_is_listed_also_of_who_is_gone():
    http = Listings(*KEYS)
    assert listed(http, date(2025, 2, 1), date(2025, 2, 3)) == [
        ("AUSDT", "AUSDT-2025-02"),
        ("AUSDT", "AUSDT_2025-02-01"),
        ("AUSDT", "AUSDT_2025-02-02"),
        ("GONEETH", "GONEETH-2025-02"),
        ("GONEETH", "GONEETH_2025-02-01"),
        ("GONEETH", "GONEETH_2025-02-02"),
    ]
    assert sorted(http.asked) == [
        ("spot/", ""),
        ("spot/AUSDT/AUSDT-", "spot/AUSDT/AUSDT-2025-02"),
        ("spot/AUSDT/AUSDT_", "spot/AUSDT/AUSDT_2025-02-01"),
        ("spot/GONEETH/GONEETH-", "spot/GONEETH/GONEETH-2025-02"),
        ("spot/GONEETH/GONEETH_", "spot/GONEETH/GONEETH_2025-02-01"),
    ]


def test_the_file_of_a_month_that_is_not_over_is_not_asked_for():
    http = Listings(*KEYS)
    assert [name for _, name in listed(http, date(2025, 3, 7), date(2025, 3, 9))] == [
        "AUSDT_2025-03-07",
        "AUSDT_2025-03-08",
    ]
    assert not [prefix for prefix, _ in http.asked if prefix.endswith("-")]


def test_pages_of_a_listing_end_with_the_window():
    http = Listings(*KEYS, page=2)
    assert len(listed(http, date(2025, 3, 1), date(2025, 3, 4))) == 3
    assert [marker for prefix, marker in http.asked if prefix == "spot/AUSDT/AUSDT_"] == [
        "spot/AUSDT/AUSDT_2025-03-01",
        "spot/AUSDT/AUSDT_2025-03-02.csv.gz",
    ]


def test_a_file_says_what_it_covers_and_when_it_was_due():
    http = Listings("spot/AUSDT/AUSDT-2024-12.csv.gz", "spot/AUSDT/AUSDT_2025-01-01.csv.gz")
    month, day = bybit.list_files(http, [], Window(date(2024, 12, 31), date(2025, 1, 3)), NOW)  # pyright: ignore
    assert (month.url, month.byte_count, month.etag) == (f"https://public.bybit.com/{http.keys[0]}", 31, "1f")
    assert (month.start, month.end, month.due) == (
        datetime(2024, 12, 1),
        datetime(2025, 1, 1),
        datetime(2025, 1, 1, 8),
    )
    assert (day.start, day.end, day.due) == (datetime(2025, 1, 1), datetime(2025, 1, 2), bybit.due(date(2025, 1, 1)))


def test_nothing_is_asked_for_before_the_archive_begins():
    http = Listings(*KEYS)
    assert listed(http, date(2020, 1, 1), date(2022, 11, 10)) == [] == http.asked


def test_a_folder_that_cannot_be_listed_is_named_and_the_others_are_listed():
    found = bybit.list_files(Listings(*KEYS, failing="AUSDT"), [], Window(date(2025, 2, 1), date(2025, 2, 2)), NOW)  # pyright: ignore
    assert [next(found).symbol, next(found).symbol] == ["GONEETH", "GONEETH"]
    with pytest.raises(SourceError, match=r"1 folders were not listed \(AUSDT\)"):
        next(found)


def test_the_recorded_file_gives_the_expected_sums(shared: Path, tmp_path: Path):
    check_oracle(shared, tmp_path, bybit.EXCHANGE, "bybit/spot_trades_BTCUSDT_2026-07-29.csv", "BTCUSDT")


def test_an_empty_gzip_is_a_day_without_trades(tmp_path: Path):
    """Recorded of 2022-12-12: 42 to 44 bytes."""
    path = tmp_path / "BTCUSDT_2022-12-12.csv.gz"
    path.write_bytes(gzipped("BTCUSDT_2022-12-12.csv", b""))
    done = reduce_file(Task(str(path), path.name, bybit.LAYOUT, "BTCUSDT"))
    assert (done.byte_count, done.sums, done.trade_count, done.refused.count) == (43, {}, 0, 0)


def test_days_and_months_over_http_come_to_what_the_market_traded(tmp_path: Path):
    start, end = date(2025, 2, 26), date(2025, 3, 4)
    market = GeneratedMarket(date(2025, 3, 9), size=12, start=date(2025, 1, 28), exchanges=("binance", "bybit"))
    with served(upstreams(market)) as url:
        http = Http(url)
        (instruments,) = bybit.fetch_symbols(http)
        assert bybit.server_time(instruments) == datetime(2025, 3, 9)
        symbols = bybit.parse_symbols(instruments).tables["spot_symbols"].to_pylist()
        found = list(bybit.list_files(http, [], Window(start, end), NOW))
        days, months = [f for f in found if not is_long(f)], [f for f in found if is_long(f)]
        by_day = sides(reduced(http, FLOWS, days, tmp_path), start, end)
        by_month = sides(reduced(http, FLOWS, months, tmp_path), date(2025, 2, 1), date(2025, 3, 1))
        content = downloaded(http, FLOWS, days[0], tmp_path / "trades")
        assert len(content) == days[0].byte_count and days[0].etag
        http.close()
    wanted = truth_of(market, "bybit", start, end)
    assert by_day == wanted and len(wanted) > 60
    assert by_month == truth_of(market, "bybit", date(2025, 2, 1), date(2025, 3, 1)) and len(by_month) > 300
    pairs = {row["symbol"]: (row["base_asset"], row["quote_asset"]) for row in symbols}
    assert {symbol: bybit.pair_of(symbol) for symbol in pairs} == pairs


def test_a_403_stops_the_venue(tmp_path: Path):
    check_403_stops(bybit.EXCHANGE, "/spot/BTCUSDT/BTCUSDT_2025-03-01.csv.gz", tmp_path)
