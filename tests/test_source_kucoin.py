"""KuCoin: names with and without a dash, listed days with their checksums, sides as the exchange writes them."""

import hashlib
import json
from datetime import date, datetime
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

import pytest

from orchestration.sandbox.generated import GeneratedMarket
from orchestration.sources import kucoin
from orchestration.sources.body import SourceError, Window
from orchestration.sources.exchange import TradeFiles
from orchestration.sources.http import Http, anything
from tests.served import Listings, check_oracle, downloaded, reduced, served, sides, truth_of, upstreams
from tests.test_sources import Script, body

FLOWS = cast(TradeFiles, kucoin.EXCHANGE.flows)
NOW = datetime(2025, 3, 9)
ROOT = "data/spot/daily/trades/"
KEYS = [
    *(f"{ROOT}{name}/{name}-trades-2025-03-0{day}.zip" for name in ("AUSDT", "OLDKCS", "WHAT") for day in range(1, 6)),
    *(f"{ROOT}AUSDT/AUSDT-trades-2025-03-0{day}.zip.CHECKSUM" for day in (1, 2, 3, 5)),
    f"{ROOT}AUSDT/AUSDT-trades-2025-02-30.zip",
    f"{ROOT}AUSDT/README.txt",
]
LISTED = {"symbol": "A-B", "baseCurrency": "A", "quoteCurrency": "B", "enableTrading": True}


def test_the_clock_is_asked_for_and_goes_with_the_symbols():
    http = Script({"code": "200000", "data": 1772366400123}, {"code": "200000", "data": [LISTED]})
    (answer,) = kucoin.fetch_symbols(http)  # pyright: ignore
    assert kucoin.server_time(answer) == datetime(2026, 3, 1, 12, 0, 0, 123000)
    assert [asked["path"] for asked in http.asked] == ["/api/v1/timestamp", "/api/v2/symbols"]


@pytest.mark.parametrize("told", [None, "1772366400123", 10**30, []])
def test_a_clock_that_tells_no_time_is_no_answer(told: object):
    with pytest.raises(SourceError):
        list(kucoin.fetch_symbols(Script({"code": "200000", "data": told})))  # pyright: ignore
    with pytest.raises(SourceError):
        kucoin.server_time(body("kucoin", "spot_symbols", {"code": "200000", "data": []}))


@pytest.mark.parametrize(
    "content", [{"code": "400100", "msg": "no"}, [], {"code": "200000"}, {"code": "200000", "data": [{}]}]
)
def test_what_is_no_list_of_symbols_is_said(content: object):
    with pytest.raises(SourceError):
        kucoin.parse_symbols(body("kucoin", "spot_symbols", content))


@pytest.mark.parametrize(
    ("name", "symbol", "pair"),
    [
        ("BTCUSDT", "BTC-USDT", ("BTC", "USDT")),
        ("TUSDT", "T-USDT", ("T", "USDT")),
        ("USTUSDT", "UST-USDT", ("UST", "USDT")),
        ("USDTTUSD", "USDT-TUSD", ("USDT", "TUSD")),
        ("BCHSVUSDT", "BCHSV-USDT", ("BSV", "USDT")),
        ("BTC3LUSDT", "BTC3L-USDT", ("BTC3L", "USDT")),
        ("WHAT", "WHAT", None),
        ("USDT", "USDT", None),
    ],
)
def test_a_name_of_the_archive_is_spelled_as_the_api_does(name: str, symbol: str, pair: tuple | None):
    assert kucoin.symbol_of(name) == symbol and kucoin.pair_of(symbol) == pair


def test_every_recorded_symbol_is_spelled_back_and_keeps_its_base(shared: Path):
    recorded = body("kucoin", "spot_symbols", (shared / "fixtures/kucoin/symbols_v1.json").read_bytes())
    rows = kucoin.parse_symbols(recorded).tables["spot_symbols"].to_pylist()
    assert len(rows) == 634
    for row in rows:
        assert kucoin.symbol_of(row["symbol"].replace("-", "")) == row["symbol"]
        assert kucoin.pair_of(row["symbol"]) == (row["base_asset"], row["quote_asset"])


def test_only_what_the_window_touches_is_listed_under_the_symbols_of_the_api():
    http = Listings(*KEYS)
    window = Window(date(2025, 3, 2), date(2025, 3, 4))
    found = list(kucoin.list_files(http, ["A-USDT", "WH-AT", "NEW-USDT"], window, NOW))  # pyright: ignore
    # What the API lists counts before what a name looks like.
    assert [(file.symbol, file.start.day) for file in found] == [
        ("A-USDT", 2), ("A-USDT", 3), ("OLD-KCS", 2), ("OLD-KCS", 3), ("WH-AT", 2), ("WH-AT", 3)]  # fmt: skip
    url = f"https://historical-data.kucoin.com/{ROOT}AUSDT/AUSDT-trades-2025-03-03.zip"
    assert (found[1].url, found[1].checksum_url) == (url, url + ".CHECKSUM")
    assert found[2].checksum_url is None and found[2].byte_count
    assert (found[1].end, found[1].due) == (datetime(2025, 3, 4), datetime(2025, 3, 4, 8))
    assert sorted(http.asked)[:2] == [
        (ROOT, ""),
        (f"{ROOT}AUSDT/AUSDT-trades-", f"{ROOT}AUSDT/AUSDT-trades-2025-03-02"),
    ]


def test_a_folder_that_cannot_be_listed_is_named_and_the_others_are_listed():
    http = Listings(*KEYS, failing="OLDKCS")
    found = kucoin.list_files(http, [], Window(date(2025, 3, 2), date(2025, 3, 3)), NOW)  # pyright: ignore
    assert [next(found).symbol, next(found).symbol] == ["A-USDT", "WHAT"]
    with pytest.raises(SourceError, match=r"\(OLDKCS\)"):
        next(found)


def test_the_recorded_file_gives_the_expected_sums(shared: Path, tmp_path: Path):
    fixture = "kucoin/spot_trades_BTCUSDT_2026-07-29.csv"
    check_oracle(shared, tmp_path, kucoin.EXCHANGE, fixture, "BTC-USDT")
    assert json.loads((shared / "fixtures/ORACLE.json").read_text())["expected"][fixture]


def test_days_over_http_come_to_what_the_exchange_labels(tmp_path: Path):
    """From the first of February 2023 on, this market's KuCoin writes every side the wrong way round."""
    start, end = date(2023, 1, 30), date(2023, 2, 3)
    market = GeneratedMarket(date(2023, 2, 6), size=12, start=date(2023, 1, 20), exchanges=("binance", "kucoin"))
    with served(upstreams(market)) as url:
        http = Http(url)
        (answer,) = kucoin.fetch_symbols(http)
        assert kucoin.server_time(answer) == datetime(2023, 2, 6)
        symbols = kucoin.parse_symbols(answer).tables["spot_symbols"]["symbol"].to_pylist()
        files = list(kucoin.list_files(http, symbols, Window(start, end), datetime(2023, 2, 6)))
        found = sides(reduced(http, FLOWS, files, tmp_path), start, end)
        file = files[0]
        content = downloaded(http, FLOWS, file, tmp_path / "trades")
        assert file.checksum_url
        beside = http.get(FLOWS.host, urlsplit(file.checksum_url).path, wrong=anything).content.split()[0]
        http.close()
    assert beside.decode() == hashlib.md5(content).hexdigest() == file.etag and len(content) == file.byte_count
    labelled, true = (truth_of(market, "kucoin", start, end, as_labelled) for as_labelled in (True, False))
    assert found == labelled and len(found) > 40
    assert all((found[key] == true[key]) == (key[1] < date(2023, 2, 1)) for key in found)
    assert {symbol for symbol, _ in found} <= set(symbols)
