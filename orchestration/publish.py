"""The snapshot that analysts read: published/marts.duckdb, published/parquet/, manifest.json.

Everything is written aside and put in place by rename, so that a reader sees the old snapshot or the
new one and nothing between. The database file comes first: it says which run is published. A publish
that was cut short is completed by the next one.
"""

import json
import os
import shutil
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from datetime import date, datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa

from orchestration import alerts, durable, parquet
from orchestration.settings import Settings
from orchestration.warehouse import Warehouse, quoted

MACROS = Path(__file__).with_name("analyst_macros.sql")
STAMPED = ("run_info", "published_headlines", "alerts")
"""Tables that publishing itself completes."""
STORAGE_VERSION = "v1.2.0"
"""Readable by DuckDB 1.2 and later."""


Connection = duckdb.DuckDBPyConnection
SqlError = duckdb.Error
"""What a wrong query raises."""


class PublishError(Exception):
    """Nothing was published; the message says why and what to do."""


class NothingPublished(Exception):
    """There is no snapshot yet; the message says how to make one."""


def open_published(settings: Settings) -> duckdb.DuckDBPyConnection:
    """A read-only connection to the snapshot, whose catalog is called `marts`; no SQL on it reaches another file or the
    network, and none can change that. Raises NothingPublished."""
    path = settings.published_dir / "marts.duckdb"
    if not path.exists():
        raise NothingPublished(f"nothing is published in {settings.published_dir} yet: run `altflow run` first")
    try:
        con = duckdb.connect(str(path), read_only=True)
    except duckdb.Error as error:
        if "WAL" not in str(error):
            raise
        remove_wal(path)
        con = duckdb.connect(str(path), read_only=True)
    con.execute("SET enable_external_access = false")
    return con


def publish(warehouse: Warehouse, settings: Settings, run_id: str) -> dict:
    """Puts the marts of the warehouse in place for analysts and returns the manifest. Marts that stand as
    they were published before are taken over; only what tells of the run is written anew."""
    folder = settings.published_dir
    folder.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(folder, run_id)
    aside, new = folder / f".marts.{run_id}.duckdb", folder / f"parquet.{run_id}"
    new.mkdir()
    build = warehouse.built_from()
    same = build is not None and _stands(folder, build.run_id)
    standing = _standing(folder)
    if same:
        shutil.copyfile(folder / "marts.duckdb", aside)
        parquet.link(folder / "parquet", new)
    with warehouse.open() as con:
        present, judged = _judge(con, settings, run_id, judged_at := alerts.now())
        published_at = _moment(con, warehouse.now())
        con.execute(f"ATTACH '{quoted(aside)}' AS out (STORAGE_VERSION '{STORAGE_VERSION}')")
        con.execute("SET preserve_insertion_order = true")
        comments = [] if same else _copy_marts(con, new, standing)
        _stamp(con, run_id, published_at)
        tables = _counts(con)
        parquet.write(con, new, {name: f"out.main.{name}" for name in STAMPED}, standing)
        con.execute("DETACH out")
    _finish_database(aside, comments)
    manifest = {
        "run_id": run_id,
        "build_run_id": build.run_id if build else None,
        "published_at": f"{published_at.isoformat()}Z",
        "source": settings.source,
        "synthetic": settings.synthetic,
        **_as_of(aside),
        "tables": tables,
        "sha256": {"marts.duckdb": durable.sha256(aside)}
        | {f"parquet/{path.relative_to(new)}": durable.sha256(path) for path in parquet.files(new)},
    }
    _swap_database(aside, folder / "marts.duckdb")
    _swap_parquet(folder, new)
    durable.write_json(folder / "manifest.json", manifest)
    note_headlines(warehouse, settings)
    with alerts.never_in_the_way():
        alerts.record(settings, present, judged, run_id, judged_at)
    return manifest


def _judge(
    con: Connection, settings: Settings, run_id: str, at: datetime
) -> tuple[list[alerts.Condition], Collection[str]]:
    """What holds in the marts and is to be told, and of which kinds that is all. Leaves in raw.alerts the alerts as
    they stand when this snapshot is in place."""
    present, judged = [], alerts.ENDED_BY_PUBLISHING
    with alerts.never_in_the_way():
        present, judged = alerts.judge(con, settings, _last_published(settings.published_dir)), alerts.KINDS
    with alerts.never_in_the_way():
        standing = alerts.read(settings.alerts_path)
        changed = alerts.changes(standing, present, judged, settings, run_id, at)
        told = {alert.alert_id: asdict(alert) for alert in [*standing, *changed]}
        con.execute("DELETE FROM raw.alerts")
        if told:
            con.register("told_alerts", pa.Table.from_pylist(list(told.values())))
            con.execute("INSERT INTO raw.alerts BY NAME FROM told_alerts")
            con.unregister("told_alerts")
    return present, judged


def _moment(con: Connection, now: datetime) -> datetime:
    """This second, or the one after the last publish: of two headlines the later one stands, and none is as late."""
    now = now.replace(microsecond=0)
    (last,) = con.execute("SELECT max(published_at) FROM raw.publications").fetchall()[0]
    return max(now, last + timedelta(seconds=1)) if last else now


def _last_published(folder: Path) -> date | None:
    """The last day of the snapshot that stands."""
    try:
        return date.fromisoformat(json.loads((folder / "manifest.json").read_text())["last_date"])
    except (OSError, ValueError, KeyError):
        return None


def stands_published(settings: Settings, build_run_id: str, code_version: str) -> bool:
    """Whether the marts of that build, judged by this code, are what analysts read now."""
    try:
        manifest = json.loads((settings.published_dir / "manifest.json").read_text())
    except (OSError, ValueError):
        return False
    return (manifest.get("build_run_id"), manifest.get("code_version")) == (build_run_id, code_version)


def _stands(folder: Path, build_run_id: str) -> bool:
    """Whether the marts of that build are in place, file and Parquet as the manifest says."""
    try:
        manifest = json.loads((folder / "manifest.json").read_text())
        if manifest["build_run_id"] != build_run_id:
            return False
        return all(durable.sha256(folder / name) == sha256 for name, sha256 in manifest["sha256"].items())
    except (OSError, ValueError, KeyError):
        return False


def _standing(folder: Path) -> parquet.Standing:
    """The Parquet files that stand, by what the manifest says of them; none where it cannot be read."""
    try:
        told = json.loads((folder / "manifest.json").read_text())["sha256"]
    except (OSError, ValueError, KeyError):
        told = {}
    return parquet.Standing(folder / "parquet", {n.removeprefix("parquet/"): sha256 for n, sha256 in told.items()})


def note_headlines(warehouse: Warehouse, settings: Settings) -> None:
    """Copies what stands published into raw.published_headlines, where the next run finds it, and what it adds up to
    into raw.publications. Called after every publish and before every run: a run killed in between loses nothing."""
    published = settings.published_dir / "marts.duckdb"
    if not published.exists():
        return
    remove_wal(published)
    with warehouse.open() as con, _attached(con, published):
        con.execute(
            "INSERT INTO raw.published_headlines SELECT run_id, published_at, definition_id, utc_date, value "
            "FROM published.main.published_headlines WHERE run_id NOT IN (SELECT run_id FROM raw.published_headlines)"
        )
        # From the figures themselves, not from the log: R24 compares the two.
        con.execute(
            "INSERT INTO raw.publications SELECT run_id, published_at, definition_id, count(window_net_taker_usd), "
            "coalesce(sum(window_net_taker_usd), 0) FROM published.main.daily_altcoin_flow, published.main.run_info "
            "WHERE published_at IS NOT NULL AND run_id NOT IN (SELECT run_id FROM raw.publications) GROUP BY ALL"
        )


@contextmanager
def _attached(con: duckdb.DuckDBPyConnection, path: Path) -> Iterator[None]:
    """A snapshot as `published`; a copy of it where somebody has it open for writing, whom no run waits for."""
    copy = path.with_name(".marts.read.duckdb")
    try:
        con.execute(f"ATTACH '{quoted(path)}' AS published (READ_ONLY)")
    except duckdb.IOException:
        shutil.copyfile(path, copy)
        con.execute(f"ATTACH '{quoted(copy)}' AS published (READ_ONLY)")
    try:
        yield
    finally:
        con.execute("DETACH published")
        copy.unlink(missing_ok=True)


def _copy_marts(con: duckdb.DuckDBPyConnection, new: Path, standing: parquet.Standing) -> list[str]:
    """Copies every table and view of `marts` into the new file as a table, and into Parquet on another core;
    returns the statements that comment them."""
    names = [
        row[0]
        for row in con.execute(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = 'marts' "
            "AND table_catalog = current_database() ORDER BY 1"
        ).fetchall()
    ]
    if "run_info" not in names:
        raise PublishError("the warehouse has no marts: build them first (altflow run)")
    # The headlines that stand were noted after the marts were built.
    sources = {name: f'marts."{name}"' for name in names} | {"published_headlines": "raw.published_headlines"}
    unstamped = {name: source for name, source in sources.items() if name not in STAMPED}
    with ThreadPoolExecutor(1) as other, con.cursor() as cursor:
        written = other.submit(parquet.write, cursor, new, unstamped, standing)
        for name, source in sources.items():
            con.execute(f'CREATE TABLE out.main."{name}" AS FROM {source}')
        written.result()
    return _comments(con)


def _stamp(con: duckdb.DuckDBPyConnection, run_id: str, published_at: datetime) -> None:
    """Says which run published and what was alerted, and appends the headlines that changed: a value published again as
    it stood before adds no row."""
    con.execute("UPDATE out.main.run_info SET run_id = ?, published_at = ?", [run_id, published_at])
    con.execute(
        "UPDATE out.main.run_info SET code_version = r.code_version FROM raw.runs r WHERE r.run_id = ?", [run_id]
    )
    con.execute("DELETE FROM out.main.alerts")
    con.execute("INSERT INTO out.main.alerts BY NAME FROM raw.alerts")
    con.execute(
        """
        INSERT INTO out.main.published_headlines BY NAME
        WITH standing AS (
            SELECT definition_id, utc_date, arg_max_null(value, published_at) AS value, true AS is_published
            FROM out.main.published_headlines GROUP BY ALL
        ), now AS (
            SELECT definition_id, utc_date, window_net_taker_usd AS value FROM out.main.daily_altcoin_flow
        )
        SELECT ? AS run_id, ?::TIMESTAMP AS published_at, definition_id, utc_date, now.value
        FROM now LEFT JOIN standing USING (definition_id, utc_date)
        WHERE standing.is_published IS NULL OR standing.value IS DISTINCT FROM now.value
        """,
        [run_id, published_at],
    )


def _counts(con: duckdb.DuckDBPyConnection) -> dict[str, int]:
    names = con.execute("SELECT table_name FROM duckdb_tables() WHERE database_name = 'out' ORDER BY 1").fetchall()
    return {name: con.execute(f'SELECT count(*) FROM out.main."{name}"').fetchall()[0][0] for (name,) in names}


def _comments(con: duckdb.DuckDBPyConnection) -> list[str]:
    """COMMENT statements of the marts, with names that hold in the published file."""
    rows = con.execute(
        "SELECT table_name, NULL, comment FROM duckdb_tables() WHERE schema_name = 'marts' AND comment IS NOT NULL "
        "UNION ALL SELECT view_name, NULL, comment FROM duckdb_views() WHERE schema_name = 'marts' "
        "AND comment IS NOT NULL UNION ALL SELECT table_name, column_name, comment FROM duckdb_columns() "
        "WHERE schema_name = 'marts' AND comment IS NOT NULL"
    ).fetchall()
    return [
        f"COMMENT ON TABLE \"{table}\" IS '{_escaped(text)}'"
        if column is None
        else f'COMMENT ON COLUMN "{table}"."{column}" IS \'{_escaped(text)}\''
        for table, column, text in rows
    ]


def _finish_database(aside: Path, comments: list[str]) -> None:
    con = duckdb.connect(str(aside))
    try:
        # One transaction: each by itself would wait for the disk, some eight hundred times.
        con.execute("BEGIN")
        if comments:
            con.execute(";\n".join(comments))
        con.execute(MACROS.read_text())
        con.execute("COMMIT")
        con.execute("CHECKPOINT")
    finally:
        con.close()
    aside.chmod(0o444)
    durable.sync(aside)


def _as_of(path: Path) -> dict:
    con = duckdb.connect(str(path), read_only=True)
    try:
        first, last, code = con.execute("SELECT first_date, last_date, code_version FROM run_info").fetchall()[0]
    finally:
        con.close()
    return {"first_date": first.isoformat(), "last_date": last.isoformat(), "code_version": code}


def _swap_database(aside: Path, final: Path) -> None:
    remove_wal(final)
    os.replace(aside, final)
    remove_wal(final)
    durable.sync(final.parent)


def remove_wal(path: Path) -> None:
    """Removes the log that a reader left which opened the file for writing: with it every later reader
    of a replaced file fails."""
    path.with_name(path.name + ".wal").unlink(missing_ok=True)


def _swap_parquet(folder: Path, new: Path) -> None:
    """Points the link `parquet` at the new folder; the one before stays for whoever reads it."""
    link = folder / "parquet"
    before = os.readlink(link) if link.is_symlink() else None
    aside = folder / ".parquet.link"
    aside.unlink(missing_ok=True)
    aside.symlink_to(new.name)
    os.replace(aside, link)
    durable.sync(folder)
    for path in folder.glob("parquet.*"):
        if path.name not in (new.name, before):
            shutil.rmtree(path)


def _remove_leftovers(folder: Path, run_id: str) -> None:
    """What a publish that was cut short left aside."""
    for path in folder.glob(".marts.*"):
        path.unlink()
    shutil.rmtree(folder / f"parquet.{run_id}", ignore_errors=True)


def _escaped(text: str) -> str:
    return text.replace("'", "''")
