"""The Parquet files of a snapshot: `<table>.parquet`, for a long table a folder of that name with a file per year.

DuckDB 2, pandas, pyarrow and Polars read both by that name. One more day of a long table writes one file: years whose
rows are the same are taken over from the snapshot that stands, by what a file says of its rows.
"""

import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import duckdb

from orchestration import durable
from orchestration.warehouse import quoted

LONG = 4_000_000
"""Rows from which a table is written by years."""
FINGERPRINT = "altflow_rows"
"""What a file of a year says of itself: a digest of its columns' names and types, and of its rows' count and hashes."""


def write(con: duckdb.DuckDBPyConnection, folder: Path, sources: Mapping[str, str], standing: "Standing") -> None:
    """Writes the relation that `sources` names for each table into `folder`."""
    for name, source in sources.items():
        path = folder / f"{name}.parquet"
        _remove(path)
        years = _years(con, source)
        if not years:
            _copy(con, source, path)
            continue
        path.mkdir()
        for year, fingerprint in years.items():
            file = path / f"{year}.parquet"
            same = standing.file_of(con, f"{path.name}/{file.name}", fingerprint)
            if same:
                os.link(same, file)
            else:
                days = f"utc_date BETWEEN make_date({year}, 1, 1) AND make_date({year}, 12, 31)"
                _copy(con, f"{source} WHERE {days}", file, fingerprint)
        durable.sync(path)
    durable.sync(folder)


class Standing:
    """The Parquet files that stand published, as far as they are what the manifest says."""

    def __init__(self, folder: Path, sha256: Mapping[str, str]) -> None:
        """`sha256` by the name of a file below `folder`."""
        self.folder = folder
        self.sha256 = sha256

    def file_of(self, con: duckdb.DuckDBPyConnection, name: str, fingerprint: int) -> Path | None:
        """The file of that name, if its rows are those of the fingerprint and nobody has changed it."""
        path = self.folder / name
        if name not in self.sha256 or not path.is_file() or durable.sha256(path) != self.sha256[name]:
            return None
        said = con.execute(
            "SELECT value FROM parquet_kv_metadata(?) WHERE key = ?", [str(path), FINGERPRINT.encode()]
        ).fetchall()
        return path.resolve() if said == [(str(fingerprint).encode(),)] else None


def files(folder: Path) -> Iterator[Path]:
    """Every Parquet file below a folder, those of years too."""
    return (path for path in sorted(folder.rglob("*.parquet")) if path.is_file())


def link(before: Path, folder: Path) -> None:
    """Takes over every file of a snapshot."""
    for path in files(before):
        file = folder / path.relative_to(before)
        file.parent.mkdir(exist_ok=True)
        os.link(path, file)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)


def _years(con: duckdb.DuckDBPyConnection, source: str) -> dict[int, int]:
    """The fingerprint of each year of a long table; nothing for any other."""
    (count,) = con.execute(f"SELECT count(*) FROM {source}").fetchall()[0]
    if count < LONG:
        return {}
    columns = {name: kind for name, kind, *_ in con.execute(f"DESCRIBE FROM {source}").fetchall()}
    if "utc_date" not in columns:
        return {}
    rows = con.execute(
        f"SELECT year(utc_date), count(*), sum(hash(t)) FROM {source} t GROUP BY 1 ORDER BY 1"
    ).fetchall()
    if any(year is None for year, *_ in rows):
        return {}
    # A hash is one of a version: after an upgrade of DuckDB every year is written once more.
    said = f"{duckdb.__version__} {columns}"
    return {year: _number(f"{said} {count} {total}") for year, count, total in rows}


def _number(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:15])


def _copy(con: duckdb.DuckDBPyConnection, source: str, path: Path, fingerprint: int | None = None) -> None:
    said = f", KV_METADATA {{{FINGERPRINT}: {fingerprint}}}" if fingerprint is not None else ""
    con.execute(f"COPY (FROM {source}) TO '{quoted(path)}' (FORMAT parquet, COMPRESSION zstd{said})")
    path.chmod(0o444)
    durable.sync(path)
