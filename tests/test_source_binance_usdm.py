"""Binance USD-M: what is understood of rows typed anew and of recorded ones, whom a run follows, what it asks for;
and a whole run against a generated market, equal to what the generator itself says."""

import io
import json
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestration import run as runs
from orchestration.archive import Archive
from orchestration.expectations.validator import Validator
from orchestration.load import Loaded
from orchestration.rebuild import rebuild
from orchestration.records import RECORDS
from orchestration.sandbox.generated import GeneratedMarket
from orchestration.sandbox.market import DAY_MS
from orchestration.sandbox.wire import Request
from orchestration.settings import Settings
from orchestration.sources import binance_usdm, binance_usdm_archive
from orchestration.sources.body import Body, Parsed, SourceError, Window
from orchestration.sources.exchange import Exchange, Lacking
from orchestration.sources.http import Answer, Http
from orchestration.sources.registry import DERIVATIVES, parse
from orchestration.warehouse import Warehouse
from tests.served import served as serving
from tests.served import upstreams
from tests.test_rebuild import assert_same, tables
from tests.test_sources import check_parsed, kline, mutated, rows

NOON = datetime(2026, 3, 8, 12)
MARCH = date(2026, 3, 1)
DAY = timedelta(days=1)
NAME = "binance_usdm"
TABLES = DERIVATIVES[NAME].tables


def ms(day: date, hours: float = 0) -> int:
    return int((datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(hours=hours)).timestamp() * 1000)


def body(dataset: str, content: object, start: date = MARCH, end: date = date(2026, 3, 8), **changes: str) -> Body:
    context = {"symbol": "SOLUSDT", "start": start.isoformat(), "end": end.isoformat(), "now": NOON.isoformat()}
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    url = changes.pop("url", "https://usdm.example/x")
    return Body(NAME, dataset, url, 200, NOON, raw, context | changes)


class Script:
    """Stands for `Http`: answers with the given contents, one after the other, and keeps what was asked and at which
    weight."""

    def __init__(self, *contents: object):
        self.contents = list(contents)
        self.asked: list[dict] = []

    def get(self, host, path, params=None, weight=1, wrong=None) -> Answer:
        self.asked.append({"path": path, "weight": weight, "host": host.name, **(params or {})})
        content = self.contents.pop(0) if len(self.contents) > 1 else self.contents[0]
        return Answer(f"https://{host.hosts[0]}{path}", 200, json.dumps(content).encode(), NOON)

    @property
    def http(self) -> Http:
        return cast(Http, self)


def zipped(lines: Iterable[str], name: str) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr(name, "".join(line + "\n" for line in lines))
    return content.getvalue()


# --- symbols and volumes

LISTING = {
    "serverTime": ms(date(2026, 3, 8)) + 1000,
    "symbols": [
        {
            "symbol": "SOLUSDT",
            "status": "TRADING",
            "baseAsset": "SOL",
            "quoteAsset": "USDT",
            "contractType": "PERPETUAL",
        },
        {
            "symbol": "BTCUSDT_260327",
            "status": "TRADING",
            "baseAsset": "BTC",
            "quoteAsset": "USDT",
            "contractType": "CURRENT_QUARTER",
        },
        {"symbol": "1000XUSDT", "status": "SETTLING", "baseAsset": "1000x", "quoteAsset": "USDT", "contractType": ""},
    ],
}


def test_contracts_and_their_types():
    listing = body("perpetual_symbols", LISTING)
    found = rows(binance_usdm.parse_symbols(listing), "perpetual_symbols")
    assert [(r["symbol"], r["base_asset"], r["is_trading"], r["contract_type"]) for r in found] == [
        ("SOLUSDT", "SOL", True, "PERPETUAL"),
        ("BTCUSDT_260327", "BTC", True, "CURRENT_QUARTER"),
        ("1000XUSDT", "1000X", False, None),
    ]


@pytest.mark.parametrize(
    "content", [{"code": -1003}, {"serverTime": 1, "symbols": [{"symbol": "A"}]}, [], {"symbols": []}]
)
def test_what_is_no_listing_of_contracts_is_said(content: object):
    with pytest.raises(SourceError, match=r"https://usdm\.example/x: "):
        binance_usdm.parse_symbols(body("perpetual_symbols", content))


def test_volumes_are_one_request():
    http = Script([{"symbol": "A", "quoteVolume": "12.5"}, {"symbol": "B", "quoteVolume": "1e3"}])
    assert binance_usdm.fetch_volumes(http.http) == {"A": 12.5, "B": 1000.0}
    assert [(asked["path"], asked["weight"]) for asked in http.asked] == [("/fapi/v1/ticker/24hr", 40)]
    for wrong in ({"code": -1}, [{"symbol": "A"}], [{"symbol": "A", "quoteVolume": "many"}]):
        with pytest.raises(SourceError, match="no tickers"):
            binance_usdm.fetch_volumes(Script(wrong).http)


# --- klines


def fetched(bodies: Iterator[Body | Lacking], read: Callable[[Body], Parsed]) -> list[Parsed]:
    """What a run makes of a fetch: every body is parsed before the next one is asked for."""
    return [read(each) for each in bodies if isinstance(each, Body)]


@pytest.mark.parametrize(
    ("days", "asked"),
    [
        (1, [(1, 1)]),
        (99, [(99, 1)]),
        (100, [(100, 2)]),
        (499, [(499, 2)]),
        (500, [(500, 5)]),
        (1001, [(1001, 10)]),
        (2000, [(1500, 10), (500, 5)]),
    ],
)
def test_a_page_of_bars_is_as_large_as_what_is_left_and_weighs_by_its_size(days: int, asked: list):
    first = (date(2020, 1, 1) - MARCH).days
    bars = [kline(first + n) for n in range(days)]
    http = Script(*[bars[at : at + 1500] for at in range(0, days, 1500)])
    window = Window(date(2020, 1, 1), date(2020, 1, 1) + days * DAY)
    found = fetched(binance_usdm.fetch_flows(http.http, "SOLUSDT", window, NOON), binance_usdm.parse_flows)
    assert sum(each.tables["perpetual_flows"].num_rows for each in found) == days
    assert [(each["limit"], each["weight"]) for each in http.asked] == asked
    assert http.asked[-1]["endTime"] == ms(window.end) - 1


def test_bars_of_contracts_are_bars_in_a_table_of_their_own():
    """Whole prices are written without a point."""
    parsed = binance_usdm.parse_flows(body("perpetual_flows", [kline(0, open="149"), kline(1, quote="NaN")]))
    (row,) = rows(parsed, "perpetual_flows")
    assert (row["exchange"], row["symbol"], row["utc_date"]) == (NAME, "SOLUSDT", MARCH)
    assert (row["open_price_text"], row["taker_buy_quote"]) == ("149", Decimal("59637.25"))
    (refused,) = parsed.refused
    assert (refused.table, refused.day) == ("perpetual_flows", MARCH + DAY)


def test_pages_of_bars_that_never_advance_end_with_an_error():
    http = Script([kline(n) for n in range(1500)])
    with pytest.raises(SourceError, match="paging would never end"):
        list(binance_usdm.fetch_flows(http.http, "SOLUSDT", Window(MARCH, MARCH + 4000 * DAY), NOON))


# --- funding


def payment(hours: float = 0, **changes: object) -> dict:
    usual = {"symbol": "SOLUSDT", "fundingTime": ms(MARCH, hours), "fundingRate": "-0.00022270", "markPrice": "148.9"}
    return {name: value for name, value in (usual | changes).items() if value is not ...}


def test_what_longs_paid_field_by_field():
    content = [payment(), payment(8, fundingTime=ms(MARCH, 8) + 13, fundingRate="6.0E-7", markPrice="")]
    parsed = binance_usdm.parse_funding(body("funding_rates", [*content, payment(24, markPrice=...)]))
    first, second, third = rows(parsed, "funding_rates")
    assert first == {
        "exchange": NAME,
        "symbol": "SOLUSDT",
        "utc_date": MARCH,
        "funded_at": datetime(2026, 3, 1),
        "funding_ratio": Decimal("-0.0002227"),
        "mark_price": 148.9,
        "body_sha256": first["body_sha256"],
    }
    assert second["funded_at"] == datetime(2026, 3, 1, 8, 0, 0, 13_000)
    assert (second["funding_ratio"], second["mark_price"]) == (Decimal("6e-7"), None)
    assert (third["utc_date"], third["mark_price"]) == (MARCH + DAY, None)
    assert not parsed.refused and not parsed.rounded_count


@pytest.mark.parametrize(
    ("bad", "why", "day"),
    [
        (payment(8, fundingRate="NaN"), "fundingRate 'NaN' is not a finite number", MARCH),
        (payment(8, fundingRate=""), "fundingRate '' is not a number", MARCH),
        (payment(8, markPrice="Infinity"), "markPrice 'Infinity' is not a finite number", MARCH),
        (payment(-1), "outside of the days that were asked for", None),
        (payment(7 * 24), "outside of the days that were asked for", None),
        (payment(8, fundingTime=ms(MARCH) * 1000), "outside of the days that were asked for", None),
        (payment(8, fundingTime=-(1 << 62)), "outside of the days that were asked for", None),
        (payment(8, symbol="XRPUSDT"), "is of 'XRPUSDT', which was not asked for", MARCH),
    ],
)
def test_a_payment_that_is_none_is_refused_alone(bad: dict, why: str, day: date | None):
    parsed = binance_usdm.parse_funding(body("funding_rates", [payment(), bad, payment(16)]))
    assert [row["funded_at"].hour for row in rows(parsed, "funding_rates")] == [0, 16]
    (refused,) = parsed.refused
    assert why in refused.reason and (refused.day, refused.table) == (day, "funding_rates")
    assert json.loads(refused.row)["fundingTime"] == bad["fundingTime"]


def test_payments_repeated_to_the_letter_count_once_and_two_values_are_both_kept_for_the_suite():
    content = [payment(), payment(8), payment(), payment(8, fundingRate="0.1")]
    parsed = binance_usdm.parse_funding(body("funding_rates", content))
    assert [row["funded_at"].hour for row in rows(parsed, "funding_rates")] == [0, 8, 8]


def test_many_pages_of_payments_are_as_each_alone():
    pages = [
        body("funding_rates", [payment(), payment(8)]),
        body("funding_rates", []),
        body("funding_rates", [payment(24), payment(0)], start=MARCH + DAY, symbol="SOLUSDT"),
    ]
    together = binance_usdm.parse_funding(*pages)
    alone = [binance_usdm.parse_funding(each) for each in pages]
    assert rows(together, "funding_rates") == [row for each in alone for row in rows(each, "funding_rates")]
    assert [each.reason for each in together.refused] == [each.reason for one in alone for each in one.refused] != []


@pytest.mark.parametrize("count", [999, 1000, 2500])
def test_payments_are_paged_until_a_page_is_not_full(count: int):
    paid = [payment(8 * n) for n in range(count)]
    pages = [paid[at : at + 1000] for at in range(0, count, 1000)]
    http = Script(*pages, *([[]] if count % 1000 == 0 else []))
    window = Window(MARCH, MARCH + 1000 * DAY)
    found = fetched(binance_usdm.fetch_funding(http.http, "SOLUSDT", window, NOON), binance_usdm.parse_funding)
    assert sum(each.tables["funding_rates"].num_rows for each in found) == count
    starts = [ms(MARCH), *(page[-1]["fundingTime"] + 1 for page in pages if len(page) == 1000)]
    assert [asked["startTime"] for asked in http.asked] == starts
    assert {asked["host"] for asked in http.asked} == {"binance_usdm_funding"}


NOT_PAYMENTS = [
    {"code": -1121, "msg": "Invalid symbol."},
    [[1, "2"]],
    [{"symbol": "SOLUSDT"}],
    [payment(fundingTime="1772323200000")],
    [payment(fundingTime=1772323200000.0)],
    [payment(fundingTime=True)],
    [payment(fundingTime=1 << 70)],
    [payment(fundingRate=0.1)],
    [payment(fundingRate=None)],
    [payment(symbol=None)],
    [payment(markPrice=5)],
    None,
    b"[",
    b'[{"symbol":"\\ud800","fundingTime":1,"fundingRate":"1"}]',
]


@pytest.mark.parametrize("content", NOT_PAYMENTS, ids=str)
def test_what_are_no_payments_is_said(content: object):
    with pytest.raises(SourceError, match=r"https://usdm\.example/x: "):
        binance_usdm.parse_funding(body("funding_rates", content))


# --- open interest


def contracts(day: int = 1, **changes: object) -> dict:
    usual = {"symbol": "SOLUSDT", "timestamp": ms(MARCH + day * DAY), "sumOpenInterest": "286060.67400000"}
    return usual | {"sumOpenInterestValue": "13151177.54493120", "CMCCirculatingSupply": "5.0"} | changes


def test_what_stands_at_a_midnight_was_open_at_the_end_of_the_day_before():
    parsed = binance_usdm.parse_open_interest(body("open_interest", [contracts(1), contracts(7)]))
    first, second = rows(parsed, "open_interest")
    assert (first["utc_date"], second["utc_date"]) == (MARCH, MARCH + 6 * DAY)
    assert (first["open_interest_base"], first["open_interest_quote"]) == (
        Decimal("286060.674"),
        Decimal("13151177.5449312"),
    )


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (contracts(0), "ends none of the days that were asked for"),
        (contracts(8), "ends none of the days that were asked for"),
        (contracts(2, timestamp=ms(MARCH, 30)), "is not 00:00 UTC of a day"),
        (contracts(2, sumOpenInterest="-"), "sumOpenInterest '-' is not a number"),
        (contracts(2, sumOpenInterestValue="NaN"), "sumOpenInterestValue 'NaN' is not a finite number"),
    ],
)
def test_open_interest_that_is_none_is_refused_alone(bad: dict, why: str):
    parsed = binance_usdm.parse_open_interest(body("open_interest", [contracts(1), bad]))
    assert len(rows(parsed, "open_interest")) == 1
    assert [why in refused.reason for refused in parsed.refused] == [True]


def test_open_interest_is_asked_for_by_the_midnights_that_end_the_days():
    http = Script([contracts(1)])
    window = Window(MARCH, MARCH + 3 * DAY)
    (page,) = binance_usdm.fetch_open_interest(http.http, "SOLUSDT", window, NOON)
    assert (http.asked[0]["startTime"], http.asked[0]["endTime"]) == (ms(MARCH + DAY), ms(MARCH + 3 * DAY))
    assert http.asked[0]["host"] == "binance_usdm_statistics" and page.context["end"] == "2026-03-04"


# --- any bytes

GOOD: dict[str, tuple[Callable[..., Parsed], Any]] = {
    "perpetual_symbols": (binance_usdm.parse_symbols, LISTING),
    "perpetual_flows": (binance_usdm.parse_flows, [kline(0), kline(1)]),
    "funding_rates": (binance_usdm.parse_funding, [payment(), payment(8)]),
    "open_interest": (binance_usdm.parse_open_interest, [contracts(1), contracts(2)]),
}


@pytest.mark.parametrize("name", GOOD)
@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_any_answer_gives_rows_or_a_source_error(name: str, data: st.DataObject):
    read, good = GOOD[name]
    try:
        parsed = read(body(name, data.draw(mutated(good))))
    except SourceError as error:
        assert "https://usdm.example" in str(error) and error.reason == "failed"
    else:
        check_parsed(parsed)


@pytest.mark.parametrize("name", GOOD)
def test_the_answers_that_are_mutated_are_good(name: str):
    parsed = parse([body(name, GOOD[name][1])])[0]
    check_parsed(parsed)
    assert parsed.tables[name].num_rows and not parsed.refused


# --- recorded answers


@pytest.fixture(scope="module")
def fixtures(shared: Path) -> Path:
    return shared / "fixtures"


@pytest.mark.recorded
def test_recorded_bars_equal_the_oracle_to_the_last_digit(fixtures: Path):
    name = "binance_futures/fapi_klines_BTCUSDT_1d_2019_116.json"
    page = body("x", (fixtures / name).read_bytes(), date(2019, 1, 1), date(2020, 1, 2), symbol="BTCUSDT")
    parsed = binance_usdm.parse_flows(page)
    found = {str(row["utc_date"]): row for row in rows(parsed, "perpetual_flows")}
    assert len(found) == 116 and not parsed.refused and not parsed.rounded_count
    oracle = json.loads((fixtures / "ORACLE.json").read_text())["expected"][name]
    wanted = {day: sums for day, sums in oracle.items() if isinstance(sums, dict) and "taker_buy_quote" in sums}
    assert len(wanted) >= 6
    for day, sums in wanted.items():
        assert found[day]["taker_buy_quote"] == Decimal(sums["taker_buy_quote"])
        assert found[day]["volume_quote"] - found[day]["taker_buy_quote"] == Decimal(sums["taker_sell_quote"])
        assert found[day]["trade_count"] == sums["trades"]


@pytest.mark.recorded
def test_a_recorded_file_of_bars_equals_the_oracle(fixtures: Path):
    """Thirds of a day with a header; the same rows as one day, summed by hand."""
    name = "binance_vision/um_klines_8h_BTCUSDT_2026-07-28_ms_header.csv"
    ((_, sums),) = json.loads((fixtures / "ORACLE.json").read_text())["expected"][name].items()
    head, *lines = (fixtures / name).read_text().split()
    cells = [line.split(",") for line in lines]
    day = [cells[0][0], cells[0][1], max(c[2] for c in cells), min(c[3] for c in cells), cells[-1][4]]
    summed = [str(sum(Decimal(c[i]) for c in cells)) for i in (5, 7, 8, 9, 10)]
    line = ",".join([*day, summed[0], cells[-1][6], *summed[1:], "0"])
    stem = "BTCUSDT-1d-2026-07-28"
    url, first = f"https://data.example/{stem}.zip", date(2026, 7, 28)
    content = zipped([head, line], f"{stem}.csv")
    file = body("x", content, first, first + DAY, url=url, form="zip", symbol="BTCUSDT", now="2026-08-01T00:00:00")
    (row,) = rows(binance_usdm.parse_flows(file), "perpetual_flows")
    assert row["taker_buy_quote"] == Decimal(sums["taker_buy_quote"])
    assert row["volume_quote"] - row["taker_buy_quote"] == Decimal(sums["taker_sell_quote"])
    assert (row["trade_count"], row["source_kind"]) == (sums["trades"], "archive")


@pytest.mark.recorded
def test_recorded_answers_of_every_kind(fixtures: Path):
    def read(name: str, symbol: str, start: date, end: date) -> Body:
        return body("x", (fixtures / f"binance_futures/{name}.json").read_bytes(), start, end, symbol=symbol)

    listing = read("fapi_exchangeInfo_25symbols_2025-08", "", MARCH, MARCH)
    assert len(rows(binance_usdm.parse_symbols(listing), "perpetual_symbols")) == 25
    paid = binance_usdm.parse_funding(read("fundingRate_BTCUSDT_100", "BTCUSDT", date(2020, 9, 1), date(2020, 11, 1)))
    found = rows(paid, "funding_rates")
    assert len(found) == 100 and not paid.refused and not paid.rounded_count
    assert (found[1]["funded_at"].microsecond, found[1]["funding_ratio"]) == (10_000, Decimal("-0.00002796"))
    assert {row["mark_price"] for row in found} == {None}
    page = read("openInterestHist_LTCUSDT_1d_10", "LTCUSDT", date(2020, 10, 1), date(2020, 10, 20))
    ended = binance_usdm.parse_open_interest(page)
    assert (len(rows(ended, "open_interest")), ended.refused) == (10, [])
    assert rows(ended, "open_interest")[0]["utc_date"] == date(2020, 10, 6)


@pytest.mark.recorded
def test_every_recorded_bar_of_contracts_passes_its_suite(market: Path, validator: Validator):
    table = pq.read_table(market / "binance/um/klines_1d.parquet")
    names = ["open_time", "open", "high", "low", "close", "volume", "close_time", "quote_volume", "trades"]
    pages: dict[str, list[list]] = {}
    for row in table.to_pylist():
        pages.setdefault(row["symbol"], []).append(
            [*(row[name] for name in names), row["taker_buy_base"], row["taker_buy_quote"], "0"]
        )
    first, end = date(2025, 6, 1), date(2025, 7, 1)
    bodies = [body("x", page, first, end, symbol=name) for name, page in pages.items()]
    parsed = binance_usdm.parse_flows(*bodies)
    assert parsed.tables["perpetual_flows"].num_rows == table.num_rows > 6000 and not parsed.refused
    report = validator.check("raw_perpetual_flows", parsed.tables["perpetual_flows"], window=(first, end))
    assert report.passed, report.message


# --- against a generated market

NOW, START = date(2025, 3, 9), date(2024, 12, 20)


@pytest.fixture(scope="module")
def validator() -> Iterator[Validator]:
    with Validator.start() as started:
        yield started


@pytest.fixture(scope="module")
def generated() -> GeneratedMarket:
    return GeneratedMarket(NOW, seed=5, size=16, start=START, exchanges=("binance", NAME))


@pytest.fixture(scope="module")
def url(generated: GeneratedMarket) -> Iterator[str]:
    with serving(upstreams(generated)) as base:
        yield base


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("usdm")


def settings_of(data: Path, url: str) -> Settings:
    return Settings("sandbox", data, start=START, exchanges=(NAME,), upstreams=url)


def loaded(
    data: Path, url: str, validator: Validator, run_id: str, tables: Sequence[str] = tuple(TABLES), **options
) -> dict[str, Loaded]:
    """What one run does for the tables."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runs.Validator, "start", lambda early=True: validator)
        patch.setattr(validator, "close", lambda: None)
        with runs.open_run(settings_of(data, url), run_id, set(tables), **options) as run:
            return {table: run.ingest.load(table) for table in tables}


@pytest.fixture(scope="module")
def first(data: Path, url: str, validator: Validator) -> dict[str, Loaded]:
    return loaded(data, url, validator, "first")


def stored(data: Path, sql: str) -> list[tuple]:
    return [tuple(row.values()) for row in Warehouse(data / "warehouse.duckdb").read(sql).to_pylist()]


def pairs_of(generated: GeneratedMarket) -> dict[str, str]:
    """Symbol → name, of the contracts that trade."""
    return {p.base + p.quote: name for name, p in generated.listings(NAME).items() if p.end is None or p.end > NOW}


def exact(units: Any, places: int) -> Decimal:
    return Decimal(int(units)).scaleb(-places)


def day_of(number: int) -> date:
    return date(1970, 1, 1) + int(number) * DAY


def test_a_run_fills_every_table_without_a_gap(first, data):
    assert {table: (each.gaps, each.quarantined) for table, each in first.items()} == {t: ([], 0) for t in TABLES}
    assert all(each.inserted for each in first.values())
    # The last day's files come on the morning after.
    for table in ("perpetual_metrics", "perpetual_depth"):
        assert {(a.reason, a.window.start) for a in first[table].absences} == {("not_published_yet", NOW - DAY)}
    assert all(report.passed for each in first.values() for report in each.reports)


def test_bars_are_those_of_the_market(first, generated, data):
    wanted = {}
    for symbol, name in pairs_of(generated).items():
        bars = generated.bars(NAME, name, "1d")
        assert bars is not None
        for i, at in enumerate(bars.times_ms):
            wanted[symbol, day_of(at // DAY_MS)] = (
                exact(bars.volume_quote[i], bars.quote_decimals),
                exact(bars.taker_buy_quote[i], bars.quote_decimals),
                exact(bars.volume_base[i], bars.base_decimals),
                float(exact(bars.close[i], bars.price_decimals)),
                int(bars.trades[i]),
            )
    found = stored(
        data,
        "SELECT symbol, utc_date, volume_quote, taker_buy_quote, volume_base, close_price, trade_count "
        "FROM raw.perpetual_flows",
    )
    assert {row[:2]: row[2:] for row in found} == wanted and len(wanted) > 300


def test_payments_are_those_of_the_market(first, generated, data):
    wanted = set()
    for symbol, name in pairs_of(generated).items():
        paid = generated.funding(name)
        assert paid is not None
        for at, rate in zip(*paid, strict=True):
            moment = datetime(1970, 1, 1) + timedelta(milliseconds=int(at))
            wanted.add((symbol, moment.date(), moment, exact(rate, 8)))
    found = stored(data, "SELECT symbol, utc_date, funded_at, funding_ratio FROM raw.funding_rates")
    assert set(found) == wanted and len(found) == len(wanted) > 1000


def test_open_interest_is_that_of_the_market_by_both_ways(first, generated, data):
    wanted = {}
    for symbol, name in pairs_of(generated).items():
        found, bars = generated.open_interest(name), generated.bars(NAME, name, "1d")
        assert found is not None and bars is not None
        closes = {
            day_of(at // DAY_MS): exact(p, bars.price_decimals) for at, p in zip(bars.times_ms, bars.close, strict=True)
        }
        for number, units in zip(*found, strict=True):
            amount = exact(units, bars.base_decimals)
            wanted[symbol, day_of(number)] = (amount, amount * closes[day_of(number)])
    rest = stored(data, "SELECT symbol, utc_date, open_interest_base, open_interest_quote FROM raw.open_interest")
    assert {row[:2]: row[2:] for row in rest} == {key: v for key, v in wanted.items() if key[1] >= NOW - 30 * DAY}
    files = stored(data, "SELECT symbol, utc_date, open_interest_base, row_count FROM raw.perpetual_metrics")
    days_there = {key for key in wanted if NOW - 35 * DAY <= key[1] < NOW - DAY}
    assert {row[:2]: row[2:] for row in files} == {key: (wanted[key][0], 288) for key in days_there}


def test_depth_is_the_median_of_the_files_of_the_market(first, generated, data):
    """Worked out again from the sandbox's own file, by sorting."""
    symbol = sorted(pairs_of(generated))[0]
    server = upstreams(generated).server("data.binance.vision")
    assert server is not None
    stem = f"{symbol}-bookDepth-2025-03-05"
    reply = server(Request("data.binance.vision", f"/data/futures/um/daily/bookDepth/{symbol}/{stem}.zip", {}, ""))
    with zipfile.ZipFile(io.BytesIO(reply.body)) as archive:
        lines = archive.read(f"{stem}.csv").decode().split()[1:]
    cells = [line.split(",") for line in "\n".join(lines).replace("\n", " ").split(" ") if line.count(",") == 3]
    bids = sorted(Decimal(notional) for _, percentage, _, notional in cells if percentage == "-2.00")
    assert len(bids) == 48
    columns = "bid_within_2_percent_quote, snapshot_count"
    found = stored(
        data, f"SELECT {columns} FROM raw.perpetual_depth WHERE symbol = '{symbol}' AND utc_date = '2025-03-05'"
    )
    assert found == [((bids[23] + bids[24]) / 2, 48)]
    count = stored(data, "SELECT count(*), count(DISTINCT utc_date) FROM raw.perpetual_depth")
    assert count == [(34 * len(pairs_of(generated)), 34)]


def test_the_archive_says_of_bars_what_the_api_says(generated, url):
    http, window = Http(url), Window(date(2025, 1, 1), date(2025, 3, 1))
    now = datetime(2025, 3, 9)
    asked = binance_usdm.parse_flows(*binance_usdm.fetch_flows(http, "BTCUSDT", window, now))
    read = binance_usdm.parse_flows(*binance_usdm_archive.SPARE.fetch(http, "BTCUSDT", window, now))
    own = ["source_kind", "body_sha256"]
    one, other = (parsed.tables["perpetual_flows"].drop_columns(own) for parsed in (asked, read))
    assert one.num_rows == 59 and one.equals(other) and not read.refused
    http.close()


def test_a_second_run_with_nothing_new_changes_nothing(first, data, url, validator):
    before = tables(Warehouse(data / "warehouse.duckdb"))
    again = loaded(data, url, validator, "second")
    after = tables(Warehouse(data / "warehouse.duckdb"))
    assert {table: (e.inserted, e.changed, e.deleted, e.gaps) for table, e in again.items()} == {
        table: (0, 0, 0, []) for table in TABLES
    }
    for table in TABLES:
        assert after[table] == before[table] and not after[f"{table}_history"]
    # The archive's days are final: nothing of them is asked for again but what was not there.
    assert again["perpetual_metrics"].bodies == again["perpetual_depth"].bodies == 0


def test_the_tables_come_from_the_archive_alone(first, data, url, validator, tmp_path):
    before = tables(Warehouse(data / "warehouse.duckdb"))
    rebuild(Archive(data / "archive"), tmp_path / "again.duckdb", settings_of(data, url), validator, "again", "test")
    again = tables(Warehouse(tmp_path / "again.duckdb"))
    for table in TABLES:
        assert before[table] and again[table] == before[table]
    assert_same({"asked": again["asked"]}, {"asked": before["asked"]})


@pytest.mark.chaos
def test_a_run_that_names_its_first_day_reads_the_archive_from_then_on(first, url, validator, tmp_path):
    start = date(2025, 1, 20)
    named = loaded(tmp_path, url, validator, "named", start=start, is_start_named=True)
    assert all(not each.gaps for each in named.values())
    for table in ("perpetual_metrics", "perpetual_depth", "perpetual_flows"):
        assert stored(tmp_path, f"SELECT min(utc_date) FROM raw.{table}") == [(start,)]


def test_contracts_that_are_out_of_reach_are_gaps_of_their_own(generated, validator, tmp_path):
    """With what the exchange lists unknown there is nobody to ask the archive about."""
    with serving(upstreams(generated, f"{NAME}:451")) as blocked:
        found = loaded(tmp_path, blocked, validator, "blocked")
    for table, each in found.items():
        assert {(gap.dataset, gap.reason) for gap in each.gaps} == {(table, "out_of_reach")}, table


def test_where_the_api_is_out_of_reach_bars_come_from_the_archive(first, data, generated, validator, tmp_path, url):
    asked = ("perpetual_symbols", "perpetual_flows", "funding_rates")
    loaded(tmp_path, url, validator, "before", asked, end=NOW - 10 * DAY)
    with serving(upstreams(generated, f"{NAME}:451:klines", f"{NAME}:451:funding")) as blocked:
        found = loaded(tmp_path, blocked, validator, "after", asked)
    assert found["perpetual_flows"].gaps == [] and found["perpetual_flows"].inserted > 0
    assert {gap.reason for gap in found["funding_rates"].gaps} == {"out_of_reach"}
    rows_of = "SELECT * EXCLUDE (load_id, loaded_at, source_kind, body_sha256) FROM raw.perpetual_flows "
    until = f"WHERE utc_date < DATE '{NOW - DAY}' ORDER BY symbol, utc_date"
    assert stored(tmp_path, rows_of + until) == stored(data, rows_of + until)


# --- what the sandbox serves of contracts


def test_tickers_tell_the_last_bar(generated, url):
    http = Http(url)
    volumes = binance_usdm.fetch_volumes(http)
    assert volumes.keys() == pairs_of(generated).keys()
    for symbol, name in pairs_of(generated).items():
        bars = generated.bars(NAME, name, "1d")
        assert bars is not None and volumes[symbol] == float(exact(bars.volume_quote[-1], bars.quote_decimals))
    http.close()


@pytest.mark.recorded
def test_the_recorded_market_serves_the_bars_and_payments_that_it_has(
    market: Path, tmp_path: Path, validator: Validator
):
    settings = Settings("recorded", tmp_path, market_dir=market, exchanges=(NAME,))
    end = date(2025, 6, 15)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runs.Validator, "start", lambda early=True: validator)
        patch.setattr(validator, "close", lambda: None)
        with runs.open_run(settings, "recorded", set(TABLES), end=end) as run:
            found = {table: run.ingest.load(table) for table in TABLES}
    assert all(not each.gaps and not each.absences for each in found.values())
    assert {table for table, each in found.items() if each.received} == set(TABLES[:3])
    paid = stored(tmp_path, "SELECT funding_ratio, mark_price FROM raw.funding_rates WHERE symbol = 'BTCUSDT' "
                            "AND funded_at >= '2025-06-14' ORDER BY funded_at")  # fmt: skip
    assert len(paid) == 3 and all(price > 100_000 for _, price in paid)
    bars = stored(tmp_path, "SELECT count(DISTINCT symbol), min(utc_date), max(utc_date) FROM raw.perpetual_flows")
    # The recording lacks 14 to 16 June.
    assert bars == [(50, date(2025, 6, 8), date(2025, 6, 13))]


def test_every_table_is_declared():
    assert [table for table in TABLES if table not in RECORDS] == []
    assert isinstance(DERIVATIVES[NAME], Exchange)
