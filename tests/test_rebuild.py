"""The raw tables from the archive alone: equal to those that the runs left, restatements and refusals included."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from orchestration import archive_check, cli
from orchestration import run as runs
from orchestration.archive import Archive, ArchiveError, Asked, BodyPruned
from orchestration.commands import FAILED, LOCKED, USAGE
from orchestration.commands.imports import load_file
from orchestration.commands.prune import old_packs
from orchestration.commands.rebuild import put_in_place
from orchestration.commands.trace import _is_lost, _open
from orchestration.commands.verify_archive import findings
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
from orchestration.trace import TracedBody
from orchestration.warehouse import Gap, Lock, Warehouse, WarehouseError

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
        self.supplies: dict[int, str] = {}
        """instead of the number of that day"""

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
        totals = [self.supplies.get(n, 1e11 + n) for n in days]
        return [
            {"date": str(start + n * 86_400), "totalCirculatingUSD": {"peggedUSD": total}}
            for n, total in zip(days, totals, strict=True)
        ]


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


def test_a_stored_day_of_a_history_stays_too(house: House):
    """Else its return would look like a second vintage of the day."""
    world = World(FIRST + timedelta(days=20))
    house.run("run-1", world)
    stored = "SELECT count(*), count(DISTINCT load_id) FROM raw.stablecoin_totals"
    before = values(house.warehouse, stored)
    world.supplies = {100: "1e400"}
    second = house.run("run-2", world)["stablecoin_totals"]
    assert (second.quarantined, second.deleted, values(house.warehouse, stored)) == (1, 0, before)
    world.supplies = {}
    house.run("run-3", world)
    assert values(house.warehouse, stored) == before
    assert values(house.warehouse, "SELECT count(*) FROM raw.stablecoin_totals_history") == [(0,)]


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


# --- what was removed on purpose


def test_only_what_no_row_was_read_from_is_pruned_unasked(house: House):
    """The second run brings nothing new: all its rows keep the bodies of the first."""
    world = World(FIRST + timedelta(days=20))
    house.run("run-1", world)
    house.run("run-2", world)
    before = tables(house.warehouse)
    archive, cited = Archive(house.settings.archive_dir), house.warehouse.cited_bodies()
    assert old_packs(archive, cited, datetime.now() - timedelta(days=2)) == []
    old = {pack.pack: pack for pack in old_packs(archive, cited, datetime.now() + timedelta(days=2))}
    spare = [name for name, pack in old.items() if not pack.cited_count]
    assert {name.rpartition("/")[2] for name in spare} == {"run-2.pack"} and len(old) > len(spare)
    for name in spare:
        archive.prune(name, cited.get(name, ()), datetime(2026, 3, 1))
    assert archive.packs() == sorted(old.keys() - set(spare))
    # What was removed is no part of any row.
    rebuilt = tables(house.rebuilt())
    assert_same(*({name: rows[name] for name in RECORDS} for rows in (rebuilt, before)))


def test_what_rows_were_read_from_is_pruned_by_name_and_not_lost(house: House):
    house.run("run-1", World(FIRST + timedelta(days=20)))
    archive, cited = Archive(house.settings.archive_dir), house.warehouse.cited_bodies()
    name = next(pack for pack in archive.packs() if pack.startswith("binance/"))
    archive.prune(name, cited[name], datetime(2026, 3, 1))
    (pruned,) = archive.pruned()
    assert (pruned.pack, pruned.cited_count) == (name, len(cited[name]))
    index = house.warehouse.read("FROM raw.source_files")
    found = {pack.name: pack for pack in archive_check.check(archive, index, lambda what, done, total: None)}
    assert found[name].is_whole and found[name].pruned_count == len(pruned.bodies)
    assert any("pruned on 2026-03-01 by `altflow prune`" in line for line in findings(list(found.values())))
    with pytest.raises(RebuildError, match="were pruned, e.g. with binance/"):
        house.rebuilt()
    sha256 = min(pruned.bodies)
    said = _open(house.settings, [TracedBody(sha256, "binance", datetime.now(), 1, FIRST, "SOLUSDT", [])])[sha256]
    assert isinstance(said, BodyPruned) and not _is_lost(said)
    # A pack that goes without a note is lost.
    (house.settings.archive_dir / name).with_suffix(".pruned").unlink()
    assert not all(pack.is_whole for pack in archive_check.check(archive, index, lambda what, done, total: None))


# --- the command


@pytest.fixture
def folder(house: House, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data folder of a house that ran once, as the command finds it."""
    house.run("run-1", World(FIRST + timedelta(days=20)))
    monkeypatch.setenv("ALTFLOW_DATA_DIR", str(house.settings.data_dir))
    return house.settings.data_dir


def test_the_command_overwrites_no_warehouse_unasked(folder: Path, capsys: pytest.CaptureFixture[str]):
    before = (folder / "warehouse.duckdb").read_bytes()
    assert cli.main(["rebuild"]) == USAGE
    assert "altflow rebuild --replace" in capsys.readouterr().err
    assert (folder / "warehouse.duckdb").read_bytes() == before


def test_the_command_says_when_there_is_nothing_to_rebuild_from(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("ALTFLOW_DATA_DIR", str(tmp_path / "empty"))
    assert cli.main(["rebuild"]) == FAILED
    assert "no body in" in capsys.readouterr().err


def test_the_command_waits_for_nobody(folder: Path, capsys: pytest.CaptureFixture[str]):
    lock = Lock(folder / "warehouse.lock")
    lock.acquire()
    try:
        assert cli.main(["rebuild", "--replace"]) == LOCKED
    finally:
        lock.release()
    assert "another run holds" in capsys.readouterr().err


def test_what_cannot_be_rebuilt_leaves_everything_as_it_was(folder: Path, validator: Validator, monkeypatch, capsys):
    monkeypatch.setattr(runs.Validator, "start", lambda: validator)
    monkeypatch.setattr(validator, "close", lambda: None)
    pack = next(folder.rglob("binance/*/*.pack"))
    pack.write_bytes(pack.read_bytes()[:-9] + b"x" * 9)
    before = (folder / "warehouse.duckdb").read_bytes()
    assert cli.main(["rebuild", "--replace", "--quiet"]) == FAILED
    assert "restore the pack from a backup" in capsys.readouterr().err
    assert (folder / "warehouse.duckdb").read_bytes() == before
    assert not list(folder.glob("warehouse.*Z.duckdb"))


def test_the_new_warehouse_comes_in_place_and_the_old_one_stays_beside(tmp_path: Path):
    folder = tmp_path / "data"
    folder.mkdir()
    new, old = folder / "new", folder / "warehouse.duckdb"
    new.write_text("new")
    old.write_text("old")
    (folder / "warehouse.duckdb.wal").write_text("of old")
    kept = put_in_place(new, old)
    assert kept and (kept.read_text(), old.read_text()) == ("old", "new")
    assert sorted(folder.iterdir()) == sorted([kept, old, kept.with_name(f"{kept.name}.wal")])


def test_what_no_archive_knows_is_taken_over(house: House):
    house.run("run-1", World(FIRST + timedelta(days=20)))
    window = Window(FIRST, FIRST + timedelta(days=1))
    house.warehouse.note_gaps("run-1", [Gap("okx", "spot_flows", "*", window, "failed", "HTTP 500")])
    rebuilt = house.rebuilt()
    rebuilt.take_over(house.settings.warehouse_path)
    for table in ("gaps", "asked"):
        assert values(rebuilt, f"FROM raw.{table} ORDER BY ALL") == values(
            house.warehouse, f"FROM raw.{table} ORDER BY ALL"
        )
    (house.settings.data_dir / "torn").write_bytes(b"no warehouse")
    with pytest.raises(WarehouseError, match="what no archive knows cannot be read"):
        rebuilt.take_over(house.settings.data_dir / "torn")
    assert len(values(rebuilt, "FROM raw.gaps")) == 1
