"""One trade file to daily flows per symbol: exact, in one pass, in little memory.

`reduce_file` is the same function here, in a local worker and on a Dask cluster. It reads the file once; where
trade ids overlap, a second time to find those that repeat, and a third time where there are any.
"""

import hashlib
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from orchestration.sources.body import SourceError
from orchestration.sources.trades import Layout
from orchestration.trade_ids import SPILL_BYTES, FirstOnly, Held, Key, Overlaps
from orchestration.trade_sums import DAY_US, Summer, Sums
from orchestration.trade_text import Reader, Refusals, blocks

if TYPE_CHECKING:
    import numpy as np
    import polars as pl


@dataclass(frozen=True)
class Task:
    """A file to reduce: `place` is a path or any URL that fsspec opens; `name` is what messages call it.

    `symbol`: of all its trades, None where each row names its own; `covers`: the file holds [start, end), naive
    UTC, what lies outside is refused (None: not known). `sha256`, where the bytes are known already."""

    place: str
    name: str
    layout: Layout
    symbol: str | None = None
    covers: tuple[datetime, datetime] | None = None
    sha256: str | None = None
    is_temporary: bool = False
    """remove the file when it is reduced"""


@dataclass
class Reduced:
    """What one file came to."""

    name: str
    sha256: str
    byte_count: int
    sums: Sums
    trade_count: int
    repeated_count: int
    """trades whose id had been there before in this file"""
    refused: Refusals


def reduce_file(task: Task, spill_bytes: int = SPILL_BYTES) -> Reduced:
    """Raises SourceError, and nothing else, for a file that cannot be read."""
    with _local(task) as path:
        byte_count = path.stat().st_size
        sha256 = task.sha256 or _sha256(path)
        overlaps = Overlaps()
        summer, refused = _pass(task, path, overlaps, None)
        dropped = 0
        if overlaps.zones:
            held = Held(overlaps.zones, spill_bytes)
            for key, ids in _ids_of(task, path):
                held.add(key, ids)
            if repeated := held.repeated():
                first_only = FirstOnly(repeated)
                summer, refused = _pass(task, path, None, first_only)
                dropped = first_only.dropped_count
    count = sum(day.all.count for day in summer.sums.values())
    return Reduced(task.name, sha256, byte_count, summer.sums, count, dropped, refused)


def _pass(task: Task, path: Path, overlaps: Overlaps | None, first_only: FirstOnly | None) -> tuple[Summer, Refusals]:
    refused = Refusals()
    reader = Reader(task.layout, task.name, task.covers, refused)
    summer = Summer(task.symbol)
    for block in blocks(path, task.name):
        frame = reader.read(block)
        if overlaps and "id" in frame.columns:
            for key, ids, _ in _by_key(frame, task.symbol):
                overlaps.add(key, ids)
        if first_only:
            frame = _without_repeated(frame, task.symbol, first_only)
        left_out = summer.add(frame)
        if left_out is not None:
            for row in frame.filter(left_out).iter_rows(named=True):
                text = ",".join(str(cell) for cell in row.values())
                refused.add(text, "its price or size is not above zero or has more than 38 digits")
    return summer, refused


def _ids_of(task: Task, path: Path) -> Iterator[tuple[Key, "np.ndarray"]]:
    reader = Reader(task.layout, task.name, task.covers, Refusals())
    for block in blocks(path, task.name):
        for key, ids, _ in _by_key(reader.read(block), task.symbol):
            yield key, ids


def _by_key(frame: "pl.DataFrame", symbol: str | None) -> Iterator[tuple[Key, "np.ndarray", "np.ndarray | None"]]:
    """(symbol and day, ids, row numbers or None for all) of a block."""
    import numpy as np
    import polars as pl

    if not len(frame):
        return
    days = frame["time_us"] // DAY_US
    if "symbol" not in frame.columns and days.min() == days.max():
        yield (symbol or "", days[0]), frame["id"].to_numpy(), None
        return
    by = ["symbol", "day"] if "symbol" in frame.columns else ["day"]
    grouped = frame.with_columns(days.alias("day")).with_row_index("row").group_by(by, maintain_order=True)
    for *named, day, ids, rows in grouped.agg(pl.col("id"), pl.col("row")).iter_rows():
        yield (named[0] if named else symbol or "", day), np.array(ids, np.int64), np.array(rows, np.int64)


def _without_repeated(frame: "pl.DataFrame", symbol: str | None, first_only: FirstOnly) -> "pl.DataFrame":
    import numpy as np

    keep = np.ones(len(frame), bool)
    for key, ids, rows in _by_key(frame, symbol):
        kept = first_only.keep(key, ids)
        if kept is not None:
            keep[slice(None) if rows is None else rows] = kept
    return frame if keep.all() else frame.filter(keep)


@contextmanager
def _local(task: Task) -> Iterator[Path]:
    """The file on this machine's disk: itself, or a copy that is removed at the end."""
    if "://" not in task.place:
        path = Path(task.place)
        if not path.is_file():
            raise SourceError(f"{task.name}: no file at {path}", status=404)
        try:
            yield path
        finally:
            if task.is_temporary:
                path.unlink(missing_ok=True)
        return
    import fsspec

    with tempfile.TemporaryDirectory(prefix="altflow-trades-") as folder:
        path = Path(folder) / "file"
        try:
            with fsspec.open(task.place, "rb") as source, open(path, "wb") as copy:
                shutil.copyfileobj(cast(BinaryIO, source), copy, 1 << 20)
        except FileNotFoundError:
            raise SourceError(f"{task.name}: no file at {task.place}", status=404) from None
        except OSError as error:
            raise SourceError(f"{task.name}: {task.place} cannot be read ({str(error)[:200]})") from None
        yield path


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
