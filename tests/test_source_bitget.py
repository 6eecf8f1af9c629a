"""Bitget: names from an index, parts of days of UTC+8; every UTC day of every pair comes to what the market says."""

from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path

import pytest

from orchestration.sandbox.generated import GeneratedMarket
from orchestration.sources import bitget
from orchestration.sources.body import Body, SourceError, Window
from orchestration.sources.http import Http
from tests.archives import NOON, Script, asking, assert_true, listed, reduced
from tests.served import check_oracle

FILES = "https://img.bitgetimg.com/online/trades/SPBL/"
DAY = Window(date(2026, 7, 27), date(2026, 7, 28))


def row(name: str, file: str) -> dict[str, str]:
    """A file of `name` (BASE/QUOTE) in the index; `fileName` is a label, and says nothing."""
    return {"dateTimeStr": "?", "displayName": name, "fileName": "label.zip", "fileUrl": FILES + file}


def index(*rows: dict[str, str]) -> dict:
    return {"code": "200", "msg": "success", "data": list(rows)}


def files(answers: list, symbols: list[str], window: Window = DAY) -> list:
    return list(bitget.list_files(Script(*answers).http, symbols, window, NOON))


# --- the index by hand


def test_a_utc_day_is_in_the_files_of_two_days():
    http = Script(index(row("BTC/USDT", "BTCUSDT/20260727_001.zip"), row("BTC/USDT", "BTCUSDT/20260728_001.zip")))
    found = list(bitget.list_files(http.http, ["BTCUSDT"], DAY, NOON))
    assert http.asked == [
        (
            "www.bitget.com/v1/statistics/public/download/getPublicDataV2",
            {
                "displaySymbol": ["BTC/USDT"],
                "businessLine": 1,
                "businessType": 2,
                "dateType": 1,
                "beginTimeStr": "2026-07-27",
                "endTimeStr": "2026-07-28",
            },
        )
    ]
    assert [(file.start, file.end) for file in found] == [
        (datetime(2026, 7, 26, 16), datetime(2026, 7, 27, 16)),
        (datetime(2026, 7, 27, 16), datetime(2026, 7, 28, 16)),
    ]
    assert (found[0].symbol, found[0].url, found[0].etag) == ("BTCUSDT", FILES + "BTCUSDT/20260727_001.zip", None)
    assert found[1].due == bitget.due(date(2026, 7, 27)) == datetime(2026, 7, 30, 8)


def test_rows_come_four_times_and_parts_in_any_order():
    rows = [row("BTC/USDT", f"BTCUSDT/20260727_{part:03}.zip") for part in (3, 1, 2)] * 4
    found = files([index(*rows)], ["BTCUSDT"])
    assert [file.url[-7:] for file in found] == ["001.zip", "002.zip", "003.zip"]
    assert len({(file.start, file.end, file.symbol) for file in found}) == 1


def test_a_part_that_the_index_leaves_out_is_asked_for():
    """Parts are numbered without a gap: of a day with a second one, the first is there."""
    found = files([index(row("BTC/USDT", "BTCUSDT/BTCUSDT_20260827_002.zip"))], ["BTCUSDT"])
    assert [file.url for file in found] == [f"{FILES}BTCUSDT/BTCUSDT_20260827_00{part}.zip" for part in (1, 2)]


def test_a_day_that_has_two_names_counts_once():
    names = ["BTCUSDT/BTCUSDT_SPBL_20240418_001.zip", "BTCUSDT/20240418_001.zip"]
    found = files([index(*(row("BTC/USDT", name) for name in names))], ["BTCUSDT"])
    assert [file.url for file in found] == [FILES + names[0]]


def test_five_pairs_and_seven_days_are_asked_for_at_a_time():
    symbols = [f"{name}USDT" for name in "ABCDEFG"]
    http = Script(*[index()] * 6)
    assert list(bitget.list_files(http.http, symbols, Window(date(2026, 7, 1), date(2026, 7, 20)), NOON)) == []
    assert [(query["displaySymbol"], query["beginTimeStr"], query["endTimeStr"]) for _, query in http.asked] == [
        (names, begin, end)
        for names in (["A/USDT", "B/USDT", "C/USDT", "D/USDT", "E/USDT"], ["F/USDT", "G/USDT"])
        for begin, end in (("2026-07-01", "2026-07-07"), ("2026-07-08", "2026-07-14"), ("2026-07-15", "2026-07-20"))
    ]


def test_files_are_told_apart_by_pair():
    rows = [row("ETH/USDT", "ETHUSDT/20260727_001.zip"), row("AIN/USDT", "AINBSCUSDT/20260727_001.zip")]
    found = files([index(*rows)], ["AINUSDT", "ETHUSDT"])
    assert [(file.symbol, file.url) for file in found] == [
        ("AINUSDT", FILES + "AINBSCUSDT/20260727_001.zip"),
        ("ETHUSDT", FILES + "ETHUSDT/20260727_001.zip"),
    ]


def test_a_pair_whose_quote_asset_is_not_known_cannot_be_asked_for():
    assert files([], ["ABCXYZ"]) == [] and bitget.pair_of("ABCXYZ") is None
    assert bitget.pair_of("USDTUSDC") == ("USDT", "USDC") and bitget.pair_of("rTSLAUSDT") == ("RTSLA", "USDT")


def test_nothing_is_asked_for_before_the_archive_begins():
    assert files([], ["BTCUSDT"], Window(date(2017, 1, 1), date(2018, 7, 24))) == []
    http = Script(index())
    list(bitget.list_files(http.http, ["BTCUSDT"], Window(date(2017, 1, 1), date(2018, 7, 25)), NOON))
    assert (http.asked[0][1]["beginTimeStr"], http.asked[0][1]["endTimeStr"]) == ("2018-07-25", "2018-07-25")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"code": "40003", "msg": "Parameter verification failed"}, "40003: Parameter"),
        ([], "TypeError"),
        (index({"fileUrl": FILES + "BTCUSDT/20260727_001.zip"}), "displayName"),
        (index(row("BTC/USDT", "BTCUSDT/2026-07-27.zip")), "another name"),
        (index(row("ETH/USDT", "ETHUSDT/20260727_001.zip")), "another name or pair: ETH/USDT"),
        (index(row("BTC/USDT", "") | {"fileUrl": "https://elsewhere.example/20260727_001.zip"}), "elsewhere"),
        (index(row("BTC/USDT", "BTCUSDT/20260732_001.zip")), "ValueError"),
    ],
)
def test_an_index_that_is_not_understood_is_an_error(answer: object, words: str):
    with pytest.raises(SourceError, match=words):
        files([answer], ["BTCUSDT"])


def test_an_index_may_hold_nothing():
    assert files([{"code": "200", "data": None}], ["BTCUSDT"]) == []


# --- pairs and clock


@pytest.mark.parametrize(
    "content", [b'{"code":"40034","data":null}', b"[]", b'{"data":[5]}', b'{"data":[{"symbol":5}]}', b"<html>"]
)
def test_what_is_no_list_of_pairs_is_an_error(content: bytes):
    body = Body("bitget", "spot_symbols", "https://bitget.example/", 200, NOON, content)
    with pytest.raises(SourceError, match="bitget.example"):
        bitget.parse_symbols(body)
    with pytest.raises(SourceError, match="bitget.example"):
        bitget.server_time(body)


# --- files


@pytest.mark.recorded
def test_the_recorded_file_comes_to_what_was_worked_out_independently(tmp_path: Path, shared: Path):
    check_oracle(shared, tmp_path, bitget.EXCHANGE, "bitget/spot_trades_BTCUSDT_20260728_001.csv", "BTCUSDT")


# --- the generated market


@pytest.fixture(scope="module")
def market() -> GeneratedMarket:
    return GeneratedMarket(date(2024, 4, 28), size=12, start=date(2024, 4, 1), exchanges=("binance", "bitget"))


@pytest.fixture(scope="module")
def http(market: GeneratedMarket) -> Iterator[Http]:
    with asking(market) as http:
        yield http


def test_every_utc_day_over_a_change_of_names_is_what_the_market_says(
    market: GeneratedMarket, http: Http, tmp_path: Path
):
    window = Window(date(2024, 4, 15), date(2024, 4, 23))
    found = listed(bitget.EXCHANGE, http, window)
    trading = [pair for pair in market.listings("bitget").values() if pair.end is None]
    spans = {(file.symbol, file.start) for file in found}
    assert len(found) > len(spans) == 9 * len(trading) > 50, "some days have several parts"
    assert {"_SPBL_" in file.url for file in found} == {True, False}
    sums = assert_true(market, "bitget", reduced(bitget.EXCHANGE, http, found, tmp_path), window)
    assert len(sums) == 8 * len(trading) and ("BTCUSDT", window.start) in sums


def test_the_newest_day_is_two_days_old(http: Http):
    found = listed(bitget.EXCHANGE, http, Window(date(2024, 4, 20), date(2024, 4, 28)))
    assert max(file.end for file in found) == datetime(2024, 4, 25, 16)
    assert bitget.due(date(2024, 4, 25)) > datetime(2024, 4, 28)
