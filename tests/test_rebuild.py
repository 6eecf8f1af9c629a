"""The raw tables from the archive alone: equal to those that the runs left, restatements and refusals included."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from orchestration import run as runs
from orchestration.archive import Archive, ArchiveError, Asked
from orchestration.commands.imports import load_file
from orchestration.expectations.validator import Validator
from orchestration.ingest import Ingest
from orchestration.load import Loaded
from orchestration.rebuild import RebuildError, rebuild
from orchestration.records import RECORDS
from orchestration.settings import Settings
from orchestration.sources.body import Body, Window
from orchestration.sources.http import Answer
from orchestration.sources.imported import read_file
from orchestration.sources.registry import DERIVATIVES, IMPORTS
from orchestration.warehouse import Warehouse

DAY_MS = 86_400_000
FIRST = date(2026, 1, 1)
TIMES = "load_id, loaded_at"
IMPORTED = {
    "imported_caps": "date,coin,mkt_cap\n2026-02-01,BTC,1.3e12\n",
    "imported_etf_flows": "Date,Total\n02 Feb 2026,(12.5)\n",
}


@pytest.fixture(scope="module")
def validator() -> Iterator[Validator]:
    """One for all runs here: Great Expectations takes seconds to import."""
    with Validator.start() as validator:
        yield validator


def tables(warehouse: Warehouse) -> dict[str, list[tuple]]:
    """What a rebuild must bring back: everything but load ids and the times of loading."""
    queries = {name: f"SELECT * EXCLUDE ({TIMES}) FROM raw.{name}" for name in RECORDS}
    queries |= {
        f"{name}_history": f"SELECT * EXCLUDE ({TIMES}, replaced_by_load_id, replaced_at) FROM raw.{name}_history"
        for name in RECORDS
    }
    queries |= {
        "quarantine": "SELECT * EXCLUDE (quarantined_at) FROM raw.quarantine",
        "source_files": "FROM raw.source_files",
        "asked": "SELECT * EXCLUDE (answered_at) FROM raw.asked",
        "changes": "SELECT table_name, exchange, utc_date, count(*) FROM raw.changes GROUP BY ALL",
        "loads": "SELECT * EXCLUDE (load_id, loaded_at) FROM raw.loads",
    }
    with warehouse.open() as con:
        return {name: con.execute(f"FROM ({query}) ORDER BY ALL").fetchall() for name, query in queries.items()}


def assert_same(found: dict[str, list[tuple]], wanted: dict[str, list[tuple]]) -> None:
    for name, rows in wanted.items():
        assert found[name] == rows, f"raw.{name} differs"


# --- a whole market, through the sandbox


@contextmanager
def sandbox(root: Path, now: date) -> Iterator[str]:
    command = [sys.executable, "-m", "orchestration.sandbox", "--with-parent", "--size", "12", "--weight-limit", "0"]
    command += ["--now", now.isoformat()]
    process = subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin and process.stdout
    try:
        yield json.loads(process.stdout.readline())["url"]
    finally:
        process.stdin.close()
        process.wait(10)


@pytest.mark.chaos
def test_a_market_fetched_in_two_runs(
    root: Path, tmp_path: Path, validator: Validator, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(runs.Validator, "start", lambda early=True: validator)
    monkeypatch.setattr(validator, "close", lambda: None)
    later = {"spot_symbols", "spot_flows", "stablecoin_totals", "macro_observations"}
    # The archive is compared with what is stored: a first run has nothing.
    later |= {"archive_flows"}
    later |= set(DERIVATIVES["binance_usdm"].tables)
    for now, wanted in ((date(2026, 2, 10), set(RECORDS) - {"stablecoin_chain_supplies"}), (date(2026, 2, 13), later)):
        with sandbox(root, now) as url:
            settings = Settings(
                "sandbox",
                tmp_path / "data",
                start=date(2025, 11, 1),
                exchanges=("binance", "okx", "coinbase", "binance_usdm"),
                upstreams=url,
                allow_noncommercial=True,
            )
            with runs.open_run(settings, f"run-{now}", wanted) as run:
                loads = [run.ingest.load(name) for name in sorted(wanted)]
    assert [gap for loaded in loads for gap in loaded.gaps] == []

    for table, lines in IMPORTED.items():
        (tmp_path / f"{table}.csv").write_text(lines)
        body = read_file(tmp_path / f"{table}.csv", table, None, datetime(2026, 2, 13, 8))
        load_file(settings, body, IMPORTS[table](body))

    before = tables(Warehouse(settings.warehouse_path))
    assert [name for name in RECORDS if not before[name]] == [], "a table without rows proves nothing"
    target = tmp_path / "rebuilt.duckdb"
    rebuild(Archive(settings.archive_dir), target, settings, validator, "rebuilt", "test")
    assert_same(tables(Warehouse(target)), before)

    span = "SELECT source, synthetic, first_date, last_date FROM raw.runs ORDER BY started_at DESC LIMIT 1"
    assert Warehouse(target).read(span).to_pylist() == Warehouse(settings.warehouse_path).read(span).to_pylist()
    with pytest.raises(RebuildError, match="exists; rebuild into a new file"):
        rebuild(Archive(settings.archive_dir), target, settings, validator, "again", "test")


# --- an upstream that restates, shrinks and writes nonsense


class World:
    """Stands for `Http`: a listing, daily bars and the chart of stablecoins, as a test wants them."""

    def __init__(self, today: date):
        self.today = today
        self.status = {"SOLUSDT": "TRADING", "XRPUSDT": "TRADING", "SRMUSDT": "BREAK"}
        self.changes: dict[tuple[str, date], dict[int, str]] = {}
        self.supply_days = 400

    def get(self, host, path, params=None, weight=1, wrong=None) -> Answer:
        query = params or {}
        content = {"/api/v3/exchangeInfo": self.listing, "/api/v3/klines": self.klines}.get(path, self.chart)(query)
        url = f"https://{host.hosts[0]}{path}?{query}"
        return Answer(url, 200, json.dumps(content).encode(), datetime.now(UTC).replace(tzinfo=None))

    def listing(self, query: dict) -> dict:
        listed = [
            {"symbol": name, "status": status, "baseAsset": name[:3], "quoteAsset": name[3:]}
            for name, status in self.status.items()
        ]
        return {"serverTime": ms(self.today) + 1000, "symbols": listed}

    def klines(self, query: dict) -> list[list]:
        first, last = max(query["startTime"], ms(FIRST)), min(query["endTime"], ms(self.today))
        if query["symbol"] == "SRMUSDT":
            last = min(last, ms(FIRST + timedelta(days=5)))
        bars = []
        for at in range(first, last + 1, DAY_MS):
            bar = [at, "2.0", "2.5", "1.5", "2.1", "100.0", at + DAY_MS - 1, "200.0", 7, "40.0", "80.0", "0"]
            for index, value in self.changes.get((query["symbol"], day(at)), {}).items():
                bar[index] = value
            bars.append(bar)
        return bars

    def chart(self, query: dict) -> list[dict]:
        days = range(self.supply_days)
        start = ms(self.today - timedelta(days=400)) // 1000
        return [{"date": str(start + n * 86_400), "totalCirculatingUSD": {"peggedUSD": 1e11 + n}} for n in days]


def ms(day: date) -> int:
    return (day - date(1970, 1, 1)).days * DAY_MS


def day(at: int) -> date:
    return date(1970, 1, 1) + timedelta(milliseconds=at)


QUOTE, TAKER, CLOSE = 7, 10, 4


class House:
    """A warehouse and an archive that runs fill from a world."""

    def __init__(self, folder: Path, validator: Validator):
        self.settings = Settings("sandbox", folder / "data", start=FIRST, exchanges=("binance",))
        self.warehouse = Warehouse(self.settings.warehouse_path)
        self.warehouse.prepare(self.settings)
        self.validator = validator

    def run(self, run_id: str, world: World) -> dict[str, Loaded]:
        window = Window(FIRST, world.today)
        self.warehouse.begin_run(run_id, self.settings, window, "test")
        archive = Archive(self.settings.archive_dir)
        http, wanted = world, ["spot_symbols", "spot_flows", "stablecoin_totals"]
        ingest = Ingest(self.settings, run_id, window, http, archive, self.warehouse, self.validator, None)  # pyright: ignore[reportArgumentType]
        ingest.start(set(wanted))
        loads = {name: ingest.load(name) for name in wanted}
        archive.close()
        return loads

    def rebuilt(self) -> Warehouse:
        target = self.settings.data_dir / "rebuilt.duckdb"
        target.unlink(missing_ok=True)
        rebuild(Archive(self.settings.archive_dir), target, self.settings, self.validator, "rebuilt", "test")
        return Warehouse(target)


@pytest.fixture
def house(tmp_path: Path, validator: Validator) -> House:
    return House(tmp_path, validator)


def values(warehouse: Warehouse, sql: str) -> list[tuple]:
    return [tuple(row.values()) for row in warehouse.read(sql).to_pylist()]


def test_restated_refused_and_vanished_rows_are_rebuilt_too(house: House):
    world = World(FIRST + timedelta(days=20))
    world.changes = {
        ("SOLUSDT", FIRST + timedelta(days=3)): {QUOTE: "NaN"},
        ("SOLUSDT", FIRST + timedelta(days=4)): {TAKER: "201.0"},
        ("XRPUSDT", FIRST + timedelta(days=5)): {QUOTE: "-1.0"},
        ("XRPUSDT", FIRST + timedelta(days=6)): {QUOTE: "200.0000000000015"},
    }
    first = house.run("run-b", world)
    assert first["spot_flows"].quarantined == 3 and first["spot_flows"].rounded == 1

    world.today += timedelta(days=1)
    world.changes[("SOLUSDT", FIRST + timedelta(days=18))] = {QUOTE: "210.0", CLOSE: "2.2"}
    del world.status["XRPUSDT"]
    second = house.run("run-a", world)
    assert (second["spot_flows"].changed, second["spot_flows"].inserted) == (1, 1)

    world.today += timedelta(days=1)
    del world.changes[("SOLUSDT", FIRST + timedelta(days=18))]
    world.supply_days = 200
    third = house.run("run-c", world)
    assert third["spot_flows"].changed == 1
    assert "lacks" in third["stablecoin_totals"].gaps[0].message

    world.supply_days = 402
    house.run("run-d", world)
    before = tables(house.warehouse)
    restated = "SELECT volume_quote::INT, close_price FROM raw.spot_flows_history ORDER BY load_id"
    assert values(house.warehouse, restated) == [(200, 2.1), (210, 2.2)]
    assert values(house.warehouse, "SELECT count(*) FROM raw.quarantine") == [(3,)]

    rebuilt = house.rebuilt()
    assert_same(tables(rebuilt), before)
    assert values(rebuilt, restated) == [(200, 2.1), (210, 2.2)]
    listed = "SELECT symbol, is_listed FROM raw.spot_symbols ORDER BY 1"
    assert values(rebuilt, listed) == [("SOLUSDT", True), ("SRMUSDT", True), ("XRPUSDT", False)]
    refused = "SELECT run_id, upstream, dataset, reason FROM raw.gaps"
    assert values(rebuilt, refused) == [("run-c", "defillama", "stablecoin_totals", "failed")]


def test_a_stored_day_stays_where_its_row_comes_back_as_nonsense(house: House):
    """It was understood once and is not withdrawn. A schedule of chaos lost such rows for good."""
    world, day = World(FIRST + timedelta(days=20)), FIRST + timedelta(days=18)
    house.run("run-1", world)
    stored = f"SELECT volume_quote::INT, load_id FROM raw.spot_flows WHERE symbol = 'SOLUSDT' AND utc_date = '{day}'"
    before = values(house.warehouse, stored)
    for number, nonsense in enumerate(({QUOTE: "NaN"}, {TAKER: "201.0"}, {0: "yesterday"}), 2):
        world.changes = {("SOLUSDT", day): nonsense}
        house.run(f"run-{number}", world)
        assert values(house.warehouse, stored) == before and len(before) == 1
        assert values(house.warehouse, "SELECT count(*) FROM raw.spot_flows_history") == [(0,)]
    world.changes = {("SOLUSDT", day): {QUOTE: "210.0", CLOSE: "2.2"}}
    house.run("run-5", world)
    assert [volume for volume, _ in values(house.warehouse, stored)] == [210]
    assert_same(tables(house.rebuilt()), tables(house.warehouse))


def test_an_answer_cut_by_a_kill_is_not_taken_for_a_short_one(house: House):
    world = World(FIRST + timedelta(days=20))
    house.run("run-1", world)
    before = tables(house.warehouse)

    # What a killed run leaves: the first of two pages, on disk, never loaded.
    window = Window(FIRST, world.today)
    context = {
        "symbol": "SOLUSDT",
        "start": str(window.start),
        "end": str(window.end),
        "now": f"{world.today}T00:00:00",
    }
    page = Body("binance", "spot_flows", "https://x.example", 200, datetime.now(), b"[]", context)
    archive = Archive(house.settings.archive_dir)
    archive.append(page, Asked("SOLUSDT", window, 0, 2, 2), "run-2")
    archive.sync()
    archive.close()
    assert_same(tables(house.rebuilt()), before)


def test_a_killed_write_of_the_archive_is_left_out(house: House):
    world = World(FIRST + timedelta(days=20))
    house.run("run-1", world)
    before = tables(house.warehouse)
    world.today += timedelta(days=3)
    house.run("run-2", world)
    for pack in house.settings.archive_dir.rglob("run-2.pack"):
        pack.write_bytes(pack.read_bytes()[:50])
    assert_same(tables(house.rebuilt()), before)


def test_nothing_half_rebuilt_stays(house: House):
    world = World(FIRST + timedelta(days=20))
    house.run("run-1", world)
    pack = next(house.settings.archive_dir.rglob("binance/*/*.pack"))
    data = bytearray(pack.read_bytes())
    data[-3] ^= 0xFF
    pack.write_bytes(data)
    with pytest.raises(ArchiveError, match="restore the pack from a backup"):
        house.rebuilt()
    assert sorted(path.name for path in house.settings.data_dir.glob("rebuilt*")) == []


def test_an_empty_archive_rebuilds_nothing(house: House):
    with pytest.raises(RebuildError, match="no body in .*archive: nothing to rebuild from"):
        house.rebuilt()
    assert not (house.settings.data_dir / "rebuilt.duckdb").exists()
