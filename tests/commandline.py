"""Running `altflow` as its user does, and comparing what two data folders hold."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb

ROOT = Path(__file__).resolve().parent.parent
UNCOMPARED_TABLES = {"run_info", "revisions", "int_revisions_listed", "alerts"}
UNCOMPARED_ROWS: dict[str, str] = dict.fromkeys(
    ("data_quality_results", "int_checks_judged"), "check_id NOT IN ('R23', 'R24')"
)
"""Table → which rows are compared: what was restated and published before is the history of a folder."""
UNCOMPARED_COLUMNS = {"run_id", "loaded_at", "fetched_at", "published_at", "attempt_count"}
RELATIVE = 1e-12


def environment(data: Path, settings: dict[str, str] | None = None) -> dict[str, str]:
    """The environment of a child that works on `data`; `settings` without the prefix ALTFLOW_."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ALTFLOW_", "DAGSTER_HOME"))}
    return (
        kept | {"ALTFLOW_DATA_DIR": str(data)} | {f"ALTFLOW_{name}": value for name, value in (settings or {}).items()}
    )


def altflow(
    *arguments: str, data: Path, settings: dict[str, str] | None = None, timeout: float = 300
) -> subprocess.CompletedProcess[str]:
    """Runs the command to its end; output as text."""
    return subprocess.run(
        [sys.executable, "-m", "orchestration", *arguments],
        cwd=ROOT,
        env=environment(data, settings),
        capture_output=True,
        text=True,
        timeout=timeout,
    )


@contextlib.contextmanager
def small_market() -> Iterator[str]:
    """The address of a market of twenty base assets up to 2026-11-20; it ends with the block or with its parent."""
    command = [sys.executable, "-m", "orchestration", "sandbox", "--size", "20", "--now", "2026-11-21", "--with-parent"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as sandbox:
        assert sandbox.stdin and sandbox.stdout
        yield json.loads(sandbox.stdout.readline())["url"]
        sandbox.stdin.close()
        sandbox.wait(10)


def differences(
    first: Path,
    second: Path,
    provenance: bool = True,
    schemas: tuple[str, ...] = ("main", "marts"),
    rows: dict[str, str] | None = None,
) -> list[str]:
    """What differs between two published files: decimals, days and text bit by bit, DOUBLE to 1e-12 relative.

    Without `provenance`, which bodies the rows were read from is left out: days that were fetched in other
    portions come from other bodies. `rows` says by table which rows are compared."""
    found, rows = [], UNCOMPARED_ROWS | (rows or {})
    with duckdb.connect() as con:
        for name, path in (("a", first), ("b", second)):
            con.execute(f"ATTACH '{path}' AS {name} (READ_ONLY)")
        tables = {
            name: {
                row
                for row in con.execute(
                    f"SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = '{name}'"
                ).fetchall()
                if row[0] in schemas
            }
            for name in "ab"
        }
        if tables["a"] != tables["b"]:
            found.append(f"tables: {tables['a'] ^ tables['b']}")
        skipped = UNCOMPARED_TABLES if provenance else UNCOMPARED_TABLES | {"source_files", "source_spans"}
        for schema, table in sorted(tables["a"] & tables["b"]):
            if table not in skipped:
                found += _differing_rows(
                    con, schema, table, set() if provenance else {"body_sha256"}, rows.get(table, "true")
                )
    return found


def _differing_rows(
    con: duckdb.DuckDBPyConnection, schema: str, table: str, left_out: set[str], rows: str
) -> list[str]:
    columns = con.execute(
        "SELECT column_name, data_type FROM duckdb_columns() "
        f"WHERE database_name = 'a' AND schema_name = '{schema}' AND table_name = '{table}'"
    ).fetchall()
    compared = [(name, kind) for name, kind in columns if name not in UNCOMPARED_COLUMNS | left_out]
    exact = [name for name, kind in compared if kind != "DOUBLE"]
    doubles = [name for name, kind in compared if kind == "DOUBLE"]
    key = ", ".join(f'"{name}"' for name in exact)
    # Rows with the same exact columns are numbered by their doubles, so that each side's nth row meets.
    order = ", ".join(f'"{name}"' for name in doubles) or "1"
    side = (
        f'SELECT *, row_number() OVER (PARTITION BY {key} ORDER BY {order}) AS nth FROM {{}}."{schema}"."{table}" '
        f"WHERE {rows}"
    )
    same = " AND ".join(f'a."{name}" IS NOT DISTINCT FROM b."{name}"' for name in exact) + " AND a.nth = b.nth"
    close = " OR ".join(
        f'(a."{name}" IS NULL) <> (b."{name}" IS NULL) OR abs(a."{name}" - b."{name}") > '
        f'{RELATIVE} * greatest(abs(a."{name}"), abs(b."{name}"))'
        for name in doubles
    )
    counts = con.execute(
        f"WITH a AS ({side.format('a')}), b AS ({side.format('b')}) SELECT "
        f"(SELECT count(*) FROM a ANTI JOIN b ON {same}), (SELECT count(*) FROM b ANTI JOIN a ON {same}), "
        f"(SELECT count(*) FROM a JOIN b ON {same} WHERE {close or 'false'})"
    ).fetchall()[0]
    return (
        [f"{table}: {counts[0]} only in the first, {counts[1]} only in the second, {counts[2]} differ"]
        if any(counts)
        else []
    )
