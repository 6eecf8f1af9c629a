"""The archive servers of the sandbox: the same forms as recorded, the same amounts as the market, complete listings."""

import gzip
import hashlib
import io
import json
import re
import zipfile
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, cast
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestration.sandbox import archive_text, bitget, bybit, gate, htx, kucoin, okx_archive, s3, vision
from orchestration.sandbox.bucket import Bucket, File
from orchestration.sandbox.directory import BY_HOST
from orchestration.sandbox.generated import GeneratedMarket
from orchestration.sandbox.market import Listing, Market, Trades, midnight_ms
from orchestration.sandbox.recorded import RecordedMarket
from orchestration.sandbox.wire import Reply, Request, Server

DAY_MS = 86_400_000
NOW = date(2025, 3, 9)
SPACE = "{http://s3.amazonaws.com/doc/2006-03-01/}"
VISION, OKX, BYBIT = "data.binance.vision", "static.okx.com", "public.bybit.com"
KUCOIN, GATE = "historical-data.kucoin.com", "download.gatedata.org"
HTX, BITGET = htx.ARCHIVE, bitget.FILES
TOKYO, SINGAPORE = "s3-ap-northeast-1.amazonaws.com", "s3.ap-southeast-1.amazonaws.com"
TRADES = "/cdn/okex/traderecords/trades"

# What the cells of a column look like; recorded rows and ours must both fit.
INTEGER, MS, US = r"\d+", r"\d{13}", r"\d{16}"
FIXED = r"\d+\.\d+"
TRIMMED = r"(0|[1-9]\d*)(\.\d*[1-9])?"
PYTHON = r"(0|[1-9]\d*)\.(0|\d*[1-9])|[1-9](\.\d*[1-9])?e-\d\d"
SIDES = ("True|False", "buy|sell", "BUY|SELL", "1|2")
WALL = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"


def places(count: int) -> str:
    return rf"\d+\.\d{{{count}}}"


P8, P16, P18, P20 = places(8), places(16), places(18), places(20)


@pytest.fixture(scope="module")
def generated() -> GeneratedMarket:
    return GeneratedMarket(NOW, seed=5, size=16, start=date(2022, 10, 1))


@cache
def server(market: Market, host: str) -> Server:
    """As the process finds it."""
    return BY_HOST[host].make(market, False)


def ask(market: Market, host: str, path: str, **query: str) -> Reply:
    return server(market, host)(Request(host, path, query, "http://127.0.0.1"))


def unpacked(body: bytes) -> tuple[str, str]:
    """Name and text of what a zip or gzip holds."""
    if body[:2] == b"\x1f\x8b":
        return "", gzip.decompress(body).decode()
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        [name] = archive.namelist()
        data = archive.read(name)
    return name, data.decode("gbk" if b"/" in data[:40] else "utf-8")


def text(market: Market, host: str, path: str) -> str:
    reply = ask(market, host, path)
    assert reply.status == 200, f"{path}: {reply.status}"
    return unpacked(reply.body)[1]


def rows(content: str, has_header: bool = False) -> list[list[str]]:
    assert not content or content.endswith("\n")
    return [line.split(",") for line in content.splitlines()][has_header:]


# --- forms --------------------------------------------------------------------------------------

SPOT_KLINE = [US, P8, P8, P8, P8, P8, US, P8, INTEGER, P8, P8, "0"]
UM_KLINE = [MS, FIXED, FIXED, FIXED, FIXED, FIXED, MS, FIXED, INTEGER, FIXED, FIXED, "0"]
FORMS = {
    "binance_vision/spot_klines_8h_BTCUSDT_2026-07-29_us_noheader.csv": (
        VISION,
        "/data/spot/daily/klines/BTCUSDT/1h/BTCUSDT-1h-2025-03-05.zip",
        SPOT_KLINE,
    ),
    "binance_vision/spot_trades_BTCUSDT_2026-07-29_us_noheader.csv": (
        VISION,
        "/data/spot/daily/trades/BTCUSDT/BTCUSDT-trades-2025-03-05.zip",
        [INTEGER, P8, P8, P8, US, "True|False", "True"],
    ),
    "binance_vision/um_klines_8h_BTCUSDT_2026-07-28_ms_header.csv": (
        VISION,
        "/data/futures/um/daily/klines/BTCUSDT/1h/BTCUSDT-1h-2025-03-05.zip",
        UM_KLINE,
    ),
    "binance_vision/um_metrics_BTCUSDT_2026-07-29.csv": (
        VISION,
        "/data/futures/um/daily/metrics/BTCUSDT/BTCUSDT-metrics-2025-03-05.zip",
        [WALL, "BTCUSDT", P16, P16, P8, P8, P8, P8],
    ),
    "binance_vision/um_bookDepth_BTCUSDT_2026-07-29.csv": (
        VISION,
        "/data/futures/um/daily/bookDepth/BTCUSDT/BTCUSDT-bookDepth-2025-03-05.zip",
        [WALL, r"-?(0\.20|[1-5]\.00)", P8, P8],
    ),
    "okx/spot_trades_BTC-USDT_2026-07-29.csv": (
        OKX,
        TRADES + "/daily/20250305/BTC-USDT-trades-2025-03-05.zip",
        ["BTC-USDT", INTEGER, "buy|sell", PYTHON, PYTHON, MS],
    ),
    "bybit/spot_trades_BTCUSDT_2026-07-29.csv": (
        BYBIT,
        "/spot/BTCUSDT/BTCUSDT_2025-03-05.csv.gz",
        [INTEGER, MS, TRIMMED, TRIMMED, "buy|sell", "0"],
    ),
    "kucoin/spot_trades_BTCUSDT_2026-07-29.csv": (
        KUCOIN,
        "/data/spot/daily/trades/BTCUSDT/BTCUSDT-trades-2025-03-05.zip",
        [INTEGER, MS, P20, P20, "BUY|SELL"],
    ),
    "gate/spot_deals_BTC_USDT_2026-06.csv": (
        GATE,
        "/spot/deals/202502/BTC_USDT-202502.csv.gz",
        [r"\d{10}\.\d{6}", INTEGER, FIXED, FIXED, "1|2"],
    ),
    "bitget/spot_trades_BTCUSDT_20260728_001.csv": (
        BITGET,
        "/online/trades/SPBL/BTCUSDT/20250305_001.zip",
        [INTEGER, r"\d{10}000", FIXED, "buy|sell", FIXED, FIXED],
    ),
}


@pytest.mark.parametrize("fixture", FORMS)
def test_a_file_has_the_header_and_the_columns_of_the_recorded_one(
    generated: GeneratedMarket, shared: Path, fixture: str
) -> None:
    host, path, columns = FORMS[fixture]
    recorded, ours = (shared / "fixtures" / fixture).read_text(), text(generated, host, path)
    if fixture.startswith("bybit"):
        # The column rpi came in April 2025, after this market's now.
        recorded = re.sub(",rpi$|,0$", "", recorded, flags=re.MULTILINE)
        columns = columns[:-1]
    assert_same_form(recorded, ours, columns)


def assert_same_form(recorded: str, ours: str, columns: list[str]) -> None:
    """Header, number of columns and what their cells look like; every word for a side occurs."""
    has_header = not re.fullmatch(columns[0], recorded.partition(",")[0])
    if has_header:
        assert ours.partition("\n")[0] == recorded.partition("\n")[0]
    for found in (rows(recorded, has_header), rows(ours, has_header)):
        assert found
        for row in found:
            assert len(row) == len(columns)
            assert all(re.fullmatch(form, cell) for form, cell in zip(columns, row, strict=True)), row
    for column, form in enumerate(columns):
        if form in SIDES:
            words = [{row[column] for row in rows(content, has_header)} for content in (recorded, ours)]
            assert words[0] <= words[1], "not every word of the recording occurs"


def test_the_checksum_line_is_as_recorded_and_holds(generated: GeneratedMarket, shared: Path) -> None:
    line = r"(?P<digest>[0-9a-f]{%d})  (?P<name>\S+\.zip)\n?"
    assert re.fullmatch(line % 64, (shared / "fixtures/binance_vision/CHECKSUM_example.txt").read_text())
    for host, path, method, size in (
        (VISION, FORMS["binance_vision/spot_trades_BTCUSDT_2026-07-29_us_noheader.csv"][1], "sha256", 64),
        (KUCOIN, FORMS["kucoin/spot_trades_BTCUSDT_2026-07-29.csv"][1], "md5", 32),
    ):
        found = re.fullmatch(line % size, ask(generated, host, path + ".CHECKSUM").body.decode())
        assert found and found["name"] == path.rpartition("/")[2]
        assert found["digest"] == hashlib.new(method, ask(generated, host, path).body).hexdigest()


def test_the_listing_has_the_elements_of_the_recorded_one_in_their_order(
    generated: GeneratedMarket, shared: Path
) -> None:
    recorded = ElementTree.parse(
        shared / "fixtures/binance_vision/s3_listing_um_daily_trades_BTCUSDT_2026-09.xml"
    ).getroot()
    prefix = "data/spot/daily/trades/BTCUSDT/BTCUSDT-trades-2025-03"
    ours = ElementTree.fromstring(ask(generated, TOKYO, "/data.binance.vision", prefix=prefix, delimiter="/").body)
    assert ours.tag == recorded.tag
    assert [e.tag for e in recorded][:6] == [e.tag for e in ours][:6]
    assert {e.tag for e in recorded[6:]} == {e.tag for e in ours[6:]} == {SPACE + "Contents"}
    # The recording is abridged: it leaves out ETag and StorageClass.
    kept = [e.tag for e in ours[6] if e.tag not in (SPACE + "ETag", SPACE + "StorageClass")]
    assert kept == [e.tag for e in recorded[6]]
    for entry in [*recorded[6:], *ours[6:]]:
        assert re.fullmatch(r"20\d\d-\d\d-\d\dT0[678]:\d\d:\d\d\.000Z", entry.findtext(SPACE + "LastModified", ""))


def test_a_zip_holds_one_csv_that_is_named_like_it(generated: GeneratedMarket) -> None:
    for host, path, _ in FORMS.values():
        if path.endswith(".zip"):
            name, _ = unpacked(ask(generated, host, path).body)
            assert name == path.rpartition("/")[2].replace(".zip", ".csv")


def test_usd_m_klines_have_a_header_only_since_2022() -> None:
    market = GeneratedMarket(date(2022, 3, 9), size=12, start=date(2021, 12, 1), exchanges=("binance", "binance_usdm"))
    path = "/data/futures/um/monthly/klines/BTCUSDT/1d/BTCUSDT-1d-{}.zip"
    assert text(market, VISION, path.format("2021-12")).startswith("16")
    assert text(market, VISION, path.format("2022-01")).startswith("open_time,")


def test_old_okx_files_have_chinese_in_the_header_and_capital_sides(generated: GeneratedMarket) -> None:
    old = text(generated, OKX, TRADES + "/monthly/202212/allspot-trades-2022-12-31.zip")
    new = text(generated, OKX, TRADES + "/monthly/202301/allspot-trades-2023-01-01.zip")
    names = [cell.partition("/")[0] for cell in old.partition("\n")[0].split(",")]
    assert names == new.partition("\n")[0].split(",")
    assert "交易" in old and {row[2] for row in rows(old, True)} == {"BUY", "SELL"}
    assert {row[2] for row in rows(new, True)} == {"buy", "sell"}


def test_bybit_writes_rpi_since_april_2025() -> None:
    market = GeneratedMarket(date(2025, 4, 9), size=12, start=date(2025, 3, 1), exchanges=("binance", "bybit"))
    heads = [
        text(market, BYBIT, f"/spot/BTCUSDT/BTCUSDT_{day}.csv.gz").partition("\n")[0]
        for day in ("2025-03-31", "2025-04-01")
    ]
    assert heads == ["id,timestamp,price,volume,side", "id,timestamp,price,volume,side,rpi"]


def test_htx_writes_headers_and_marks_since_february_2026(shared: Path) -> None:
    market = GeneratedMarket(date(2026, 2, 9), size=12, start=date(2026, 1, 20), exchanges=("binance", "htx"))
    recorded = (shared / "fixtures/htx/spot_trades_BTC-USDT_2026-07-29.csv").read_text()
    new = "/historical_data/spot/daily/trades/BTC-USDT/BTC-USDT-trades-2026-02-01.zip"
    assert_same_form(recorded, text(market, HTX, new), ["BTC-USDT", INTEGER, P18, "buy|sell", P18, MS])
    old = "/data/trades/spot/daily/BTCUSDT/BTCUSDT-trades-2026-01-31.zip"
    form = [INTEGER, MS, TRIMMED, TRIMMED, "buy|sell"]
    found = rows(text(market, HTX, old))
    assert all(len(row) == 5 and all(map(re.fullmatch, form, row)) for row in found)
    # Days of UTC+8, in both.
    for path, day, column in ((old, date(2026, 1, 31), 1), (new, date(2026, 2, 1), 5)):
        times = [int(row[column]) for row in rows(text(market, HTX, path), column == 5)]
        starts = midnight_ms(day) - 8 * 3_600_000
        assert times == sorted(times) and all(starts <= ms < starts + DAY_MS for ms in times)


def test_the_parts_of_a_day_at_bitget_are_its_trades(generated: GeneratedMarket) -> None:
    """From 16:00 UTC of the day before, in whole seconds; the quote amount is exact."""
    path, pages = "/online/trades/SPBL/BTCUSDT/20250305_{:03}.zip", []
    while (reply := ask(generated, BITGET, path.format(len(pages) + 1))).status == 200:
        pages.append(rows(unpacked(reply.body)[1], True))
    assert len(pages) > 1 and all(len(page) == bitget.PART_ROWS for page in pages[:-1])
    start = midnight_ms(date(2025, 3, 5)) - 8 * 3_600_000
    trades = generated.trades("bitget", "BTC/USDT", start, start + DAY_MS)
    found = [row for page in pages for row in page]
    assert [int(row[0]) for row in found] == trades.ids.tolist()
    assert [int(row[1]) for row in found] == (trades.times_us // 1_000_000 * 1000).tolist()
    assert all(Decimal(row[2]) * Decimal(row[5]) == Decimal(row[4]) for row in found)
    assert [row[3] == "buy" for row in found] == trades.labelled_buys.tolist()


def test_bitget_has_had_three_names_for_a_file() -> None:
    btc = Listing("BTC", "USDT", date(2020, 1, 1), None, 2, 5)
    for day, name in (
        (date(2024, 4, 18), "BTCUSDT_SPBL_20240418_002.zip"),
        (date(2024, 4, 19), "20240419_002.zip"),
        (date(2026, 8, 18), "BTCUSDT_20260818_002.zip"),
    ):
        assert bitget.path_of(btc, day, 2) == f"online/trades/SPBL/BTCUSDT/{name}"


def test_bitget_does_not_say_whether_a_file_is_there(generated: GeneratedMarket) -> None:
    names = ["BTCUSDT/20250305_009.zip", "BTCUSDT/20250307_001.zip", "BTCUSDT/BTCUSDT_SPBL_20250305_001.zip", "X/y.zip"]
    for path in ("/", *(f"/online/trades/SPBL/{name}" for name in names)):
        reply = ask(generated, BITGET, path)
        assert (reply.status, reply.content_type) == (403, "application/xml")
        assert ElementTree.fromstring(reply.body).findtext("Code") == "AccessDenied"


def index(market: Market, **query: object) -> dict:
    asked = {"displaySymbol": ["BTC/USDT"], "businessLine": 1, "businessType": 2, "dateType": 1}
    days = {"beginTimeStr": "2025-03-01", "endTimeStr": "2025-03-07"}
    body = json.dumps(asked | days | query).encode()
    return json.loads(server(market, bitget.INDEX)(Request(bitget.INDEX, bitget.INDEX_PATH, {}, "", body)).body)


def test_bitgets_index_names_every_part_four_times(generated: GeneratedMarket) -> None:
    found = index(generated, displaySymbol=["BTC/USDT", "SOL/USDT", "BTCUSDT"])
    assert found["code"] == "200" and list(found["data"][0]) == ["dateTimeStr", "displayName", "fileName", "fileUrl"]
    names = [row["fileUrl"] for row in found["data"]]
    assert {names.count(name) for name in names} == {4}
    # Day D comes at 03:00 UTC of D + 2, and now is the 9th.
    for name in ("BTC/USDT", "SOL/USDT"):
        assert {row["dateTimeStr"] for row in found["data"] if row["displayName"] == name} == {
            f"2025-03-0{day}" for day in range(1, 7)
        }
    for url in dict.fromkeys(names):
        assert ask(generated, BITGET, url.removeprefix(f"https://{BITGET}")).status == 200


@pytest.mark.parametrize(
    "changes",
    [
        {"endTimeStr": "2025-03-08"},
        {"endTimeStr": "2025-02-28"},
        {"displaySymbol": list("ABCDEF")},
        {"displaySymbol": "BTC/USDT"},
        {"businessLine": 3},
        {"businessType": 4},
        {"beginTimeStr": "yesterday"},
    ],
)
def test_bitgets_index_refuses_more_than_a_week_and_five_pairs(generated: GeneratedMarket, changes: dict) -> None:
    assert index(generated, **changes)["code"] == "40003"


def test_bitgets_index_may_be_asked_about_once_a_second(generated: GeneratedMarket) -> None:
    limited = BY_HOST[bitget.INDEX].make(generated, True)
    request = Request(bitget.INDEX, bitget.INDEX_PATH, {}, "", b"{}")
    assert [limited(request).status for _ in range(bitget.LIMIT + 1)] == [200] * bitget.LIMIT + [429]


def test_okx_tags_its_files(generated: GeneratedMarket) -> None:
    reply = ask(generated, OKX, TRADES + "/daily/20250305/BTC-USDT-trades-2025-03-05.zip")
    assert dict(reply.headers)["ETag"] == f'"{hashlib.md5(reply.body).hexdigest()}"'


# --- amounts ------------------------------------------------------------------------------------


def utc_day(ms: int) -> date:
    return datetime.fromtimestamp(ms / 1000, UTC).date()


def sums(trades: Iterable[tuple[date, str, str, bool]]) -> dict[date, list[Decimal]]:
    """Day -> trades, base, quote, base and quote that takers bought."""
    found: dict[date, list[Decimal]] = {}
    for day, price, size, is_buy in trades:
        base, quote = Decimal(size), Decimal(price) * Decimal(size)
        total = found.setdefault(day, [Decimal(0)] * 5)
        for i, amount in enumerate((Decimal(1), base, quote, base * is_buy, quote * is_buy)):
            total[i] += amount
    return found


def expected(market: Market, exchange: str, name: str, days: Iterable[date]) -> dict[date, list[Decimal]]:
    bars = market.bars(exchange, name, "1d")
    assert bars is not None
    found = {}
    for day in days:
        at = int(np.searchsorted(bars.times_ms, midnight_ms(day)))
        if at < len(bars.times_ms) and bars.times_ms[at] == midnight_ms(day):
            base, quote = Decimal(1).scaleb(-bars.base_decimals), Decimal(1).scaleb(-bars.quote_decimals)
            found[day] = [
                Decimal(int(bars.trades[at])),
                int(bars.volume_base[at]) * base,
                int(bars.volume_quote[at]) * quote,
                int(bars.taker_buy_base[at]) * base,
                int(bars.taker_buy_quote[at]) * quote,
            ]
    return found


@pytest.mark.parametrize(
    ("day", "paths"),
    [
        (date(2022, 12, 31), ("monthly/202212/", "monthly/202301/")),
        (date(2024, 12, 31), ("monthly/202412/", "daily/20250101/")),
        (date(2025, 3, 5), ("daily/20250305/", "daily/20250306/")),
    ],
)
def test_two_okx_files_make_one_utc_day_exactly(generated: GeneratedMarket, day: date, paths: tuple[str, str]) -> None:
    trades: dict[str, list[tuple[date, str, str, bool]]] = {}
    for folder, file_day in zip(paths, (day, day + timedelta(days=1)), strict=True):
        found = rows(text(generated, OKX, f"{TRADES}/{folder}allspot-trades-{file_day}.zip"), True)
        starts = midnight_ms(file_day) - 8 * 3_600_000
        assert all(starts <= int(row[5]) < starts + DAY_MS for row in found)
        for name, _, side, price, size, ms in found:
            if utc_day(int(ms)) == day:
                trades.setdefault(name, []).append((day, price, size, side.lower() == "buy"))
    listed = {pair.name: pair for pair in generated.listings("okx").values()}
    wanted = {name: expected(generated, "okx", name, [day]) for name in listed}
    assert {name.replace("-", "/"): sums(found) for name, found in trades.items()} == {
        name: amounts for name, amounts in wanted.items() if amounts
    }


@pytest.mark.parametrize("exchange", ["binance", "bybit", "kucoin", "gate"])
def test_a_month_of_trades_sums_to_the_bars(generated: GeneratedMarket, exchange: str) -> None:
    days = [date(2025, 2, 1) + timedelta(days=i) for i in range(28)]
    for base in ("BTC", "SOL"):
        if exchange == "binance":
            path = f"/data/spot/monthly/trades/{base}USDT/{base}USDT-trades-2025-02.zip"
            found = [(int(r[4]) // 1000, r[1], r[2], r[5] == "False") for r in rows(text(generated, VISION, path))]
        elif exchange == "bybit":
            path = f"/spot/{base}USDT/{base}USDT-2025-02.csv.gz"
            found = [(int(r[1]), r[2], r[3], r[4] == "buy") for r in rows(text(generated, BYBIT, path), True)]
        elif exchange == "gate":
            path = f"/spot/deals/202502/{base}_USDT-202502.csv.gz"
            found = [(int(Decimal(r[0]) * 1000), r[2], r[3], r[4] == "1") for r in rows(text(generated, GATE, path))]
        else:
            found = []
            for day in days:
                path = f"/data/spot/daily/trades/{base}USDT/{base}USDT-trades-{day}.zip"
                page = rows(text(generated, KUCOIN, path), True)
                found += [(int(r[1]), r[2], r[3], r[4] == "BUY") for r in page]
        assert sums((utc_day(ms), price, size, is_buy) for ms, price, size, is_buy in found) == expected(
            generated, exchange, f"{base}/USDT", days
        )


def test_quote_amounts_and_aggregates_agree_with_the_trades(generated: GeneratedMarket) -> None:
    path = "/data/spot/daily/{0}/ETHUSDT/ETHUSDT-{0}-2025-03-05.zip"
    trades = rows(text(generated, VISION, path.format("trades")))
    aggregates = rows(text(generated, VISION, path.format("aggTrades")))
    assert all(Decimal(r[1]) * Decimal(r[2]) == Decimal(r[3]) for r in trades)
    assert [[r[0], r[1], r[2], r[0], r[0], *r[4:]] for r in trades] == aggregates


def rest(market: Market, symbol: str, interval: str, first: date, end: date) -> str:
    """Klines of REST in the form of a file."""
    query = {"startTime": str(midnight_ms(first)), "endTime": str(midnight_ms(end) - 1), "limit": "1000"}
    reply = ask(market, "data-api.binance.vision", "/api/v3/klines", symbol=symbol, interval=interval, **query)
    assert reply.status == 200
    return re.sub(r'[\[\]"]', "", bytes(reply.body).decode().replace("],[", "\n")) + "\n"


@pytest.mark.parametrize("interval", ["1d", "1h"])
@pytest.mark.parametrize("first", [date(2024, 12, 1), date(2025, 1, 1)])
def test_a_month_of_klines_is_its_days_and_what_rest_answers(
    generated: GeneratedMarket, interval: str, first: date
) -> None:
    folder = f"klines/BTCUSDT/{interval}/BTCUSDT-{interval}"
    days = [first + timedelta(days=i) for i in range(31)]
    month = text(generated, VISION, f"/data/spot/monthly/{folder}-{first:%Y-%m}.zip")
    assert month == "".join(text(generated, VISION, f"/data/spot/daily/{folder}-{day}.zip") for day in days)
    if first.year == 2025:
        month = re.sub(r"^(\d{13})000,", r"\1,", month, flags=re.MULTILINE)
        month = re.sub(r",(\d{10}999)999,", r",\1,", month)
    assert month == rest(generated, "BTCUSDT", interval, first, date(2025, first.month % 12 + 1, 1))


def test_a_month_of_usd_m_klines_is_its_days(generated: GeneratedMarket) -> None:
    path = "/data/futures/um/{}/klines/BTCUSDT/1d/BTCUSDT-1d-{}.zip"
    days = [rows(text(generated, VISION, path.format("daily", f"2025-02-{i:02}")), True) for i in range(1, 29)]
    assert rows(text(generated, VISION, path.format("monthly", "2025-02")), True) == [row for [row] in days]


def test_usd_m_klines_are_what_rest_answers(generated: GeneratedMarket) -> None:
    """Amount by amount: recorded answers of REST leave out zeros that files have."""
    path = "/data/futures/um/daily/klines/BTCUSDT/1h/BTCUSDT-1h-2025-03-05.zip"
    start = midnight_ms(date(2025, 3, 5))
    query = {"symbol": "BTCUSDT", "interval": "1h", "startTime": str(start), "endTime": str(start + DAY_MS - 1)}
    answer = json.loads(bytes(ask(generated, "fapi.binance.com", "/fapi/v1/klines", **query).body))
    ours = rows(text(generated, VISION, path), True)
    assert [[Decimal(cell) for cell in row] for row in ours] == [[Decimal(cell) for cell in row] for row in answer]


def test_spot_files_are_in_microseconds_since_2025(generated: GeneratedMarket) -> None:
    for kind, column in (("klines", 0), ("klines", 6), ("trades", 4), ("aggTrades", 5)):
        folder, label = ("klines/BTCUSDT/1d", "1d") if kind == "klines" else (f"{kind}/BTCUSDT", kind)
        for grain, before, after in (("daily", "2024-12-31", "2025-01-01"), ("monthly", "2024-12", "2025-01")):
            path = f"/data/spot/{grain}/{folder}/BTCUSDT-{label}-{{}}.zip"
            assert {len(row[column]) for row in rows(text(generated, VISION, path.format(before)))} == {13}
            assert {len(row[column]) for row in rows(text(generated, VISION, path.format(after)))} == {16}
    path = "/data/futures/um/daily/klines/BTCUSDT/1d/BTCUSDT-1d-2025-01-01.zip"
    assert len(rows(text(generated, VISION, path), True)[0][0]) == 13


def test_the_last_metric_of_a_day_is_its_open_interest(generated: GeneratedMarket) -> None:
    found = generated.open_interest("BTC/USDT")
    assert found is not None
    decimals = generated.listings("binance_usdm")["BTC/USDT"].base_decimals
    path = FORMS["binance_vision/um_metrics_BTCUSDT_2026-07-29.csv"][1]
    metrics = rows(text(generated, VISION, path), True)
    at = int(np.searchsorted(found[0], midnight_ms(date(2025, 3, 5)) // DAY_MS))
    assert len(metrics) == 288 and metrics[-1][0] == "2025-03-05 23:55:00"
    assert Decimal(metrics[-1][2]) == Decimal(int(found[1][at])).scaleb(-decimals)


def test_a_wider_band_of_the_book_holds_more(generated: GeneratedMarket) -> None:
    found = rows(text(generated, VISION, FORMS["binance_vision/um_bookDepth_BTCUSDT_2026-07-29.csv"][1]), True)
    bands = ["-5.00", "-4.00", "-3.00", "-2.00", "-1.00", "-0.20", "0.20", "1.00", "2.00", "3.00", "4.00", "5.00"]
    for i in range(0, len(found), 12):
        assert [row[1] for row in found[i : i + 12]] == bands
        for column in (2, 3):
            amounts = [Decimal(row[column]) for row in found[i : i + 12]]
            assert amounts[:6] == sorted(amounts[:6], reverse=True) and amounts[6:] == sorted(amounts[6:])


def test_funding_rates_are_the_markets(generated: GeneratedMarket) -> None:
    path = "/data/futures/um/monthly/fundingRate/BTCUSDT/BTCUSDT-fundingRate-2025-02.zip"
    found = rows(text(generated, VISION, path), True)
    wanted = generated.funding("BTC/USDT")
    assert wanted is not None and len(found) == 84
    at = slice(*np.searchsorted(wanted[0], (midnight_ms(date(2025, 2, 1)), midnight_ms(date(2025, 3, 1)))))
    assert [(int(r[0]), Decimal(r[2])) for r in found] == [
        (int(ms), Decimal(int(rate)).scaleb(-8)) for ms, rate in zip(wanted[0][at], wanted[1][at], strict=True)
    ]


# --- what is there, and when --------------------------------------------------------------------

THERE = [
    (VISION, "/data/spot/daily/klines/BTCUSDT/1d/BTCUSDT-1d-{:%Y-%m-%d}.zip", date(2025, 3, 7), date(2025, 3, 8)),
    (VISION, "/data/spot/daily/trades/BTCUSDT/BTCUSDT-trades-{:%Y-%m-%d}.zip", date(2025, 3, 7), date(2025, 3, 8)),
    (VISION, "/data/spot/monthly/klines/BTCUSDT/1d/BTCUSDT-1d-{:%Y-%m}.zip", date(2025, 2, 1), date(2025, 3, 1)),
    (VISION, "/data/futures/um/daily/metrics/BTCUSDT/BTCUSDT-metrics-{}.zip", date(2025, 3, 7), date(2025, 3, 8)),
    (OKX, TRADES + "/daily/{0:%Y%m%d}/allspot-trades-{0}.zip", date(2025, 3, 7), date(2025, 3, 8)),
    (OKX, TRADES + "/daily/{0:%Y%m%d}/BTC-USDT-trades-{0}.zip", date(2025, 3, 7), date(2025, 3, 8)),
    (BYBIT, "/spot/BTCUSDT/BTCUSDT_{}.csv.gz", date(2025, 3, 7), date(2025, 3, 8)),
    (BYBIT, "/spot/BTCUSDT/BTCUSDT-{:%Y-%m}.csv.gz", date(2025, 2, 1), date(2025, 3, 1)),
    (KUCOIN, "/data/spot/daily/trades/BTCUSDT/BTCUSDT-trades-{}.zip", date(2025, 3, 7), date(2025, 3, 8)),
    (GATE, "/spot/deals/{0:%Y%m}/BTC_USDT-{0:%Y%m}.csv.gz", date(2025, 2, 1), date(2025, 3, 1)),
    (HTX, "/data/trades/spot/daily/BTCUSDT/BTCUSDT-trades-{}.zip", date(2025, 3, 8), date(2025, 3, 9)),
]


@pytest.mark.parametrize(("host", "path", "last", "next_one"), THERE)
def test_the_newest_file_is_there_and_the_next_is_not(
    generated: GeneratedMarket, host: str, path: str, last: date, next_one: date
) -> None:
    assert ask(generated, host, path.format(last)).status == 200
    for day in (next_one, next_one + timedelta(days=40)):
        reply = ask(generated, host, path.format(day))
        assert (reply.status, reply.content_type) == (404, "application/xml")
        error = ElementTree.fromstring(reply.body)
        assert error.tag == "Error" and error.findtext("Code") == "NoSuchKey"
        assert error.findtext("Key") == path.format(day)[1:]


def test_a_month_of_klines_comes_on_the_first_monday(generated: GeneratedMarket) -> None:
    path = "/data/spot/monthly/klines/BTCUSDT/1d/BTCUSDT-1d-2023-01.zip"
    for now, status in ((date(2023, 2, 6), 404), (date(2023, 2, 7), 200)):
        market = GeneratedMarket(now, size=12, start=date(2023, 1, 1), exchanges=("binance",))
        assert ask(market, VISION, path).status == status
    modified = dict(ask(generated, VISION, path).headers)["Last-Modified"]
    assert re.fullmatch(r"Mon, 06 Feb 2023 0[678]:\d\d:\d\d GMT", modified)


def test_a_later_now_changes_no_byte_of_an_earlier_file(generated: GeneratedMarket) -> None:
    earlier = GeneratedMarket(date(2025, 3, 8), seed=5, size=16, start=date(2022, 10, 1))
    for host, path, _ in FORMS.values():
        first, again = ask(earlier, host, path), ask(generated, host, path)
        assert first.body == again.body and first.headers == again.headers


@pytest.mark.parametrize(
    ("host", "path"),
    [
        (VISION, "/"),
        (VISION, "/data/spot/daily/klines/BTCUSDT/1d/"),
        (VISION, "/data/spot/daily/klines/BTCUSDT/1d/ETHUSDT-1d-2025-03-05.zip"),
        (VISION, "/data/spot/daily/klines/BTCUSDT/1d/BTCUSDT-1d-2025-02-29.zip"),
        (VISION, "/data/spot/daily/klines/BTCUSDT/1d/BTCUSDT-1d-2025-02.zip"),
        (VISION, "/data/spot/daily/klines/BTCUSDT/5m/BTCUSDT-5m-2025-03-05.zip"),
        (VISION, "/data/spot/daily/klines/NOSUCH/1d/NOSUCH-1d-2025-03-05.zip"),
        (VISION, "/data/spot/daily/klines/BTCUSDT/1d/BTCUSDT-1d-2019-12-31.zip.CHECKSUM"),
        (VISION, "/data/spot/daily/klines/BTCUSDT/1d/BTCUSDT-1d-2025-03-05.zip.CHECKSUM.CHECKSUM"),
        (VISION, "/data/futures/um/daily/bookDepth/BTCUSDT/BTCUSDT-bookDepth-2022-12-31.zip"),
        (OKX, TRADES + "/monthly/202503/allspot-trades-2025-03-05.zip"),
        (OKX, TRADES + "/daily/20241231/allspot-trades-2024-12-31.zip"),
        (OKX, TRADES + "/daily/20250306/BTC-USDT-trades-2025-03-05.zip"),
        (BYBIT, "/spot/BTCUSDT/BTCUSDT_2022-11-09.csv.gz"),
        (BYBIT, "/spot/NOSUCH/"),
        (BYBIT, "/spot/BTCUSDT/BTCUSDT_2025-03-05.csv.gz.CHECKSUM"),
        (GATE, "/spot/deals/202502/BTC_USDT-202501.csv.gz"),
        (HTX, "/data/trades/spot/daily/BTCUSDT/ETHUSDT-trades-2025-03-05.zip"),
        (HTX, "/data/trades/spot/daily/BTCUSDT/BTCUSDT-trades-2025-02-29.zip"),
        (HTX, "/data/trades/spot/daily/BTC-USDT/BTC-USDT-trades-2025-03-05.zip"),
        (HTX, "/historical_data/spot/daily/trades/BTC-USDT/BTC-USDT-trades-2025-03-05.zip"),
        (TOKYO, "/no-such-bucket"),
    ],
)
def test_what_is_not_there_is_said_in_the_form_of_s3(generated: GeneratedMarket, host: str, path: str) -> None:
    reply = ask(generated, host, path)
    assert reply.status == 404
    assert ElementTree.fromstring(reply.body).findtext("Code") in ("NoSuchKey", "NoSuchBucket")


def test_the_directory_knows_every_host_of_the_archives() -> None:
    for module in (vision, okx_archive, bybit, kucoin, gate, htx, bitget, s3):
        for host in module.HOSTS:
            assert BY_HOST[host].server.partition(":")[0] == module.__name__.rpartition(".")[2]


@pytest.mark.parametrize("host", [OKX, BYBIT, KUCOIN, GATE, *htx.HOSTS, *bitget.HOSTS])
def test_a_market_without_an_exchange_says_so(host: str) -> None:
    market = GeneratedMarket(date(2023, 2, 6), size=12, start=date(2023, 1, 1), exchanges=("binance",))
    assert b"the sandbox does not serve" in ask(market, host, "/spot/x").body


# --- listings -----------------------------------------------------------------------------------


def listed(market: Market, host: str, path: str, **query: str) -> tuple[list[tuple[str, int, str]], list[str], int]:
    """All keys with size and ETag, all common prefixes, and the number of pages."""
    keys, prefixes, pages, marker = [], [], 0, ""
    while True:
        page = ElementTree.fromstring(ask(market, host, path, marker=marker, **query).body)
        pages += 1
        found = [
            (e.findtext(SPACE + "Key", ""), int(e.findtext(SPACE + "Size", "")), e.findtext(SPACE + "ETag", ""))
            for e in page.iter(SPACE + "Contents")
        ]
        folded = [e.findtext(SPACE + "Prefix", "") for e in page.iter(SPACE + "CommonPrefixes")]
        assert len(found) + len(folded) <= 1000
        keys += found
        prefixes += folded
        if page.findtext(SPACE + "IsTruncated") == "false":
            return keys, prefixes, pages
        following = page.findtext(SPACE + "NextMarker")
        assert (following is not None) == ("delimiter" in query)
        marker = following or keys[-1][0]


@pytest.mark.parametrize("delimiter", ["", "/"])
def test_the_pages_of_a_listing_are_complete_and_repeat_nothing(generated: GeneratedMarket, delimiter: str) -> None:
    folder = "data/spot/daily/klines/BTCUSDT/1d/"
    query = {"prefix": folder} | ({"delimiter": delimiter} if delimiter else {})
    keys, prefixes, pages = listed(generated, TOKYO, "/data.binance.vision", **query)
    days = [date(2022, 10, 1) + timedelta(days=i) for i in range((date(2025, 3, 8) - date(2022, 10, 1)).days)]
    wanted = [f"{folder}BTCUSDT-1d-{day}.zip{end}" for day in days for end in ("", ".CHECKSUM")]
    assert [key for key, _, _ in keys] == wanted and not prefixes and pages == 2
    for key, size, tag in keys[::400] + keys[-2:]:
        reply = ask(generated, VISION, "/" + key)
        assert (len(reply.body), dict(reply.headers)["ETag"]) == (size, tag)


def test_everything_that_a_walk_through_the_folders_finds_is_there() -> None:
    """Down to the folders of one pair; a folder is listed only if it holds something."""

    def walk(host: str, path: str, prefix: str) -> list[str]:
        keys, prefixes, _ = listed(small, host, path, prefix=prefix, delimiter="/")
        assert keys or prefixes, prefix
        chosen = [p for p in prefixes if "/BTCUSDT/" in p] or prefixes[:5]
        return [key for key, _, _ in keys] + [key for p in chosen for key in walk(host, path, p)]

    small = GeneratedMarket(NOW, size=12, start=date(2025, 1, 20))
    for host, path, cdn in (
        (TOKYO, "/data.binance.vision", VISION),
        (TOKYO, "/gateio-public-data/", GATE),
        (SINGAPORE, "/public.bybit.com/", BYBIT),
        (KUCOIN, "/", KUCOIN),
        (HTX, "/", HTX),
    ):
        found = walk(host, path, "")
        assert len(found) > 1
        assert all(ask(small, cdn, "/" + key).status == 200 for key in found[::7])
        if cdn != host:
            assert ask(small, host, f"{path.rstrip('/')}/{found[0]}").body == ask(small, cdn, "/" + found[0]).body
        if cdn == VISION:
            kinds = {re.sub(r"[^/]*BTCUSDT.*", "", key) for key in found}
            spot = {f"data/spot/{g}/{k}/" for g in ("daily", "monthly") for k in ("klines", "trades", "aggTrades")}
            futures = {"daily/klines/", "monthly/klines/", "daily/metrics/", "daily/bookDepth/", "monthly/fundingRate/"}
            assert kinds == spot | {"data/futures/um/" + kind for kind in futures}


def test_the_edge_of_gate_lists_the_same_keys_whatever_is_asked() -> None:
    market = GeneratedMarket(date(2025, 3, 9), size=12, start=date(2025, 1, 20), exchanges=("binance", "gate"))
    page = ask(market, GATE, "/", prefix="spot/deals/202502/", marker="zzz")
    assert page.body == ask(market, GATE, "/").body and b"202501" in page.body


def test_a_listing_that_s3_would_not_give_is_refused(generated: GeneratedMarket) -> None:
    assert ask(generated, TOKYO, "/data.binance.vision", **{"max-keys": "many"}).status == 400
    assert b"version 1" in ask(generated, TOKYO, "/data.binance.vision", **{"list-type": "2"}).body
    larger = ask(generated, TOKYO, "/data.binance.vision", prefix="data/", delimiter="/", **{"max-keys": "5000"})
    assert b"<MaxKeys>5000</MaxKeys>" in larger.body


class Keys:
    """A tree of given keys; every file holds its own name."""

    def __init__(self, keys: Iterable[str]) -> None:
        self.keys = set(keys)

    def names(self, folder: str) -> Iterable[str]:
        below = [key[len(folder) :] for key in self.keys if key.startswith(folder)]
        return {head + slash for head, slash, _ in (name.partition("/") for name in below)}

    def file(self, key: str) -> File | None:
        return File(datetime(2026, 1, 1), key.encode) if key in self.keys else None


NAMES = st.lists(st.text("ab-é.", min_size=1, max_size=2), min_size=1, max_size=3).map("/".join)


@settings(max_examples=80, deadline=None)
@given(
    keys=st.sets(NAMES, max_size=25), size=st.integers(1, 7), prefix=st.text("ab/", max_size=2), is_folded=st.booleans()
)
def test_pages_of_any_size_hold_every_key_once_in_the_order_of_bytes(
    keys: set[str], size: int, prefix: str, is_folded: bool
) -> None:
    bucket = Bucket("any", Keys(keys))
    query = {"prefix": prefix, "max-keys": str(size)} | ({"delimiter": "/"} if is_folded else {})
    wanted = {key for key in keys if key.startswith(prefix)}
    if is_folded:
        cut = [(key, key.find("/", len(prefix))) for key in wanted]
        wanted = {key if at < 0 else key[: at + 1] for key, at in cut}
    found, marker = [], ""
    while True:
        page = ElementTree.fromstring(bucket.list(Request("", "/", query | {"marker": marker}, "")).body)
        contents = [e.findtext(SPACE + "Key", "") for e in page.iter(SPACE + "Contents")]
        folders = [e.findtext(SPACE + "Prefix", "") for e in page.iter(SPACE + "CommonPrefixes")]
        found += sorted(contents + folders, key=str.encode)
        if page.findtext(SPACE + "IsTruncated") == "false":
            break
        assert len(contents) + len(folders) == size
        marker = page.findtext(SPACE + "NextMarker") or contents[-1]
    assert found == sorted(wanted, key=str.encode)


def test_bybits_index_links_to_days_and_months_that_are_there(generated: GeneratedMarket) -> None:
    def links(path: str) -> list[str]:
        reply = ask(generated, BYBIT, path, prefix="ignored")
        assert (reply.status, reply.content_type) == (200, "text/html")
        return re.findall(r'href="([^"]+)"', reply.body.decode())

    assert links("/") == ["spot/"]
    assert "SOLUSDT/" in links("/spot/")
    files = links("/spot/SOLUSDT/")
    assert files[0] == "SOLUSDT-2022-11.csv.gz" and files[-1] == "SOLUSDT_2025-03-07.csv.gz"
    assert len(files) == 28 + (date(2025, 3, 8) - date(2022, 11, 10)).days
    assert all(ask(generated, BYBIT, "/spot/SOLUSDT/" + name).status == 200 for name in files[::60])


def test_a_month_of_bybit_is_its_days_and_ids_begin_anew_every_day(generated: GeneratedMarket) -> None:
    month = rows(text(generated, BYBIT, "/spot/BTCUSDT/BTCUSDT-2025-02.csv.gz"), True)
    days = [rows(text(generated, BYBIT, f"/spot/BTCUSDT/BTCUSDT_2025-02-{i:02}.csv.gz"), True) for i in range(1, 29)]
    assert month == [row for day in days for row in day]
    assert all([int(row[0]) for row in day] == list(range(1, len(day) + 1)) for day in days)


class Silent:
    """A market whose one pair of Bybit is listed and trades nothing."""

    now = date(2023, 1, 9)

    def exchanges(self) -> list[str]:
        return ["bybit"]

    def listings(self, exchange: str) -> Mapping[str, Listing]:
        return {"BTC/USDT": Listing("BTC", "USDT", date(2022, 1, 1), None, 2, 5)}

    def trades(self, *_: Any) -> Trades:
        none = np.zeros(0, np.int64)
        return Trades(none, none, none, none, none > 0, none > 0, 2, 5)


def test_a_day_without_trades_is_an_empty_gzip_of_43_bytes_at_bybit() -> None:
    """Recorded of 2022-12-12: 42 to 44 bytes."""
    reply = ask(cast(Market, Silent()), BYBIT, "/spot/BTCUSDT/BTCUSDT_2022-12-12.csv.gz")
    assert len(reply.body) == 43 and gzip.decompress(reply.body) == b""


# --- the recorded market ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def recorded(market: Path) -> RecordedMarket:
    return RecordedMarket(market)


@pytest.mark.recorded
@pytest.mark.parametrize(
    ("symbol", "interval", "first"),
    [("BTCUSDT", "1d", date(2024, 11, 1)), ("SOLUSDT", "1h", date(2024, 2, 1)), ("BTCUSDT", "1d", date(2025, 3, 1))],
)
def test_recorded_klines_are_in_the_archive_as_recorded(
    recorded: RecordedMarket, symbol: str, interval: str, first: date
) -> None:
    path = f"/data/spot/monthly/klines/{symbol}/{interval}/{symbol}-{interval}-{first:%Y-%m}.zip"
    end = first.replace(month=first.month + 1)
    wanted = rest(recorded, symbol, interval, first, end)
    found = text(recorded, VISION, path)
    days = [first + timedelta(days=i) for i in range((end - first).days)]
    daily = path.replace("monthly", "daily").replace(f"{first:%Y-%m}.zip", "{}.zip")
    assert found == "".join(text(recorded, VISION, daily.format(day)) for day in days)
    if first.year == 2025:
        found = re.sub(r"^(\d{13})000,", r"\1,", found, flags=re.MULTILINE)
        found = re.sub(r",(\d{10}999)999,", r",\1,", found)
    assert found == wanted and found.count("\n") >= 28


@pytest.mark.recorded
def test_the_recorded_archive_lists_what_was_recorded(recorded: RecordedMarket) -> None:
    listing = {"path": "/data.binance.vision", "delimiter": "/"}
    for prefix, wanted in (
        ("data/", ["data/spot/"]),
        ("data/spot/daily/", ["data/spot/daily/klines/"]),
        ("data/spot/daily/klines/ETHUSDT/", ["data/spot/daily/klines/ETHUSDT/1d/"]),
        ("data/spot/daily/klines/SOLUSDT/", [f"data/spot/daily/klines/SOLUSDT/{i}/" for i in ("1d", "1h")]),
    ):
        assert listed(recorded, TOKYO, **listing, prefix=prefix)[1] == wanted
    symbols = listed(recorded, TOKYO, **listing, prefix="data/spot/daily/klines/")[1]
    assert len(symbols) == len(recorded.symbols()) == 441
    folder = "data/spot/daily/klines/FTTUSDT/1d/FTTUSDT-1d-{}.zip"
    assert ask(recorded, VISION, "/" + folder.format("2022-09-30")).status == 200
    assert ask(recorded, VISION, "/" + folder.format("2022-10-01")).status == 404
    keys = [
        key for key, _, _ in listed(recorded, TOKYO, **listing, prefix=folder.format("2022-").removesuffix(".zip"))[0]
    ]
    assert keys[-2:] == [folder.format("2022-09-30"), folder.format("2022-09-30") + ".CHECKSUM"]


# --- numbers as text ----------------------------------------------------------------------------


@given(units=st.lists(st.integers(0, 10**12), min_size=1, max_size=20), decimals=st.integers(0, 8))
def test_numbers_are_written_exactly_whatever_the_form(units: list[int], decimals: int) -> None:
    array, exact = np.array(units, np.int64), [Decimal(u).scaleb(-decimals) for u in units]
    forms = [
        (archive_text.fixed(array, decimals), r"\d+" if decimals == 0 else places(decimals)),
        (archive_text.fixed(array, decimals, 20), P20),
        (archive_text.trimmed(array, decimals), TRIMMED),
        (archive_text.float_text(array, decimals), PYTHON),
    ]
    for written, form in forms:
        assert [Decimal(cell) for cell in written.to_pylist()] == exact
        assert all(re.fullmatch(form, cell) for cell in written.to_pylist()), written
    assert archive_text.float_text(array, decimals).to_pylist() == [repr(float(value)) for value in exact]
