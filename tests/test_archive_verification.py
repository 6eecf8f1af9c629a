"""Months that came from Binance's API, read again from its archive: which, what differs, and what that changes."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from subprocess import CompletedProcess

import duckdb
import pytest

from orchestration import run as runs
from orchestration.archive import Archive
from orchestration.asking.context import Known
from orchestration.asking.second_source import NEWEST, SAMPLE, Stored, sample, stored_months
from orchestration.expectations.validator import Validator
from orchestration.ingest import known_of
from orchestration.marts import compared_sources
from orchestration.rebuild import rebuild
from orchestration.settings import Settings
from orchestration.sources import binance_second
from orchestration.sources.binance_second import SECOND
from orchestration.sources.body import Absent, Body, SourceError, Window
from orchestration.sources.registry import parse
from orchestration.warehouse import Arrived, Delivery, Warehouse
from tests.commandline import altflow
from tests.test_faults import sandbox
from tests.test_rebuild import assert_same, tables
from tests.test_source_binance_archives import FULL, GOOD, kline, line, shelf, span, zipped
from tests.test_warehouse import SPOT_FLOWS, flow, table

# --- which months


def market(symbols: int, months: int, first: date = date(2024, 1, 1)) -> list[Stored]:
    """Symbol n makes 1 / (n + 1) of the trades of the first."""
    starts = [date(first.year + (first.month - 1 + n) // 12, (first.month - 1 + n) % 12 + 1, 1) for n in range(months)]
    windows = [Window(start, (start + timedelta(days=32)).replace(day=1)) for start in starts]
    return [Stored(f"S{n:03}", window, 1_000_000 // (n + 1)) for n in range(symbols) for window in windows]


def seen(months: list[Stored], chosen: list[Stored]) -> list[Stored]:
    return [replace(month, is_seen=True) if month in chosen else month for month in months]


def test_the_day_says_which_months_are_read_again():
    months = market(40, 24)
    chosen = sample(months, date(2026, 1, 10))
    assert len(set(chosen)) == SAMPLE == len(chosen)
    assert sample(list(reversed(months)), date(2026, 1, 10)) == chosen != sample(months, date(2026, 1, 11))
    newest = [month for month in chosen if month.window.start == date(2025, 12, 1)]
    assert chosen[:NEWEST] == newest[:NEWEST]
    assert sample([], date(2026, 1, 10)) == []


def test_no_month_comes_again_before_all_were_there():
    months, drawn = market(7, 6), Counter()
    for day in range(5):
        chosen = sample(months, date(2026, 1, 10) + timedelta(days=day))
        drawn.update((month.symbol, month.window.start) for month in chosen)
        months = seen(months, chosen)
    # Of 42 months the fifth day has two left.
    assert set(drawn.values()) == {1} and len(drawn) == 42 and len(chosen) == 2
    assert len(sample(months, date(2026, 1, 15))) == SAMPLE


def test_every_symbol_is_seen_and_large_ones_more_often():
    months, day = market(430, 9), date(2026, 1, 10)
    drawn: Counter[str] = Counter()
    for n in range(120):
        chosen = sample(months, day + timedelta(days=n))
        drawn.update(month.symbol for month in chosen)
        months = seen(months, chosen)
    assert len(drawn) == 430
    assert min(drawn[f"S{n:03}"] for n in range(20)) > 2 * drawn["S400"]


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    made = Warehouse(tmp_path / "warehouse.duckdb")
    made.prepare(Settings("sandbox", tmp_path))
    return made


def store(warehouse: Warehouse, start: str, end: str, kind: str = "klines", symbol: str = "SOLUSDT") -> None:
    """What an answer for these days leaves behind; FIRST of `flow` is 2026-03-01."""
    days = [(day - date(2026, 3, 1)).days for day in span(start, end)]
    rows = [flow(day, symbol) | {"source_kind": kind, "trade_count": 5} for day in days]
    window = Window(date.fromisoformat(start), date.fromisoformat(end))
    arrived = [Arrived(("binance", symbol), window)]
    warehouse.replace_window(Delivery(SPOT_FLOWS, table(SPOT_FLOWS, rows), arrived, "binance", "spot_flows"), "run")


def candidates(warehouse: Warehouse, end: str) -> list[tuple[str, str, int]]:
    known = known_of(warehouse, "binance", False)
    found = stored_months(warehouse, "binance", known, SECOND, date.fromisoformat(end))
    return [(month.symbol, f"{month.window.start:%Y-%m}", month.trade_count) for month in found]


def test_closed_months_that_the_api_answered_whole_are_candidates(warehouse: Warehouse):
    assert candidates(warehouse, "2026-05-10") == []
    store(warehouse, "2026-02-10", "2026-05-09")
    store(warehouse, "2026-03-01", "2026-05-09", symbol="XRPUSDT")
    # One day of March came from the archive itself: it would be its own witness.
    store(warehouse, "2026-03-07", "2026-03-08", "archive", symbol="XRPUSDT")
    assert candidates(warehouse, "2026-05-10") == [
        ("SOLUSDT", "2026-03", 155),
        ("SOLUSDT", "2026-04", 150),
        ("XRPUSDT", "2026-04", 150),
    ]


def test_a_month_is_none_before_its_file_is_due(warehouse: Warehouse):
    store(warehouse, "2026-03-01", "2026-05-01")
    assert [month for _, month, _ in candidates(warehouse, "2026-05-07")] == ["2026-03"]
    assert [month for _, month, _ in candidates(warehouse, "2026-05-08")] == ["2026-03", "2026-04"]


def test_a_run_that_brings_no_new_day_reads_nothing_again(warehouse: Warehouse):
    store(warehouse, "2026-03-01", "2026-05-09")
    assert candidates(warehouse, "2026-05-09") == []
    assert stored_months(warehouse, "binance", Known(), SECOND, date(2026, 5, 10)) == []


# --- which files

MARCH = Window(date(2026, 3, 1), date(2026, 4, 1))
NOW = datetime(2026, 4, 10)


def read(http, grain: str, month: Window = MARCH, symbol: str = "SOLUSDT") -> list[Body]:
    return list(binance_second.fetch_files(http, symbol, grain, month, NOW))


def test_one_listing_one_zip_and_one_checksum():
    http = shelf(FULL, span("2026-02-27", "2026-04-03"))
    (body,) = read(http, "monthly")
    assert http.asked == ["SOLUSDT-1d-2026-03.zip", "SOLUSDT-1d-2026-03.zip.CHECKSUM"] and http.listed == 1
    assert (body.upstream, body.dataset, body.context["grain"]) == ("binance", "archive_flows", "monthly")
    days = read(http, "daily")
    assert [one.url[-14:-4] for one in days] == [str(day) for day in span("2026-03-01", "2026-04-01")]
    assert http.listed == 2


def test_rows_tell_the_kind_of_their_file():
    http = shelf(FULL, span("2026-03-05", "2026-03-07"))
    bodies = [*read(http, "daily"), *read(http, "monthly")]
    (parsed,) = parse(bodies)
    rows = parsed.tables["archive_flows"].to_pylist()
    assert Counter(row["file_grain"] for row in rows) == {"monthly": 31, "daily": 2}
    assert {row["body_sha256"] for row in rows} == {body.sha256 for body in bodies}
    assert rows[0]["utc_date"] == date(2026, 3, 5) and rows[0]["source_kind"] == "archive"
    (nothing,) = parse([Body("binance", "archive_flows", bodies[0].url, 200, NOW, empty(), bodies[0].context)])
    assert nothing.tables["archive_flows"].num_rows == 0


def empty() -> bytes:
    return zipped(name="SOLUSDT-1d-2026-03-05.csv")


def test_what_is_refused_is_refused_for_its_own_table():
    http = shelf(FULL, [])
    key = next(key for key in http.files if key.endswith("2026-03.zip"))
    http.files[key] = zipped(line(kline(0)), line(kline(1, quote="NaN")))
    (parsed,) = parse(read(http, "monthly"))
    assert parsed.tables["archive_flows"].num_rows == 1
    assert [(row.table, row.day) for row in parsed.refused] == [("archive_flows", date(2026, 3, 2))]


def test_a_month_without_a_file_is_absent_and_a_wrong_checksum_is_said():
    with pytest.raises(Absent, match="no monthly file of 2026-03, whose bars the API has") as caught:
        read(shelf({}, span("2026-03-01", "2026-03-05")), "monthly")
    assert caught.value.reason == "file_missing"
    with pytest.raises(SourceError, match="but its checksum says .* twice"):
        read(shelf(FULL, [], broken={"SOLUSDT-1d-2026-03.zip": [GOOD] * 2}), "monthly")


# --- a market whose archive is wrong in four files

START, FIRST_RUN, SECOND_RUN = date(2025, 11, 1), date(2026, 2, 10), date(2026, 2, 11)
MARTS = "published/marts.duckdb"
FAULTS = {"lacks a day": "missing-row", "differs": "last-digit=10", "lies": "checksum", "in seconds": "seconds"}


@pytest.fixture(scope="module")
def validator() -> Iterator[Validator]:
    with Validator.start() as started:
        yield started


@dataclass
class House:
    """The data folder after two runs. `wrong`: what is wrong with a file → its month."""

    settings: Settings
    done: CompletedProcess[str]
    chosen: list[Stored]
    wrong: dict[str, Stored]

    def ask(self, sql: str, file: str = "warehouse.duckdb") -> list[tuple]:
        with duckdb.connect(str(self.settings.data_dir / file), read_only=True) as con:
            return con.execute(sql).fetchall()


@pytest.fixture(scope="module")
def house(validator: Validator, tmp_path_factory: pytest.TempPathFactory) -> House:
    data = tmp_path_factory.mktemp("archive") / "data"
    with pytest.MonkeyPatch.context() as patch, sandbox("--now", f"{FIRST_RUN}") as url:
        patch.setattr(runs.Validator, "start", lambda early=True: validator)
        patch.setattr(validator, "close", lambda: None)
        settings = Settings("sandbox", data, start=START, exchanges=("binance",), upstreams=url)
        with runs.open_run(settings, "first", {"spot_symbols", "spot_flows", "archive_flows"}) as run:
            assert run.ingest.load("spot_flows").gaps == []
            assert run.ingest.load("archive_flows").received == 0, "nothing was stored that could be compared"
            warehouse = run.warehouse
    known = known_of(warehouse, "binance", False)
    chosen = sample(stored_months(warehouse, "binance", known, SECOND, SECOND_RUN), SECOND_RUN - timedelta(days=1))
    assert len(set(chosen)) == SAMPLE
    # Amounts in dollars are exact for tether pairs only: those first.
    named = {month.symbol: month for month in chosen if re.fullmatch("[A-Z0-9]+", month.symbol)}
    ordered = sorted(named.values(), key=lambda month: not month.symbol.endswith("USDT"))
    assert len(ordered) >= len(FAULTS) and ordered[1].symbol.endswith("USDT")
    wrong = dict(zip(FAULTS, ordered, strict=False))
    rules = [f"binance:{FAULTS[what]}:/{m.symbol}-1d-{m.window.start:%Y-%m}.zip" for what, m in wrong.items()]
    with sandbox("--now", f"{SECOND_RUN}", *(word for rule in rules for word in ("--faults", rule))) as url:
        asked = {"UPSTREAMS": url, "START": f"{START}", "EXCHANGES": "binance"}
        done = altflow("run", "--source", "sandbox", data=data, settings=asked)
    return House(settings, done, chosen, wrong)


@pytest.mark.chaos
def test_all_that_is_not_wrong_is_equal(house: House):
    whole = [month for month in house.chosen if month not in (house.wrong["lies"], house.wrong["in seconds"])]
    counted = house.ask(
        "SELECT symbol, date_trunc('month', utc_date)::DATE, count(*) FROM intermediate.int_archive_days_compared "
        "WHERE file_grain = 'monthly' GROUP BY 1, 2"
    )
    stored = house.ask("SELECT symbol, date_trunc('month', utc_date)::DATE, count(*) FROM raw.spot_flows GROUP BY 1, 2")
    assert sorted(counted) == sorted(row for row in stored if any(_of(month, row) for month in whole))
    wrong = {month.symbol for month in house.wrong.values()}
    differing = house.ask("SELECT DISTINCT symbol, file_grain FROM quality.dq_archive_differences ORDER BY 1")
    expected = {house.wrong["lacks a day"].symbol, house.wrong["differs"].symbol}
    assert differing == [(symbol, "monthly") for symbol in sorted(expected)] and expected < wrong
    assert house.ask("SELECT count(DISTINCT symbol), count(*) >= 28 FROM raw.archive_flows WHERE file_grain = 'daily'")[
        0
    ] == (1, True)


def _of(month: Stored, row: tuple) -> bool:
    return (month.symbol, month.window.start) == row[:2]


def differences(house: House, what: str) -> list[tuple]:
    return house.ask(
        "SELECT utc_date, column_name, klines_value, archive_value, chosen, impact_usd "
        f"FROM quality.dq_archive_differences WHERE symbol = '{house.wrong[what].symbol}' ORDER BY 2"
    )


@pytest.mark.chaos
def test_an_amount_that_differs_is_named_with_both_values_and_its_weight(house: House):
    ((day, column, ours, theirs, chosen, impact),) = differences(house, "differs")
    month = house.wrong["differs"]
    assert month.window.start <= day < month.window.end and (column, chosen) == ("taker_buy_quote", "klines")
    ((stored,),) = house.ask(
        f"SELECT taker_buy_quote FROM raw.spot_flows WHERE symbol = '{month.symbol}' AND utc_date = '{day}'"
    )
    assert Decimal(ours) == stored and Decimal(theirs) != stored
    assert impact == 2 * (Decimal(theirs) - stored) != 0


@pytest.mark.chaos
def test_a_day_that_a_file_lacks_differs_in_every_column(house: House):
    found = differences(house, "lacks a day")
    assert [row[1] for row in found] == sorted(
        [f"{name}_price" for name in ("open", "high", "low", "close")]
        + ["volume_base", "volume_quote", "taker_buy_base", "taker_buy_quote", "trade_count"]
    )
    assert len({row[0] for row in found}) == 1 and {row[3] for row in found} == {None}
    ours = {row[1]: row[2] for row in found}
    net = 2 * Decimal(ours["taker_buy_quote"]) - Decimal(ours["volume_quote"])
    assert sum(row[5] for row in found) == -net != 0


@pytest.mark.chaos
def test_what_could_not_be_read_is_a_gap_of_its_own_table(house: House):
    assert house.done.returncode == 3, house.done.stdout + house.done.stderr
    gaps = house.ask("SELECT dataset, scope, start_date, message FROM raw.gaps ORDER BY message")
    lies, seconds = house.wrong["lies"], house.wrong["in seconds"]
    assert sorted(gap[:3] for gap in gaps) == sorted(
        ("archive_flows", f"{month.symbol} monthly", month.window.start) for month in (lies, seconds)
    )
    said = " ".join(gap[3] for gap in gaps)
    assert f"{lies.symbol}-1d-{lies.window.start:%Y-%m}.zip: SHA-256" in said and "but its checksum says" in said
    assert "rows refused, e.g. opens at" in said
    assert "binance/archive_flows: 2 x failed" in house.done.stdout
    asked = house.ask("SELECT scope FROM raw.asked WHERE dataset = 'archive_flows'")
    assert not {f"{lies.symbol} monthly", f"{seconds.symbol} monthly"} & {scope for (scope,) in asked}
    assert house.ask("SELECT count(*) FROM coverage_daily WHERE reason = 'failed'", MARTS) == [(0,)]


@pytest.mark.chaos
def test_the_marts_keep_what_the_api_said(house: House):
    kinds = house.ask("SELECT DISTINCT source_kind FROM daily_symbol_flows", MARTS)
    assert kinds == [("klines",)]
    for what in ("differs", "lacks a day"):
        symbol, day = house.wrong[what].symbol, differences(house, what)[0][0]
        where = f"WHERE symbol = '{symbol}' AND utc_date = '{day}'"
        published = house.ask(f"SELECT net_taker_usd FROM daily_symbol_flows {where}", MARTS)
        stored = house.ask(f"SELECT (2 * taker_buy_quote - volume_quote)::DECIMAL(38, 8) FROM raw.spot_flows {where}")
        assert published == stored and published[0][0]


@pytest.mark.chaos
def test_the_check_warns_with_counts_and_the_largest_impact(house: House):
    import dagster as dg

    home = house.settings.data_dir / "dagster"
    with dg.DagsterInstance.from_config(str(home)) as instance:
        key = dg.AssetCheckKey(dg.AssetKey(["marts", "daily_symbol_flows"]), "archive_says_the_same")
        (record,) = instance.event_log_storage.get_asset_check_execution_history(key, limit=1)
        assert record.event and record.event.dagster_event
        evaluation = record.event.dagster_event.asset_check_evaluation_data
    assert not evaluation.passed and not evaluation.blocking
    assert evaluation.severity == dg.AssetCheckSeverity.WARN
    compared = compared_sources(Warehouse(house.settings.warehouse_path))
    told = {name: value.value for name, value in evaluation.metadata.items()}
    assert (told["days_compared"], told["days_differing"], told["differences"]) == (compared.day_count, 2, 10)
    assert compared.impact_usd and abs(compared.impact_usd) > 1
    assert told["largest_impact_usd"] == float(compared.impact_usd)
    lacking, differing = compared.worst
    assert lacking.startswith(house.wrong["lacks a day"].symbol) and "archive nothing" in lacking
    assert differing.startswith(house.wrong["differs"].symbol) and "taker_buy_quote: klines" in differing


@pytest.mark.chaos
def test_the_archive_of_bodies_gives_the_table_again(house: House, validator: Validator):
    target = house.settings.data_dir / "rebuilt.duckdb"
    rebuild(Archive(house.settings.archive_dir), target, house.settings, validator, "rebuilt", "test")
    wanted, found = (tables(Warehouse(path)) for path in (house.settings.warehouse_path, target))
    names = ("archive_flows", "archive_flows_history", "spot_flows", "asked", "quarantine")
    assert wanted["archive_flows"] and wanted["quarantine"]
    assert_same(found, {name: wanted[name] for name in names})
