"""HTX: two archives in one bucket and days of UTC+8; every UTC day of every pair comes to what the market says."""

from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path

import pytest

from orchestration.reduce import Task, reduce_file
from orchestration.sandbox.generated import GeneratedMarket
from orchestration.sources import htx
from orchestration.sources.body import Body, SourceError, Window
from orchestration.sources.http import Http
from tests.archives import NOON, Script, asking, assert_true, listed, page, reduced
from tests.served import check_oracle

OLD, NEW = (tree.root for tree in htx.TREES)
BUCKET = "huobi-service-data.s3.amazonaws.com/"


def key(root: str, name: str, day: str) -> str:
    return f"{root}{name}/{name}-trades-{day}.zip"


# --- listings by hand


def test_a_utc_day_is_in_two_files():
    http = Script(
        page(folders=[f"{NEW}BTC-USDT/"]),
        page(*((key(NEW, "BTC-USDT", f"2026-07-{day}"), 100 + day) for day in (28, 29, 30, 31))),
    )
    found = list(htx.list_files(http.http, ["BTC-USDT"], Window(date(2026, 7, 28), date(2026, 7, 29)), NOON))
    prefix = f"{NEW}BTC-USDT/BTC-USDT-trades-"
    assert http.asked == [
        (BUCKET, {"prefix": NEW, "delimiter": "/"}),
        (BUCKET, {"prefix": prefix, "marker": prefix + "2026-07-28"}),
    ]
    assert [(file.start, file.end) for file in found] == [
        (datetime(2026, 7, 27, 16), datetime(2026, 7, 28, 16)),
        (datetime(2026, 7, 28, 16), datetime(2026, 7, 29, 16)),
    ]
    assert found[0].url == f"https://{BUCKET}{key(NEW, 'BTC-USDT', '2026-07-28')}"
    assert (found[0].symbol, found[0].byte_count, found[0].due) == ("BTC-USDT", 128, datetime(2026, 7, 29, 16))
    assert found[0].etag == "tag of BTC-USDT-trades-2026-07-28.zip"
    assert htx.due(date(2026, 7, 28)) == found[1].due


def test_the_old_archive_ends_where_the_new_one_begins():
    """Both have files of February: the old one's have holes."""
    http = Script(
        page(folders=[f"{OLD}BTCUSDT/"]),
        page((key(OLD, "BTCUSDT", "2026-01-31"), 9), (key(OLD, "BTCUSDT", "2026-02-01"), 9)),
        page(folders=[f"{NEW}BTC-USDT/"]),
        page((key(NEW, "BTC-USDT", "2026-02-01"), 9), (key(NEW, "BTC-USDT", "2026-02-02"), 9)),
    )
    found = list(htx.list_files(http.http, ["BTC-USDT"], Window(date(2026, 1, 31), date(2026, 2, 1)), NOON))
    assert [(file.symbol, file.url.rpartition("/")[2]) for file in found] == [
        ("BTC-USDT", "BTCUSDT-trades-2026-01-31.zip"),
        ("BTC-USDT", "BTC-USDT-trades-2026-02-01.zip"),
    ]
    assert found[0].end == found[1].start


def test_folders_that_only_the_archive_knows_are_spelled_like_the_others():
    names = ["ABUSDT", "BTC3LUSDT", "GONEHUSD", "NOBODYKNOWS", "USDTRUB", "XYHT", "ZEC3SUSDT"]
    # Folders are asked for at the same time: each page holds the files of all, and its own are taken.
    every = page(*((key(OLD, name, "2024-03-01"), 9) for name in names))
    http = Script(page((f"{OLD}remark.txt", 5), folders=[f"{OLD}{name}/" for name in names]), *[every] * 4)
    # The API says that AB-USDT is A-BUSDT: it knows better.
    found = htx.list_files(http.http, ["A-BUSDT"], Window(date(2024, 3, 1), date(2024, 3, 2)), NOON)
    assert [file.symbol for file in found] == ["A-BUSDT", "GONE-HUSD", "USDT-RUB", "XY-HT"]
    assert not http.contents


def test_checksums_and_what_is_no_day_are_passed_over():
    names = [f"{NEW}BTC-USDT/BTC-USDT-trades-2026-07-28.{end}" for end in ("CHECKSUM", "zip", "zip.CHECKSUM")]
    http = Script(page(folders=[f"{NEW}BTC-USDT/"]), page(*((name, 9) for name in names)))
    found = htx.list_files(http.http, ["BTC-USDT"], Window(date(2026, 7, 28), date(2026, 7, 29)), NOON)
    assert [file.url for file in found] == [f"https://{BUCKET}{names[1]}"]


def test_nothing_is_asked_for_before_the_archive_begins():
    assert list(htx.list_files(Script().http, [], Window(date(2019, 1, 1), date(2020, 5, 30)), NOON)) == []


# --- pairs and clock


def test_the_clock_is_asked_first_and_kept_with_the_pairs():
    pair = {"base-currency": "btc", "quote-currency": "usdt", "symbol": "btcusdt", "state": "suspend"}
    http = Script({"status": "ok", "data": 1785283200123}, {"status": "ok", "data": [pair, pair]})
    (body,) = htx.fetch_symbols(http.http)
    assert [path for path, _ in http.asked] == [f"api.huobi.pro/v1/common/{name}" for name in ("timestamp", "symbols")]
    assert htx.server_time(body) == datetime(2026, 7, 29, 0, 0, 0, 123000)
    (row,) = htx.parse_symbols(body).tables["spot_symbols"].to_pylist()
    assert (row["symbol"], row["status"], row["is_trading"]) == ("BTC-USDT", "suspend", False)


@pytest.mark.parametrize("clock", [{"status": "error", "data": None}, [], {"data": float("nan")}])
def test_a_clock_that_tells_nothing_is_an_error(clock: object):
    with pytest.raises(SourceError, match="no time"):
        list(htx.fetch_symbols(Script(clock).http))


@pytest.mark.parametrize(
    "content", [b'{"status":"error","data":null}', b"[]", b'{"data":[5]}', b'{"data":[{"base-currency":5}]}', b"<html>"]
)
def test_what_is_no_list_of_pairs_is_an_error(content: bytes):
    with pytest.raises(SourceError, match="htx.example"):
        htx.parse_symbols(Body("htx", "spot_symbols", "https://htx.example/", 200, NOON, content))


# --- files


@pytest.mark.parametrize(
    "head", ["", "Trade ID,Trade Time,Trade Price,Volume (Base Currency),Side (buy/sell)\n"], ids=["none", "the last"]
)
def test_old_files_have_no_header_or_one_of_words(tmp_path: Path, head: str):
    path = tmp_path / "file"
    path.write_text(head + "102176219713,1620789069405,4268.68,0.0231,buy\n102176219714,1620789069406,4268,1E-3,sell\n")
    covers = datetime(2021, 5, 11, 16), datetime(2021, 5, 12, 16)
    done = reduce_file(Task(str(path), "htx", htx.LAYOUT, "ETH-USDT", covers))
    (day,) = done.sums.values()
    assert not done.refused.count and (day.all.count, day.buys.count) == (2, 1)
    assert (str(day.buys.quote), str(day.all.quote - day.buys.quote)) == ("98.606508", "4.268000")


@pytest.mark.recorded
def test_the_recorded_file_comes_to_what_was_worked_out_independently(tmp_path: Path, shared: Path):
    check_oracle(shared, tmp_path, htx.EXCHANGE, "htx/spot_trades_BTC-USDT_2026-07-29.csv", "BTC-USDT")


# --- the generated market


@pytest.fixture(scope="module")
def market() -> GeneratedMarket:
    return GeneratedMarket(date(2026, 2, 8), size=14, start=date(2026, 1, 20), exchanges=("binance", "htx"))


@pytest.fixture(scope="module")
def http(market: GeneratedMarket) -> Iterator[Http]:
    with asking(market) as http:
        yield http


def test_every_utc_day_over_the_change_of_archives_is_what_the_market_says(
    market: GeneratedMarket, http: Http, tmp_path: Path
):
    window = Window(date(2026, 1, 28), date(2026, 2, 6))
    files = listed(htx.EXCHANGE, http, window)
    trading = [pair for pair in market.listings("htx").values() if pair.end is None]
    assert len(files) == 10 * len(trading) > 80 and {file.url.split("/")[3] for file in files} == {
        "data",
        "historical_data",
    }
    sums = assert_true(market, "htx", reduced(htx.EXCHANGE, http, files, tmp_path), window)
    assert len(sums) == 9 * len(trading) and ("BTC-USDT", window.start) in sums


def test_one_file_alone_is_two_thirds_of_a_day(market: GeneratedMarket, http: Http, tmp_path: Path):
    day = date(2026, 2, 3)
    files = [file for file in listed(htx.EXCHANGE, http, Window(day, date(2026, 2, 4))) if file.symbol == "BTC-USDT"]
    with pytest.raises(AssertionError):
        assert_true(market, "htx", reduced(htx.EXCHANGE, http, files[:1], tmp_path), Window(day, date(2026, 2, 4)))


def test_the_newest_file_is_of_the_day_that_ended_last(http: Http):
    files = listed(htx.EXCHANGE, http, Window(date(2026, 2, 5), date(2026, 2, 8)))
    assert max(file.end for file in files) == datetime(2026, 2, 7, 16)
