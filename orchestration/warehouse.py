"""The only module that opens the warehouse: its lock, its folder stamp, its writes, its reads.

Rows are replaced, never appended: `replace_window` makes the rows of a scope and window equal to
what was received, in one transaction with the index of the bodies they came from, the list of
touched days and the history of what they were before. Any write may be repeated.
"""

import fcntl
import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa

from orchestration import schema
from orchestration.archive import Entry
from orchestration.records import LOOKS, RECORDS, Record
from orchestration.settings import Settings
from orchestration.sources.body import Refused, Window

Columns = dict[str, dict[str, str]]
"""type by table and column"""
FOREVER = Window(date(1900, 1, 1), date(9999, 1, 1))
_GLANCE_SECONDS = 0.25
_LETTING_GO_SECONDS = 3.0
_SHRUNK_RATIO = 0.05
_SHRUNK_COUNT = 100
MOMENTS = {
    "runs": "started_at",
    "gaps": "noticed_at",
    "absences": "noticed_at",
    "asked": "answered_at",
    "published_headlines": "published_at",
    "publications": "published_at",
}
"""Where it is noted when something happened, and the order counts."""


class WarehouseError(Exception):
    """The warehouse cannot be used; the message says why and what to do next."""


class LockHeld(WarehouseError):
    """Another run writes. `pid` and `started_at` name it."""

    def __init__(self, path: Path, pid: int | None, started_at: str | None):
        super().__init__(
            f"another run holds {path} (pid {pid}, since {started_at}); wait for it to end, then run again"
        )
        self.pid = pid
        self.started_at = started_at


class Lock:
    """The advisory lock of one data folder: the only truth about who writes. The kernel frees it
    when its process dies, however it dies."""

    def __init__(self, path: Path):
        self.path = path
        self._fd: int | None = None

    def acquire(self, wait_seconds: float = 0) -> None:
        """Raises LockHeld when another process still holds the lock after `wait_seconds`."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        fd = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
        # `lock_holder` holds the lock for an instant: who waits for nobody waits for that.
        until = time.monotonic() + max(wait_seconds, _GLANCE_SECONDS)
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() < until:
                    time.sleep(min(1.0, max(wait_seconds, _GLANCE_SECONDS / 5)))
                    continue
                holder = _holder(fd)
                os.close(fd)
                raise LockHeld(self.path, holder.get("pid"), holder.get("started_at")) from None
        os.ftruncate(fd, 0)
        os.pwrite(fd, json.dumps({"pid": os.getpid(), "started_at": f"{_utc():%Y-%m-%d %H:%M:%S} UTC"}).encode(), 0)
        os.set_inheritable(fd, False)
        self._fd = fd

    def __enter__(self) -> "Lock":
        self.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    @property
    def held(self) -> bool:
        return self._fd is not None

    def release(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


def _holder(fd: int) -> dict:
    try:
        return json.loads(os.pread(fd, 4096, 0) or b"{}")
    except ValueError:
        return {}


def lock_holder(path: Path) -> dict | None:
    """Who holds the lock now: pid and started_at; None when nobody does."""
    if not path.exists():
        return None
    fd = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return None
    except BlockingIOError:
        return _holder(fd)
    finally:
        os.close(fd)


@dataclass(frozen=True)
class Arrived:
    """Rows received for one scope and window: `scope` has a value for each of the record's scope
    columns; `table` holds all rows of that scope and window that the upstream has."""

    scope: tuple[str, ...]
    window: Window


@dataclass(frozen=True)
class Gap:
    """Something that was asked of an upstream and did not arrive."""

    upstream: str
    dataset: str
    scope: str
    window: Window
    reason: str
    message: str


@dataclass
class Replaced:
    """What one replace_window did, in rows; `load_id`: its newest."""

    load_id: int = 0
    received: int = 0
    inserted: int = 0
    changed: int = 0
    deleted: int = 0


@dataclass
class Delivery:
    """Everything that one transaction commits: rows of `record` for the scopes that arrived, the
    bodies that they cite, what was refused."""

    record: Record
    table: pa.Table
    arrived: list[Arrived]
    upstream: str
    dataset: str
    entries: list[Entry] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    answered: Sequence[Arrived] | None = None
    """what counts as answered, where that is less than what arrived: the rest is asked for again"""
    rounded_count: int = 0
    carry_forward: str | None = None
    """a boolean column: rows that vanish from a whole-scope table stay, with this column false"""
    only_unknown: bool = False
    """rows whose grain is stored already are left as they are, and none goes"""
    kept: Sequence[Arrived] = ()
    """where rows were refused: what is stored there stays, unless another row takes its place"""


@dataclass(frozen=True)
class Build:
    """What marts were built from: the state of the raw data, the files of the dbt project, the run."""

    data: str
    models: str
    run_id: str


class Shrunk(WarehouseError):
    """The upstream's answer would delete much of what is stored."""


class Warehouse:
    """One warehouse file. `with warehouse.open() as con` opens it for a moment, or uses the connection that
    `keep` holds: while it is held, nobody else can open the file, dbt in this process included. One that `reads_only`
    leaves the file as it is, also what a killed run left beside it."""

    def __init__(self, path: Path, reads_only: bool = False):
        self.path = path
        self._reads_only = reads_only
        self._kept: duckdb.DuckDBPyConnection | None = None
        self._lead: timedelta | None = None

    def now(self) -> datetime:
        """This moment (UTC), never before one that is noted here: what came last decides which run is built, what is
        missing and which headline stands. Where the machine's clock was set back, time goes on from the newest."""
        if self._lead is None:
            moments = " UNION ALL ".join(f"SELECT max({column}) FROM raw.{table}" for table, column in MOMENTS.items())
            with self.open() as con:
                newest: datetime | None = con.execute(f"SELECT max(moment) FROM ({moments}) AS t(moment)").fetchall()[
                    0
                ][0]
            behind = newest - _utc() if newest else timedelta()
            self._lead = behind + timedelta(seconds=1) if behind > timedelta() else timedelta()
        return _utc() + self._lead

    def keep(self) -> None:
        """Holds one connection for the calls to come, by one thread at a time, until `release`."""
        if self._kept is None:
            self._kept = self._connect(self._reads_only)

    def release(self) -> None:
        if self._kept is not None:
            self._kept.close()
            self._kept = None

    def _connect(self, read_only: bool) -> duckdb.DuckDBPyConnection:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        until = time.monotonic() + _LETTING_GO_SECONDS
        while True:
            try:
                con = duckdb.connect(str(self.path), read_only=read_only)
                break
            except duckdb.Error as error:
                # A killed run's dbt holds the file until it has noticed, some milliseconds later.
                if "lock" not in str(error) or time.monotonic() > until:
                    raise WarehouseError(f"{self.path} cannot be opened: {error}") from None
                time.sleep(0.05)
        con.execute("SET preserve_insertion_order = false")
        con.execute("SET checkpoint_threshold = '1GB'")
        return con

    @contextmanager
    def open(self, read_only: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
        if self._kept is not None:
            yield self._kept
            return
        con = self._connect(read_only or self._reads_only)
        try:
            yield con
        finally:
            con.close()

    def prepare(self, settings: Settings) -> None:
        """Creates what is missing and stamps a new folder. What an older altflow made gets the columns that have come
        since. Raises WarehouseError for a folder that belongs to another source, was written by a newer altflow, or
        by one so old that its rows lack what they must have now."""
        market = settings.market_dir.name if settings.market_dir else None
        with self.open() as con:
            stamp = _stamp(con)
            if stamp:
                self._refuse_foreign(stamp, settings, market)
            wanted, present = schema.columns(), _present(con)
            if not all(wanted[table].items() <= present.get(table, {}).items() for table in wanted):
                self._upgrade(con, wanted, present)
            if not stamp:
                con.execute(
                    "INSERT INTO raw.warehouse_info VALUES (?, ?, ?, ?)",
                    [settings.source, market, schema.VERSION, _utc()],
                )

    def _upgrade(self, con: duckdb.DuckDBPyConnection, wanted: Columns, present: Columns) -> None:
        older = {table: columns for table, columns in present.items() if table in wanted}
        lacking = {
            f"raw.{table}.{name}": kind
            for table, columns in older.items()
            for name, kind in wanted[table].items()
            if columns.get(name) != kind
        }
        strange = [
            f"{name} {kind}"
            for name, kind in lacking.items()
            if kind.endswith("NOT NULL") or name.rpartition(".")[2] in older[name.split(".")[1]]
        ]
        if strange:
            raise WarehouseError(
                f"{self.path} was made by an older altflow and cannot be brought up to date: it lacks "
                f"{', '.join(strange)}. Nothing was changed. `altflow rebuild --replace` makes a new one from the "
                "archive and keeps this one beside it"
            )
        con.execute("BEGIN TRANSACTION")
        for statement in schema.ddl():
            con.execute(statement)
        for name, kind in lacking.items():
            table, _, column = name.rpartition(".")
            con.execute(f"ALTER TABLE {table} ADD COLUMN {column} {kind}")
        con.execute("COMMIT")

    def _refuse_foreign(self, stamp: tuple[str, str | None, int], settings: Settings, market: str | None) -> None:
        if stamp[0] != settings.source or stamp[1] != market:
            held = f"{stamp[0]}{f' ({stamp[1]})' if stamp[1] else ''}"
            raise WarehouseError(
                f"{settings.data_dir} belongs to source {held}, this run is {settings.source}"
                f"{f' ({market})' if market else ''}: set ALTFLOW_DATA_DIR to another folder, "
                f"e.g. data/{settings.source}"
            )
        if stamp[2] > schema.VERSION:
            raise WarehouseError(
                f"{self.path} has schema version {stamp[2]}, this altflow knows {schema.VERSION}: upgrade altflow"
            )

    def begin_run(self, run_id: str, settings: Settings, window: Window, code_version: str) -> None:
        """Notes the run that is now being built; dbt reads the newest one. Its days are those of the
        window and of all that is stored."""
        dated = [r for r in RECORDS.values() if r.date and r.table not in LOOKS]
        newest = " UNION ALL ".join(f"SELECT max({r.date}) FROM raw.{r.table}" for r in dated)
        now = self.now()
        with self.open() as con:
            con.execute("DELETE FROM raw.runs WHERE run_id = ?", [run_id])
            con.execute(
                "INSERT INTO raw.runs SELECT ?, ?, ?, least(?, (SELECT min(utc_date) FROM raw.spot_flows)), "
                f"greatest((?::DATE - INTERVAL 1 DAY)::DATE, (SELECT max(day) FROM ({newest}) AS t(day))), ?, ?",
                [run_id, settings.source, settings.synthetic, window.start, window.end, code_version, now],
            )

    def read(self, sql: str, parameters: Sequence | None = None) -> pa.Table:
        """Rows of a query as an Arrow table."""
        with self.open() as con:
            return con.sql(sql, params=list(parameters or [])).to_arrow_table()

    def asked(self, upstream: str, dataset: str) -> dict[str, list[Window]]:
        """Which days of which scope the upstream has answered for, oldest first."""
        with self.open() as con:
            rows = con.execute(
                "SELECT scope, start_date, end_date FROM raw.asked WHERE upstream = ? AND dataset = ? "
                "ORDER BY scope, start_date",
                [upstream, dataset],
            ).fetchall()
        windows: dict[str, list[Window]] = {}
        for scope, start, end in rows:
            windows.setdefault(scope, []).append(Window(start, end))
        return windows

    def newest_volumes(self, exchange: str, table: str) -> dict[str, float]:
        """Quote volume of the last stored bar by symbol; `table` holds flows."""
        assert table in RECORDS, table
        with self.open() as con:
            rows = con.execute(
                "SELECT symbol, arg_max(volume_quote, utc_date)::DOUBLE "
                f"FROM raw.{table} WHERE exchange = ? GROUP BY 1",
                [exchange],
            ).fetchall()
        return dict(rows)

    def row_count(self, table: str, window: Window = FOREVER) -> int:
        """Rows of a raw table; of a dated one those of the days of `window`."""
        dated = f" WHERE {RECORDS[table].date} >= ? AND {RECORDS[table].date} < ?" if RECORDS[table].date else ""
        days = [window.start, window.end] if dated else []
        with self.open() as con:
            return con.execute(f"SELECT count(*) FROM raw.{table}{dated}", days).fetchall()[0][0]

    def trading_symbols(self, exchange: str) -> list[str]:
        """The symbols that the newest listing says are traded now."""
        with self.open() as con:
            rows = con.execute(
                "SELECT symbol FROM raw.spot_symbols WHERE exchange = ? AND is_trading AND is_listed ORDER BY symbol",
                [exchange],
            ).fetchall()
        return [row[0] for row in rows]

    def gaps(self, run_id: str) -> list[dict]:
        """What did not arrive in a run, a line per upstream, dataset and reason: count, first message."""
        with self.open() as con:
            rows = con.execute(
                "SELECT upstream, dataset, reason, count(*), min_by(scope, noticed_at), min_by(message, noticed_at) "
                "FROM raw.gaps WHERE run_id = ? GROUP BY ALL ORDER BY ALL",
                [run_id],
            ).fetchall()
        names = ("upstream", "dataset", "reason", "count", "first_scope", "message")
        return [dict(zip(names, row, strict=True)) for row in rows]

    def first_gaps(self, exchange: str) -> dict[str, date]:
        """By scope: the first day of flows that some run asked for in vain."""
        with self.open() as con:
            rows = con.execute(
                "SELECT scope, min(start_date) FROM raw.gaps WHERE upstream = ? AND dataset = 'spot_flows' GROUP BY 1",
                [exchange],
            ).fetchall()
        return dict(rows)

    def holds(self, record: Record, rows: pa.Table) -> bool:
        """Whether every one of `rows` is stored as it is: such rows were checked when they were stored."""
        if not rows.num_rows:
            return False
        grain = ", ".join(record.grain)
        same = " AND ".join(
            [f"t.{c} = r.{c}" for c in record.grain] + [f"t.{c} IS NOT DISTINCT FROM r.{c}" for c in record.values]
        )
        with self.open() as con:
            if con.execute(f"SELECT count(*) FROM raw.{record.table}").fetchall() == [(0,)]:
                return False
            con.register("received_rows", rows)
            stored = con.execute(
                f"SELECT count(*), count(DISTINCT ({grain})) FROM received_rows r "
                f"SEMI JOIN raw.{record.table} t ON {same}"
            ).fetchall()
        return stored == [(rows.num_rows, rows.num_rows)]

    def not_refused_before(self, refused: Sequence[Refused]) -> list[Refused]:
        """Those of `refused` that no earlier load refused to the letter and for the same reason."""
        if not refused:
            return []
        with self.open() as con:
            con.register("received_refused", _refused_rows(refused).append_column("n", [range(len(refused))]))
            new = con.execute(
                f"SELECT n FROM received_refused ANTI JOIN raw.quarantine USING ({_SAME_REFUSAL}) ORDER BY n"
            ).fetchall()
            con.unregister("received_refused")
        return [refused[n] for (n,) in new]

    def replace_window(self, delivery: Delivery, run_id: str, *beside: Delivery) -> Replaced:
        """Makes the stored rows of every arrived scope and window equal to `delivery.table`. `beside`: what the same
        answer holds for other tables; all of it is committed, or nothing.

        An unchanged row keeps its load_id and the body it first came from; a changed or vanished one
        goes to `<table>_history`. One transaction; repeating it changes nothing. Returns what that did to all tables.
        Raises Shrunk, with nothing written, where more than 5 % (and 100) of a table's stored rows would
        vanish; WarehouseError where the rows repeat a grain or lie outside the arrived windows."""
        total, now = Replaced(), self.now()
        with self.open() as con:
            con.execute("BEGIN TRANSACTION")
            try:
                for each in (delivery, *beside):
                    done = _replace(con, each, run_id, now)
                    total.load_id = done.load_id
                    total.received += done.received
                    total.inserted += done.inserted
                    total.changed += done.changed
                    total.deleted += done.deleted
                    _index_bodies(con, each.entries)
                    _quarantine(con, each, run_id, now)
                    if each.answered != []:
                        _note_asked(con, each, each.record, now)
                con.execute("COMMIT")
            except BaseException:
                con.execute("ROLLBACK")
                raise
        return total

    def note_absences(self, run_id: str, absences: Sequence[Gap]) -> None:
        """Notes what upstreams say that they do not have (yet): the newest word on a scope and days counts."""
        if not absences:
            return
        now = self.now()
        rows = [
            [run_id, a.upstream, a.dataset, a.scope, a.window.start, a.window.end, a.reason, a.message, now]
            for a in absences
        ]
        with self.open() as con:
            con.execute("BEGIN TRANSACTION")
            con.executemany(
                "DELETE FROM raw.absences WHERE upstream = ? AND dataset = ? AND scope = ? AND start_date >= ? "
                "AND end_date <= ?",
                [row[1:6] for row in rows],
            )
            con.executemany("INSERT INTO raw.absences VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
            con.execute("COMMIT")

    def absences(self, run_id: str) -> list[dict]:
        """What upstreams said in a run that they do not have, a line per upstream, dataset and reason: count, days."""
        with self.open() as con:
            rows = con.execute(
                "SELECT upstream, dataset, reason, count(*), min(start_date), max(end_date) FROM raw.absences "
                "WHERE run_id = ? GROUP BY ALL ORDER BY ALL",
                [run_id],
            ).fetchall()
        names = ("upstream", "dataset", "reason", "count", "start", "end")
        return [dict(zip(names, (*row[:4], str(row[4]), str(row[5])), strict=True)) for row in rows]

    def given_up(self, exchange: str) -> dict[str, list[date]]:
        """By scope: days whose file was still missing long after it was due, or that had none since nobody traded."""
        with self.open() as con:
            rows = con.execute(
                "SELECT scope, unnest(generate_series(start_date, end_date - 1, INTERVAL 1 DAY))::DATE "
                "FROM raw.absences WHERE upstream = ? AND dataset = 'spot_flows' "
                "AND reason IN ('file_missing', 'no_trades') ORDER BY ALL",
                [exchange],
            ).fetchall()
        days: dict[str, list[date]] = {}
        for scope, day in rows:
            days.setdefault(scope, []).append(day)
        return days

    def file_etags(self, exchange: str) -> dict[str, str]:
        """The tag of each trade file when it was last read, by its address; of those read in the last 60 days."""
        with self.open() as con:
            rows = con.execute(
                "SELECT json_extract_string(context, '$.files') FROM raw.source_files WHERE upstream = ? AND "
                "dataset = 'spot_flows' AND fetched_at > now()::TIMESTAMP - INTERVAL 60 DAY ORDER BY fetched_at",
                [exchange],
            ).fetchall()
        files = [file for (text,) in rows for file in json.loads(text or "[]")]
        return {file["url"]: file["etag"] for file in files if file.get("etag")}

    def data_version(self) -> str:
        """Changes whenever rows that the marts are built from change, the days they are built for, or what
        is known to be missing."""
        with self.open() as con:
            row = con.execute(
                "WITH open_gaps AS (SELECT DISTINCT concat_ws('|', g.upstream, g.dataset, g.scope, g.start_date, "
                "g.end_date, g.reason) AS gap FROM raw.gaps g LEFT JOIN raw.asked a USING (upstream, dataset, scope) "
                "WHERE g.noticed_at > coalesce(a.answered_at, TIMESTAMP '1970-01-01')) "
                "SELECT source, first_date, last_date, (SELECT max(load_id) FROM raw.changes), "
                "(SELECT count(*) FROM raw.quarantine), (SELECT md5(string_agg(gap, ';' ORDER BY gap)) FROM open_gaps) "
                "FROM raw.runs ORDER BY started_at DESC LIMIT 1"
            ).fetchall()
            absent = con.execute(
                "SELECT md5(string_agg(concat_ws('|', upstream, dataset, scope, start_date, end_date, reason), ';' "
                "ORDER BY ALL)) FROM raw.absences"
            ).fetchall()
        return repr((row, absent))

    def built_from(self) -> Build | None:
        """What the marts that stand here were built from; None while a build is under way or failed."""
        with self.open() as con:
            row = _first(con.execute("SELECT data_version, models_version, run_id FROM raw.builds"))
        return Build(*row) if row else None

    def note_build(self, build: Build | None) -> None:
        """Before a build (None) and after it: a build that was killed counts as none."""
        now = self.now()
        with self.open() as con:
            con.execute("BEGIN TRANSACTION")
            con.execute("DELETE FROM raw.builds")
            if build:
                row = [build.data, build.models, build.run_id, now]
                con.execute("INSERT INTO raw.builds VALUES (?, ?, ?, ?)", row)
            con.execute("COMMIT")

    def cited_bodies(self) -> dict[str, set[str]]:
        """By pack the SHA-256 of every body that a row was read from: one stored, replaced since, or in quarantine."""
        tables = [name for record in RECORDS.values() for name in (record.table, f"{record.table}_history")]
        cited = " UNION ".join(f"SELECT body_sha256 FROM raw.{table}" for table in (*tables, "quarantine"))
        found: dict[str, set[str]] = {}
        for row in self.read(
            f"SELECT pack, body_sha256 FROM raw.source_files SEMI JOIN ({cited}) USING (body_sha256)"
        ).to_pylist():
            found.setdefault(row["pack"], set()).add(row["body_sha256"])
        return found

    def take_over(self, other: Path) -> None:
        """Copies from another warehouse what no archive knows: gaps, absences, when it was answered, and what was
        published. Raises WarehouseError, with nothing copied, where it cannot be read or has other columns."""
        try:
            with self.open() as con:
                con.execute(f"ATTACH '{quoted(other)}' AS other (READ_ONLY)")
                con.execute("BEGIN TRANSACTION")
                there = con.execute(
                    "SELECT table_name FROM duckdb_tables() WHERE database_name = 'other' AND schema_name = 'raw'"
                ).fetchall()
                known = {name for (name,) in there}  # an older warehouse lacks some
                for table in sorted(known & {"gaps", "absences", "published_headlines", "publications"}):
                    con.execute(f"DELETE FROM raw.{table}")
                    con.execute(f"INSERT INTO raw.{table} BY NAME FROM other.raw.{table}")
                # What is missing since the last answer is a gap: the time of the rebuilding would close all.
                con.execute(
                    "UPDATE raw.asked AS a SET answered_at = o.answered_at FROM other.raw.asked AS o WHERE "
                    "(a.upstream, a.dataset, a.scope, a.start_date, a.end_date) "
                    "= (o.upstream, o.dataset, o.scope, o.start_date, o.end_date)"
                )
                con.execute("COMMIT")
                con.execute("DETACH other")
        except duckdb.Error as error:
            raise WarehouseError(f"{other}: what no archive knows cannot be read ({str(error)[:200]})") from None

    def note_gaps(self, run_id: str, gaps: Sequence[Gap]) -> None:
        """Notes what was asked of an upstream in this run and did not arrive."""
        if not gaps:
            return
        now = self.now()
        with self.open() as con:
            con.execute("BEGIN TRANSACTION")
            con.executemany(
                "INSERT INTO raw.gaps VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    [run_id, g.upstream, g.dataset, g.scope, g.window.start, g.window.end, g.reason, g.message, now]
                    for g in gaps
                ],
            )
            con.execute("COMMIT")


def quoted(path: Path) -> str:
    """A path as it stands between quotation marks in SQL, where it cannot be a parameter (ATTACH, COPY)."""
    return str(path).replace("'", "''")


def source_of(path: Path) -> str | None:
    """The source that the folder of a warehouse belongs to; None where the file cannot be read, whatever ails it."""
    try:
        with Warehouse(path).open() as con:
            stamp = _stamp(con)
    except (WarehouseError, duckdb.Error):
        return None
    return stamp[0] if stamp else None


def _first(cursor: duckdb.DuckDBPyConnection) -> tuple | None:
    """The first row of a short result, read to its end: an unfinished one blocks the connection."""
    rows = cursor.fetchall()
    return rows[0] if rows else None


def _present(con: duckdb.DuckDBPyConnection) -> Columns:
    """The columns of `raw` as they are stored."""
    rows = con.execute(
        "SELECT table_name, column_name, replace(data_type, ',', ', '), is_nullable FROM duckdb_columns() "
        "WHERE schema_name = 'raw' AND database_name = current_database()"
    ).fetchall()
    found: Columns = {}
    for table, column, kind, is_nullable in rows:
        found.setdefault(table, {})[column] = kind if is_nullable else f"{kind} NOT NULL"
    return found


def _stamp(con: duckdb.DuckDBPyConnection) -> tuple[str, str | None, int] | None:
    """Source, market and schema version of a folder in use. Asked before anything is created in it."""
    if not con.execute("FROM duckdb_tables() WHERE schema_name = 'raw' AND table_name = 'warehouse_info'").fetchall():
        return None
    return _first(con.execute("SELECT source, market, schema_version FROM raw.warehouse_info"))


def _replace(con: duckdb.DuckDBPyConnection, delivery: Delivery, run_id: str, now: datetime) -> Replaced:
    record, table = delivery.record, f"raw.{delivery.record.table}"
    # What answers for a whole exchange has `*` in the place of a symbol.
    is_whole = any("*" in arrived.scope for arrived in delivery.arrived)
    equal = "(s.{0} = t.{0} OR s.{0} = '*')" if is_whole else "s.{0} = t.{0}"
    on = " AND ".join(equal.format(c) for c in record.scope) or "true"
    dated = f" AND t.{record.date} >= s.start_date AND t.{record.date} < s.end_date" if record.date else ""
    same = " AND ".join(f"t.{c} = i.{c}" for c in record.grain)
    differs = " OR ".join(f"t.{c} IS DISTINCT FROM i.{c}" for c in record.values)
    columns = ", ".join(record.schema.names)
    con.register("received_rows", delivery.table)
    con.register("received_scopes", _scopes(record, delivery.arrived))
    con.execute("CREATE OR REPLACE TEMP TABLE scopes AS SELECT DISTINCT * FROM received_scopes")
    con.execute(f"CREATE OR REPLACE TEMP TABLE incoming AS SELECT {columns} FROM received_rows")
    con.unregister("received_rows")
    con.unregister("received_scopes")
    _refuse_nonsense(con, record, on, dated)
    if delivery.only_unknown:
        con.execute(f"DELETE FROM incoming i WHERE EXISTS (SELECT 1 FROM {table} t WHERE {same})")
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE present AS SELECT t.*, t.rowid AS row_number FROM {table} t "
        f"WHERE {'false' if delivery.only_unknown else f'EXISTS (SELECT 1 FROM scopes s WHERE {on}{dated})'}"
    )
    if delivery.kept:
        con.register("kept", _scopes(record, delivery.kept))
        con.execute(
            f"DELETE FROM present t WHERE EXISTS (SELECT 1 FROM kept s WHERE {on}{dated}) "
            f"AND NOT EXISTS (SELECT 1 FROM incoming i WHERE {same})"
        )
        con.unregister("kept")
    done = Replaced(received=delivery.table.num_rows)
    if delivery.carry_forward:
        flag = delivery.carry_forward
        kept = ", ".join("false" if c == flag else c for c in record.schema.names)
        con.execute(
            f"INSERT INTO incoming SELECT {kept} FROM present t "
            f"WHERE NOT EXISTS (SELECT 1 FROM incoming i WHERE {same})"
        )
    stored = con.execute("SELECT count(*) FROM present").fetchall()[0][0]
    fresh = "fresh" if stored else "incoming"
    if stored:
        con.execute(
            "CREATE OR REPLACE TEMP TABLE obsolete AS "
            f"SELECT t.row_number, i.{record.grain[0]} IS NOT NULL AS is_changed "
            f"FROM present t LEFT JOIN incoming i ON {same} WHERE i.{record.grain[0]} IS NULL OR {differs}"
        )
        con.execute(
            f"CREATE OR REPLACE TEMP TABLE fresh AS SELECT i.* FROM incoming i LEFT JOIN present t ON {same} "
            f"WHERE t.row_number IS NULL OR {differs}"
        )
    else:
        con.execute("CREATE OR REPLACE TEMP TABLE obsolete AS SELECT row_number, false AS is_changed FROM present")
    changed, obsolete, new = con.execute(
        "SELECT (SELECT count(*) FILTER (is_changed) FROM obsolete), (SELECT count(*) FROM obsolete), "
        f"(SELECT count(*) FROM {fresh})"
    ).fetchall()[0]
    done.changed, done.deleted, done.inserted = changed, obsolete - changed, new - changed
    if done.deleted > _SHRUNK_COUNT and done.deleted > stored * _SHRUNK_RATIO:
        raise Shrunk(
            f"{delivery.upstream} {delivery.dataset}: the answer lacks {done.deleted} of {stored} stored rows; not "
            f"loaded, the stored rows stay; if the upstream really withdrew them, delete them from {table} by hand"
        )
    done.load_id = con.execute("SELECT coalesce(max(load_id), 0) + 1 FROM raw.loads").fetchall()[0][0]
    exchange, unnamed = ("exchange", []) if "exchange" in record.schema.names else ("?", [delivery.upstream])
    day = record.date or "NULL::DATE"
    con.execute(
        f"INSERT INTO raw.changes SELECT DISTINCT ?, {exchange}, {day}, {done.load_id} FROM ("
        f"SELECT {columns} FROM {fresh} UNION ALL SELECT {columns} FROM present SEMI JOIN obsolete USING (row_number))",
        [record.table, *unnamed],
    )
    if obsolete:
        con.execute(
            f"INSERT INTO {table}_history BY NAME SELECT t.* EXCLUDE (row_number), {done.load_id} AS "
            "replaced_by_load_id, ?::TIMESTAMP AS replaced_at FROM present t SEMI JOIN obsolete USING (row_number)",
            [now],
        )
        con.execute(f"DELETE FROM {table} WHERE rowid IN (SELECT row_number FROM obsolete)")
    con.execute(
        f"INSERT INTO {table} BY NAME SELECT *, {done.load_id} AS load_id, ?::TIMESTAMP AS loaded_at FROM {fresh}",
        [now],
    )
    scope = delivery.arrived[0].scope if len(delivery.arrived) == 1 else (f"{len(delivery.arrived)} scopes",)
    start, end = min(a.window.start for a in delivery.arrived), max(a.window.end for a in delivery.arrived)
    con.execute(
        "INSERT INTO raw.loads VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            done.load_id, run_id, record.table, " ".join(scope), start, end, done.received, done.inserted,
            done.changed, done.deleted, delivery.rounded_count, now,
        ],
    )  # fmt: skip
    return done


def _scopes(record: Record, arrived: Sequence[Arrived]) -> pa.Table:
    """A row per scope and window: the record's scope columns, start_date, end_date."""
    columns = {c: pa.array([a.scope[n] for a in arrived], pa.string()) for n, c in enumerate(record.scope)}
    windows = {
        "start_date": pa.array([a.window.start for a in arrived], pa.date32()),
        "end_date": pa.array([a.window.end for a in arrived], pa.date32()),
    }
    return pa.table(columns | windows)


def _refuse_nonsense(con: duckdb.DuckDBPyConnection, record: Record, on: str, dated: str) -> None:
    grain = ", ".join(record.grain)
    twice = _first(con.execute(f"SELECT {grain} FROM incoming GROUP BY {grain} HAVING count(*) > 1 LIMIT 1"))
    if twice:
        raise WarehouseError(f"{record.table}: {' '.join(map(str, twice))} arrived twice; one row per {grain}")
    outside = _first(
        con.execute(
            f"SELECT {grain} FROM incoming t WHERE NOT EXISTS (SELECT 1 FROM scopes s WHERE {on}{dated}) LIMIT 1"
        )
    )
    if outside:
        raise WarehouseError(f"{record.table}: {' '.join(map(str, outside))} lies outside of what was asked for")


_SOURCE_FILES = pa.schema(
    [
        ("body_sha256", pa.string()),
        ("upstream", pa.string()),
        ("dataset", pa.string()),
        ("url", pa.string()),
        ("status", pa.int32()),
        ("fetched_at", pa.timestamp("us")),
        ("byte_count", pa.int64()),
        ("pack", pa.string()),
        ("pack_offset", pa.int64()),
        ("pack_length", pa.int64()),
        ("context", pa.string()),
    ]
)


def _index_bodies(con: duckdb.DuckDBPyConnection, entries: list[Entry]) -> None:
    if not entries:
        return
    rows = pa.Table.from_pylist([entry.row() for entry in entries], schema=_SOURCE_FILES)
    con.register("received_bodies", rows)
    con.execute(
        "INSERT INTO raw.source_files BY NAME SELECT DISTINCT ON (body_sha256) b.* FROM received_bodies b "
        "WHERE NOT EXISTS (SELECT 1 FROM raw.source_files f WHERE f.body_sha256 = b.body_sha256)"
    )
    con.unregister("received_bodies")


_SAME_REFUSAL = "table_name, row_key, reason, row_json"


def _refused_rows(refused: Sequence[Refused]) -> pa.Table:
    columns = {
        "table_name": [row.table for row in refused],
        "row_key": [row.key for row in refused],
        "utc_date": pa.array([row.day for row in refused], pa.date32()),
        "reason": [row.reason for row in refused],
        "row_json": [row.row for row in refused],
        "body_sha256": [row.body_sha256 for row in refused],
    }
    return pa.table(columns)


def _quarantine(con: duckdb.DuckDBPyConnection, delivery: Delivery, run_id: str, now: datetime) -> None:
    """Refused rows; a row that was refused before for the same reason is not noted again."""
    if not delivery.refused:
        return
    con.register("received_refused", _refused_rows(delivery.refused))
    con.execute(
        f"INSERT INTO raw.quarantine BY NAME SELECT DISTINCT ON ({_SAME_REFUSAL}) r.*, ? AS run_id, "
        f"?::TIMESTAMP AS quarantined_at FROM received_refused r ANTI JOIN raw.quarantine USING ({_SAME_REFUSAL})",
        [run_id, now],
    )
    con.unregister("received_refused")


def _note_asked(con: duckdb.DuckDBPyConnection, delivery: Delivery, record: Record, now: datetime) -> None:
    """Adds the answered windows to raw.asked; neighbouring and overlapping ones become one."""
    arrived = delivery.arrived if delivery.answered is None else delivery.answered
    noted = pa.table(
        {
            "scope": pa.array(
                [" ".join(a.scope[1:] if record.scope[:1] == ("exchange",) else a.scope) for a in arrived], pa.string()
            ),
            "start_date": pa.array([a.window.start for a in arrived], pa.date32()),
            "end_date": pa.array([a.window.end for a in arrived], pa.date32()),
        }
    )
    con.register("received_asked", noted)
    key = [delivery.upstream, delivery.dataset]
    con.execute(
        "CREATE OR REPLACE TEMP TABLE answered AS SELECT scope, start_date, end_date FROM received_asked UNION ALL "
        "SELECT scope, start_date, end_date FROM raw.asked WHERE upstream = ? AND dataset = ? "
        "AND scope IN (SELECT scope FROM received_asked)",
        key,
    )
    con.execute(
        "DELETE FROM raw.asked WHERE upstream = ? AND dataset = ? AND scope IN (SELECT scope FROM received_asked)", key
    )
    con.execute(
        """
        INSERT INTO raw.asked
        WITH ends AS (
            SELECT *, max(end_date) OVER (
                PARTITION BY scope ORDER BY start_date, end_date ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
            ) AS reached_date FROM answered
        ), islands AS (
            SELECT *, sum((reached_date IS NULL OR start_date > reached_date)::INT) OVER (
                PARTITION BY scope ORDER BY start_date, end_date
            ) AS island FROM ends
        )
        SELECT ?, ?, scope, min(start_date), max(end_date), ? FROM islands GROUP BY scope, island
        """,
        [*key, now],
    )
    con.unregister("received_asked")


def _utc() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)
