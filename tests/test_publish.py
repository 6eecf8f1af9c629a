"""What analysts read: whole at every moment, the old snapshot or the new one, whoever reads and however they die."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from orchestration import durable, parquet, publish
from orchestration.settings import Settings
from orchestration.sources.body import Window
from orchestration.warehouse import Build, Warehouse
from tests.snapshot_reader import read_until

READERS, DAYS = 8, 2000


@pytest.fixture
def settings(tmp_path) -> Settings:
    return Settings(source="sandbox", data_dir=tmp_path)


@pytest.fixture
def warehouse(settings) -> Warehouse:
    """A warehouse with the marts that publishing reads, each row marked with the run that built it."""
    warehouse = Warehouse(settings.warehouse_path)
    warehouse.prepare(settings)
    warehouse.begin_run("run-0", settings, Window(date(2026, 1, 1), date(2026, 1, 3)), "test")
    build_marts(warehouse, 0)
    return warehouse


def build_marts(warehouse: Warehouse, number: int, value: str = "-1.5") -> None:
    """What dbt leaves behind, small: `number` marks every row."""
    with warehouse.open() as con:
        con.execute("CREATE SCHEMA IF NOT EXISTS marts")
        con.execute(
            "CREATE OR REPLACE TABLE marts.run_info AS SELECT run_id, source, synthetic, first_date, last_date, "
            "code_version, NULL::TIMESTAMP AS published_at FROM raw.runs LIMIT 1"
        )
        con.execute("COMMENT ON TABLE marts.run_info IS 'One row. It''s the run.'")
        for table in ("published_headlines", "alerts"):
            con.execute(f"CREATE OR REPLACE TABLE marts.{table} AS FROM raw.{table}")
        flow = (
            "DATE '2026-01-01' + i::INT AS utc_date, 1::DECIMAL(38, 8) AS net_taker_usd, "
            f"9::DECIMAL(38, 8) AS volume_usd, {number} AS number"
        )
        con.execute(
            "CREATE OR REPLACE TABLE marts.daily_altcoin_flow AS SELECT "
            "'rolling_365d.ex_btc_eth.all.all' AS definition_id, 'rolling_365d' AS window_name, "
            "'ex_btc_eth' AS universe, 'all' AS quotes, 'all' AS trust, 'all' AS panel, 1 AS symbol_count, "
            f"1.0 AS coverage_ratio, ({value})::DECIMAL(38, 8) + i AS window_net_taker_usd, {flow} "
            f"FROM range({DAYS}) t(i)"
        )
        con.execute(
            "CREATE OR REPLACE TABLE marts.daily_asset_flows AS SELECT 'SOL' AS base_asset, 'ALT' AS flow_group, "
            f"{flow} FROM range({DAYS}) t(i)"
        )
        con.execute(
            "CREATE OR REPLACE TABLE marts.daily_symbol_flows AS SELECT 'binance' AS exchange, 'SOLUSDT' AS symbol, "
            f"'ALT' AS flow_group, {flow} FROM range({DAYS}) t(i)"
        )


def rows(sql: str) -> list[tuple]:
    with duckdb.connect() as con:
        return con.execute(sql).fetchall()


def test_the_published_file_is_read_only_carries_comments_and_one_run_id(warehouse, settings):
    manifest = publish.publish(warehouse, settings, "run-1")
    path = settings.published_dir / "marts.duckdb"
    assert oct(path.stat().st_mode & 0o777) == "0o444"
    with publish.open_published(settings) as con:
        assert con.execute("SELECT run_id, published_at IS NOT NULL FROM run_info").fetchall() == [("run-1", True)]
        assert con.execute("SELECT run_id FROM marts.run_info").fetchall() == [("run-1",)]
        comments = con.execute("SELECT comment FROM duckdb_tables() WHERE table_name = 'run_info'").fetchall()
        assert comments == [("One row. It's the run.",)]
        macros = con.execute("SELECT function_name FROM duckdb_functions() WHERE NOT internal").fetchall()
        assert {"cumulative_flow", "top_sellers", "flow_by_exchange", "asset_history", "flow_as_of"} <= {
            name for (name,) in macros
        }
    assert json.loads((settings.published_dir / "manifest.json").read_text()) == manifest
    assert manifest["run_id"] == "run-1"
    parquet = settings.published_dir / "parquet" / "run_info.parquet"
    assert rows(f"SELECT run_id FROM '{parquet}'") == [("run-1",)]
    assert manifest["tables"]["daily_altcoin_flow"] == 2000


OUTSIDE = (
    "COPY run_info TO '{folder}/out.csv'",
    "FROM read_csv('{folder}/secret.csv')",
    "FROM read_text('{folder}/secret.csv')",
    "FROM glob('{folder}/*')",
    "ATTACH '{folder}/other.duckdb' AS other",
    "EXPORT DATABASE '{folder}/all'",
    "SET enable_external_access = true",
    "RESET enable_external_access",
    "SET allowed_directories = ['/']",
    "INSTALL httpfs",
    "DELETE FROM run_info",
    "CREATE TABLE mine AS SELECT 1 AS a",
)


def test_sql_on_the_snapshot_reaches_no_other_file_and_changes_nothing(warehouse, settings, tmp_path):
    publish.publish(warehouse, settings, "r1")
    (tmp_path / "secret.csv").write_text("a\nsecret\n")
    before = sorted(path.name for path in tmp_path.iterdir())
    with publish.open_published(settings) as con:
        for query in OUTSIDE:
            with pytest.raises(publish.SqlError):
                con.execute(query.format(folder=tmp_path)).fetchall()
        assert con.sql("SELECT run_id FROM run_info").fetchall() == [("r1",)]
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_headlines_are_appended_when_they_change_and_never_recomputed(warehouse, settings):
    publish.publish(warehouse, settings, "run-1")
    build_marts(warehouse, 1)
    publish.publish(warehouse, settings, "run-2")
    build_marts(warehouse, 2, value="-7")
    time.sleep(1.1)  # published_at has whole seconds
    publish.publish(warehouse, settings, "run-3")
    with publish.open_published(settings) as con:
        counts = con.execute("SELECT run_id, count(*) FROM published_headlines GROUP BY 1 ORDER BY 1").fetchall()
        assert counts == [("run-1", 2000), ("run-3", 2000)]
        values = con.execute(
            "SELECT value FROM published_headlines WHERE utc_date = '2026-01-01' ORDER BY published_at"
        ).fetchall()
        assert [str(value) for (value,) in values] == ["-1.50000000", "-7.00000000"]
    # What each file added up to, changed or not: 0 + 1 + … + 1999 and 2000 times the value.
    publications = warehouse.read("SELECT run_id, value_count, value_sum_usd FROM raw.publications ORDER BY 1")
    whole = DAYS * (DAYS - 1) // 2
    assert [tuple(row.values()) for row in publications.to_pylist()] == [
        ("run-1", DAYS, whole - 3000),
        ("run-2", DAYS, whole - 3000),
        ("run-3", DAYS, whole - 14000),
    ]


def test_marts_that_stand_are_taken_over_and_only_the_run_is_new(warehouse, settings):
    warehouse.note_build(Build("data", "models", "run-1"))
    first = publish.publish(warehouse, settings, "run-1")
    second = publish.publish(warehouse, settings, "run-2")
    inode = {
        run: (settings.published_dir / f"parquet.{run}" / "daily_asset_flows.parquet").stat().st_ino
        for run in ("run-1", "run-2")
    }
    assert inode["run-1"] == inode["run-2"]
    assert second["tables"] == first["tables"]
    assert rows(f"SELECT run_id FROM '{settings.published_dir}/parquet/run_info.parquet'") == [("run-2",)]
    with publish.open_published(settings) as con:
        assert con.execute("SELECT run_id FROM run_info").fetchall() == [("run-2",)]
        assert con.execute("SELECT DISTINCT run_id FROM published_headlines").fetchall() == [("run-1",)]
    build_marts(warehouse, 3)
    warehouse.note_build(Build("more data", "models", "run-3"))
    publish.publish(warehouse, settings, "run-3")
    with publish.open_published(settings) as con:
        assert con.execute("SELECT DISTINCT number FROM daily_asset_flows").fetchall() == [(3,)]


def build_of_years(warehouse: Warehouse, number: int, changed: str = "false") -> None:
    """Marts whose flows of symbols are those of before but for the rows that are `changed`: they bear the number."""
    build_marts(warehouse, number)
    with warehouse.open() as con:
        con.execute(f"UPDATE marts.daily_symbol_flows SET number = CASE WHEN {changed} THEN {number} ELSE 0 END")


def test_a_long_table_is_a_folder_of_years_and_only_years_that_changed_are_written(warehouse, settings, monkeypatch):
    monkeypatch.setattr(parquet, "LONG", 1000)
    path = settings.published_dir / "parquet" / "daily_symbol_flows.parquet"

    def inodes() -> dict[str, int]:
        return {file.name: file.stat().st_ino for file in path.iterdir()}

    build_of_years(warehouse, 1)
    publish.publish(warehouse, settings, "run-1")
    before = inodes()
    assert set(before) == {f"{year}.parquet" for year in range(2026, 2032)}
    assert rows(f"SELECT count(*), count(DISTINCT utc_date), max(number) FROM '{path}'") == [(DAYS, DAYS, 0)]
    assert len(pd.read_parquet(path)) == DAYS
    assert (settings.published_dir / "parquet" / "run_info.parquet").is_file()

    build_of_years(warehouse, 2, "utc_date IN ('2028-02-29', '2029-12-31', '2030-01-01')")
    manifest = publish.publish(warehouse, settings, "run-2")
    after = inodes()
    assert {name for name in before if before[name] == after[name]} == {
        f"{year}.parquet" for year in (2026, 2027, 2031)
    }
    assert rows(f"SELECT count(*), count(*) FILTER (number = 2) FROM '{path}'") == [(DAYS, 3)]
    names = {f"parquet/daily_symbol_flows.parquet/{name}" for name in after}
    assert names <= set(manifest["sha256"])
    assert all(durable.sha256(settings.published_dir / name) == manifest["sha256"][name] for name in names)

    # What somebody wrote into is not taken over, though its rows did not change.
    tampered = path / "2026.parquet"
    tampered.chmod(0o644)
    tampered.write_bytes(tampered.read_bytes() + b" ")
    publish.publish(warehouse, settings, "run-3")
    assert rows(f"SELECT count(*) FROM '{path}'") == [(DAYS,)]
    kept = inodes()
    assert kept["2028.parquet"] == after["2028.parquet"] and kept["2026.parquet"] != after["2026.parquet"]


def test_long_tables_that_stand_are_taken_over_whole(warehouse, settings, monkeypatch):
    """published_headlines too, which every publish writes anew."""
    monkeypatch.setattr(parquet, "LONG", 1000)
    warehouse.note_build(Build("data", "models", "run-1"))
    publish.publish(warehouse, settings, "run-1")
    publish.publish(warehouse, settings, "run-2")
    folder = settings.published_dir / "parquet"
    assert (folder / "daily_asset_flows.parquet" / "2027.parquet").stat().st_nlink == 2
    for table in ("daily_asset_flows", "published_headlines"):
        assert rows(f"SELECT count(*) FROM '{folder}/{table}.parquet'") == [(DAYS,)]


def test_a_tampered_snapshot_is_not_taken_over(warehouse, settings):
    warehouse.note_build(Build("data", "models", "run-1"))
    publish.publish(warehouse, settings, "run-1")
    path = settings.published_dir / "parquet" / "daily_asset_flows.parquet"
    path.chmod(0o644)
    path.write_bytes(b"rubbish")
    publish.publish(warehouse, settings, "run-2")
    assert rows(f"SELECT count(*) FROM '{path}'") == [(2000,)]


def test_a_publish_cut_short_after_the_swap_keeps_its_headlines(warehouse, settings, monkeypatch):
    monkeypatch.setattr(publish, "_swap_parquet", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        publish.publish(warehouse, settings, "run-1")
    monkeypatch.undo()
    publish.note_headlines(warehouse, settings)  # what every run does first
    build_marts(warehouse, 1)
    publish.publish(warehouse, settings, "run-2")
    with publish.open_published(settings) as con:
        assert con.execute("SELECT DISTINCT run_id FROM published_headlines").fetchall() == [("run-1",)]
        assert con.execute("SELECT run_id FROM run_info").fetchall() == [("run-2",)]
    assert json.loads((settings.published_dir / "manifest.json").read_text())["run_id"] == "run-2"
    assert not list(settings.published_dir.glob(".*"))


def test_a_json_file_that_was_cut_short_leaves_nothing_aside(tmp_path, monkeypatch):
    path = tmp_path / "published" / "status.json"
    path.parent.mkdir()
    durable.write_json(path, {"run": 1})
    with monkeypatch.context() as full:
        full.setattr(durable.os, "replace", lambda *_: (_ for _ in ()).throw(OSError("No space left on device")))
        with pytest.raises(OSError, match="No space"):
            durable.write_json(path, {"run": 2})
    assert json.loads(path.read_text()) == {"run": 1}
    durable.write_json(path, {"run": 3})
    assert json.loads(path.read_text()) == {"run": 3} and os.listdir(path.parent) == ["status.json"]


KILLED = """
import os, signal, sys
from pathlib import Path
from orchestration import publish
from orchestration.settings import Settings
from orchestration.warehouse import Warehouse
settings = Settings(source="sandbox", data_dir=Path(sys.argv[1]))
swap = publish._swap_database
def die(*arguments):
    swap(*arguments)
    os.kill(os.getpid(), signal.SIGKILL)
publish._swap_database = die
publish.publish(Warehouse(settings.warehouse_path), settings, "run-1")
"""


def test_a_publish_that_is_killed_is_whole_for_readers_and_made_good_by_the_next(warehouse, settings):
    publish.publish(warehouse, settings, "run-0")
    build_marts(warehouse, 1, value="-7")
    killed = subprocess.run([sys.executable, "-c", KILLED, str(settings.data_dir)])
    assert killed.returncode == -signal.SIGKILL
    with publish.open_published(settings) as con:
        assert con.execute("SELECT run_id FROM run_info").fetchall() == [("run-1",)]
        assert con.execute("SELECT DISTINCT number FROM daily_asset_flows").fetchall() == [(1,)]
    publish.note_headlines(warehouse, settings)  # what every run does first
    manifest = publish.publish(warehouse, settings, "run-2")
    assert json.loads((settings.published_dir / "manifest.json").read_text()) == manifest
    assert rows(f"SELECT run_id FROM '{settings.published_dir}/parquet/run_info.parquet'") == [("run-2",)]
    with publish.open_published(settings) as con:
        counts = con.execute("SELECT run_id, count(*) FROM published_headlines GROUP BY 1 ORDER BY 1").fetchall()
    assert counts == [("run-0", DAYS), ("run-1", DAYS)]


@pytest.mark.parametrize("publishes", [3, pytest.param(20, marks=pytest.mark.chaos)])
def test_readers_see_whole_snapshots_while_others_are_published(publishes, warehouse, settings):
    build_marts(warehouse, 0)
    publish.publish(warehouse, settings, "run-0")
    context = multiprocessing.get_context("spawn")
    stop, results = context.Event(), context.Queue()
    path = str(settings.published_dir / "marts.duckdb")
    readers = [context.Process(target=read_until, args=(path, stop, results)) for _ in range(READERS)]
    for reader in readers:
        reader.start()
    for number in range(1, publishes + 1):
        build_marts(warehouse, number)
        publish.publish(warehouse, settings, f"run-{number}")
    time.sleep(0.5)
    stop.set()
    outcomes = [results.get(timeout=30) for _ in readers]
    for reader in readers:
        reader.join(30)
    assert [problem for _, problems in outcomes for problem in problems] == []
    assert all(reads > 0 for reads, _ in outcomes)
    assert len(list(settings.published_dir.glob("parquet.*"))) <= 2


WRITER = """
import duckdb, os, signal, sys
path = sys.argv[1]
os.chmod(path, 0o644)
con = duckdb.connect(path)
con.execute("SET checkpoint_threshold = '1GB'")
con.execute("CREATE TABLE vandal AS SELECT range AS i FROM range(100000)")
con.execute("INSERT INTO vandal SELECT range FROM range(1000)")
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_reader_that_opened_for_writing_and_died_bricks_nobody(warehouse, settings):
    publish.publish(warehouse, settings, "run-0")
    path = settings.published_dir / "marts.duckdb"
    killed = subprocess.run([sys.executable, "-c", WRITER, str(path)])
    assert killed.returncode == -signal.SIGKILL
    wal = path.with_name(path.name + ".wal")
    assert wal.exists(), "the test must leave the log that bricks readers"
    build_marts(warehouse, 1)
    publish.publish(warehouse, settings, "run-1")
    assert not wal.exists()
    with publish.open_published(settings) as con:
        assert con.execute("SELECT run_id FROM run_info").fetchall() == [("run-1",)]
        assert con.execute("SELECT count(*) FROM duckdb_tables() WHERE table_name = 'vandal'").fetchall() == [(0,)]


HOLDER = """
import duckdb, os, sys
os.chmod(sys.argv[1], 0o644)
con = duckdb.connect(sys.argv[1])
print("open", flush=True)
sys.stdin.read()
"""


def test_somebody_who_has_the_file_open_for_writing_holds_up_nobody(warehouse, settings):
    """Found by schedule 34: whoever may write the folder can open the file so, and keep it for days."""
    build_marts(warehouse, 1)
    publish.publish(warehouse, settings, "run-1")
    path = settings.published_dir / "marts.duckdb"
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout and holder.stdout.readline() == "open\n"
        with pytest.raises(duckdb.IOException, match="lock"):
            duckdb.connect(str(path), read_only=True)
        publish.note_headlines(warehouse, settings)
        build_marts(warehouse, 2)
        publish.publish(warehouse, settings, "run-2")
        with publish.open_published(settings) as con:
            assert con.execute("SELECT run_id FROM run_info").fetchall() == [("run-2",)]
        holder.communicate()
    assert [each.name for each in settings.published_dir.glob(".marts.*")] == []


def test_nothing_to_publish_is_said_and_nothing_is_touched(tmp_path):
    settings = Settings(source="sandbox", data_dir=tmp_path)
    warehouse = Warehouse(settings.warehouse_path)
    warehouse.prepare(settings)
    with pytest.raises(publish.PublishError, match="no marts"):
        publish.publish(warehouse, settings, "run-1")
    assert not (settings.published_dir / "marts.duckdb").exists()
    with pytest.raises(publish.NothingPublished, match="altflow run"):
        publish.open_published(settings)
    assert os.listdir(Path(tmp_path)) != []
