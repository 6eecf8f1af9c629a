"""Gate: months of deals as its bucket lists them; every day of every pair comes to what the market says."""

import gzip
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path

import pytest

from orchestration.reduce import Reduced, Task, reduce_file
from orchestration.sandbox.generated import GeneratedMarket
from orchestration.sources import gate
from orchestration.sources.body import Body, SourceError, Window
from orchestration.sources.http import Http
from tests.archives import NOON, Script, asking, assert_true, listed, page, reduced
from tests.served import check_oracle, served

JUNE, JULY, AUGUST = date(2026, 6, 1), date(2026, 7, 1), date(2026, 8, 1)
PAIR = {"id": "BTC_USDT", "base": "BTC", "quote": "USDT", "trade_status": "tradable"}


def key(symbol: str, month: str = "202606") -> str:
    return f"spot/deals/{month}/{symbol}-{month}.csv.gz"


# --- listings by hand


def test_a_window_asks_for_its_months_page_by_page():
    http = Script(
        page((key("AAA_USDT"), 70), (key("BTC_USDT"), 900), is_cut=True),
        page((key("ZZZ_USDT"), 0)),
        page((key("BTC_USDT", "202607"), 800)),
    )
    found = list(gate.list_files(http.http, [], Window(date(2026, 6, 29), date(2026, 7, 2)), NOON))
    assert [host for host, _ in http.asked] == ["s3-ap-northeast-1.amazonaws.com/gateio-public-data"] * 3
    assert [query for _, query in http.asked] == [
        {"prefix": "spot/deals/202606/"},
        {"prefix": "spot/deals/202606/", "marker": key("BTC_USDT")},
        {"prefix": "spot/deals/202607/"},
    ]
    assert [(file.symbol, file.start.date(), file.byte_count) for file in found] == [
        ("AAA_USDT", JUNE, 70),
        ("BTC_USDT", JUNE, 900),
        ("ZZZ_USDT", JUNE, 0),
        ("BTC_USDT", JULY, 800),
    ]
    june = found[1]
    assert june.url == "https://download.gatedata.org/" + key("BTC_USDT")
    assert (june.start, june.end, june.due) == (datetime(2026, 6, 1), datetime(2026, 7, 1), datetime(2026, 7, 1, 12))
    assert june.etag == "tag of BTC_USDT-202606.csv.gz"


def test_leveraged_tokens_and_what_is_no_month_of_a_pair_are_passed_over():
    names = ["BTC3L_USDT", "ETH5S_USDT", "X3S_BTC", "1L_USDT", "SOL_USDT"]
    odd = [
        ("spot/deals/202606/SOL_USDT-202605.csv.gz", 9),
        ("spot/deals/202606/readme.txt", 9),
        ("spot/deals/202606/", 0),
    ]
    http = Script(page(*((key(name), 9) for name in names), *odd))
    found = gate.list_files(http.http, [], Window(JUNE, JULY), NOON)
    assert [file.symbol for file in found] == ["1L_USDT", "SOL_USDT"]


def test_a_name_in_another_script_is_written_as_a_url_writes_it():
    http = Script(page((key("币_USDT"), 9)))
    (file,) = gate.list_files(http.http, [], Window(JUNE, JULY), NOON)
    assert file.symbol == "币_USDT" and file.url.endswith("/%E5%B8%81_USDT-202606.csv.gz")


def test_nothing_is_asked_for_before_the_archive_begins():
    http = Script(page())
    assert list(gate.list_files(http.http, [], Window(date(2017, 6, 1), date(2018, 1, 5)), NOON)) == []
    assert http.asked[0][1] == {"prefix": "spot/deals/201801/"}
    assert list(gate.list_files(http.http, [], Window(date(2017, 6, 1), date(2018, 1, 1)), NOON)) == []


@pytest.mark.parametrize(
    ("day", "due"), [(JUNE, JULY), (date(2026, 6, 30), JULY), (date(2026, 12, 31), date(2027, 1, 1))]
)
def test_a_day_is_due_with_its_month(day: date, due: date):
    assert gate.due(day) == datetime(due.year, due.month, 1, 12)


# --- pairs and clock


def test_the_clock_is_asked_first_and_kept_with_the_pairs():
    http = Script({"server_time": 1785283200123}, [PAIR])
    (body,) = gate.fetch_symbols(http.http)
    assert [path for path, _ in http.asked] == [
        f"api.gateio.ws/api/v4/spot/{name}" for name in ("time", "currency_pairs")
    ]
    assert gate.server_time(body) == datetime(2026, 7, 29, 0, 0, 0, 123000)
    assert gate.parse_symbols(body).tables["spot_symbols"]["symbol"].to_pylist() == ["BTC_USDT"]


@pytest.mark.parametrize(
    "clock", [{}, [], {"server_time": "now"}, {"server_time": 1 << 80}, {"server_time": float("nan")}]
)
def test_a_clock_that_tells_nothing_is_an_error(clock: object):
    with pytest.raises(SourceError, match="no server_time"):
        list(gate.fetch_symbols(Script(clock).http))


@pytest.mark.parametrize(
    "content",
    [b'{"label":"X","message":"y"}', b"null", b"[5]", b'[{"id":"A_B"}]', b'[{"id":5,"base":null}]', b"<html>"],
)
def test_what_is_no_list_of_pairs_is_an_error(content: bytes):
    with pytest.raises(SourceError, match="gate.example"):
        gate.parse_symbols(Body("gate", "spot_symbols", "https://gate.example/", 200, NOON, content))


def test_a_body_without_its_clock_is_an_error():
    with pytest.raises(SourceError, match="server's time"):
        gate.server_time(Body("gate", "spot_symbols", "https://gate.example/", 200, NOON, b"[]"))


# --- files


def read(tmp_path: Path, content: bytes) -> Reduced:
    path = tmp_path / "file"
    path.write_bytes(content)
    return reduce_file(Task(str(path), "gate", gate.LAYOUT, "BTC_USDT", (datetime(2020, 6, 1), datetime(2020, 7, 1))))


def test_a_file_of_no_bytes_holds_no_trades(tmp_path: Path):
    for content in (b"", gzip.compress(b"")):
        done = read(tmp_path, content)
        assert not done.sums and not done.refused.count and done.trade_count == 0


def test_a_file_of_no_bytes_arrives(tmp_path: Path):
    async def nothing(scope, receive, send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    with served(nothing) as base:
        http = Http(base)
        got = http.download(gate.FILES, "/" + key("OPENAI_USDT"), tmp_path / "file")
        http.close()
    assert got.byte_count == 0 and not read(tmp_path, got.path.read_bytes()).sums


def test_a_file_may_run_backwards(tmp_path: Path):
    lines = [
        "1590969600.000001,1,9500.5,0.1,1",
        "1590969600.000001,2,9500,0.2,2",
        "1591055999.999999,3,9600,0.3,2",
        "1591056000,4,9700.25,1,1",
    ]
    forwards, backwards = (
        read(tmp_path, "".join(f"{line}\n" for line in order).encode()) for order in (lines, lines[::-1])
    )
    assert forwards.sums == backwards.sums and not forwards.repeated_count and not backwards.repeated_count
    first = forwards.sums["BTC_USDT", date(2020, 6, 1)]
    assert first.first and first.last and (first.first[1], first.last[1]) == (1, 3)
    assert forwards.sums["BTC_USDT", date(2020, 6, 2)].all.count == 1


@pytest.mark.recorded
def test_the_recorded_file_comes_to_what_was_worked_out_independently(tmp_path: Path, shared: Path):
    check_oracle(shared, tmp_path, gate.EXCHANGE, "gate/spot_deals_BTC_USDT_2026-06.csv", "BTC_USDT")


# --- the generated market


@pytest.fixture(scope="module")
def market() -> GeneratedMarket:
    return GeneratedMarket(date(2021, 3, 1), size=12, start=date(2020, 11, 20), exchanges=("binance", "gate"))


@pytest.fixture(scope="module")
def http(market: GeneratedMarket) -> Iterator[Http]:
    with asking(market) as http:
        yield http


def test_every_day_of_two_months_is_what_the_market_says(market: GeneratedMarket, http: Http, tmp_path: Path):
    """December's files run backwards, January's do not."""
    window = Window(date(2020, 12, 5), date(2021, 1, 20))
    files = listed(gate.EXCHANGE, http, window)
    pairs = market.listings("gate")
    assert len(files) == 2 * len(pairs) > 20
    sums = assert_true(market, "gate", reduced(gate.EXCHANGE, http, files, tmp_path), window)
    assert len(sums) == len(pairs) * 46 and ("BTC_USDT", window.start) in sums


def test_the_running_month_is_not_there_yet(market: GeneratedMarket, http: Http):
    assert listed(gate.EXCHANGE, http, Window(date(2021, 2, 20), date(2021, 3, 1))) == []
    assert gate.due(date(2021, 2, 28)) > datetime(2021, 3, 1)
