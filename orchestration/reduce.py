"""One trade file to daily flows per symbol: exact, in one pass, in little memory.

`reduce_file` is the same function here, in a local worker and on a Dask cluster. It reads the file once; where
trade ids overlap, a second time to find those that repeat, and a third time where there are any.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from orchestration import durable
from orchestration.settings import shown
from orchestration.sources.body import SourceError
from orchestration.sources.trades import Layout
from orchestration.trade_groups import HOUR_US, Groups, grouped
from orchestration.trade_ids import SPILL_BYTES, FirstOnly, Held, Overlaps
from orchestration.trade_sums import Summer, Sums
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
    try:
        with _local(task) as path:
            byte_count = path.stat().st_size
            sha256 = task.sha256 or durable.sha256(path)
            overlaps = Overlaps()
            summer, refused = _pass(task, path, overlaps, None)
            first_only = _first_only(task, path, overlaps, spill_bytes) if overlaps.zones else None
            if first_only:
                summer, refused = _pass(task, path, None, first_only)
    except OSError as error:
        # The file, or the disk on which ids are held.
        raise SourceError(f"{task.name}: cannot be read ({type(error).__name__}: {error})") from None
    sums = summer.sums
    count = sum(day.all.count for day in sums.values())
    return Reduced(task.name, sha256, byte_count, sums, count, first_only.dropped_count if first_only else 0, refused)


def _pass(task: Task, path: Path, overlaps: Overlaps | None, first_only: FirstOnly | None) -> tuple[Summer, Refusals]:
    refused = Refusals()
    summer = Summer(task.symbol)
    for frame in _frames(task, path, refused):
        if "id" in frame.columns and (overlaps or first_only):
            groups, ids = _by_day(task, frame), frame["id"].to_numpy()
            if overlaps:
                for key, rows in groups.rows():
                    overlaps.add(key, ids[rows])
            if first_only:
                frame = _without_repeated(frame, groups, ids, first_only)
        summer.add(frame)
    return summer, refused


def _frames(task: Task, path: Path, refused: Refusals) -> Iterator["pl.DataFrame"]:
    reader = Reader(task.layout, task.name, task.covers, refused)
    for block in blocks(path, task.name):
        frame = reader.read(block)
        if len(frame):
            yield frame


def _by_day(task: Task, frame: "pl.DataFrame") -> Groups:
    return grouped(frame, task.symbol or "", task.layout.clock_hours * HOUR_US)


def _first_only(task: Task, path: Path, overlaps: Overlaps, spill_bytes: int) -> FirstOnly | None:
    """None where no id is there twice."""
    with Held(overlaps.zones, spill_bytes) as held:
        for frame in _frames(task, path, Refusals()):
            ids = frame["id"].to_numpy()
            for key, rows in _by_day(task, frame).rows():
                held.add(key, ids[rows])
        repeated = held.repeated()
    return FirstOnly(repeated) if repeated else None


def _without_repeated(
    frame: "pl.DataFrame", groups: Groups, ids: "np.ndarray", first_only: FirstOnly
) -> "pl.DataFrame":
    import numpy as np

    keep = np.ones(len(frame), bool)
    for key, rows in groups.rows():
        kept = first_only.keep(key, ids[rows])
        if kept is not None:
            keep[rows] = kept
    return frame if keep.all() else frame.filter(keep)


@contextmanager
def _local(task: Task) -> Iterator[Path]:
    """The file on this machine's disk: itself, or a copy that is removed at the end."""
    if "://" not in task.place:
        path = Path(task.place)
        if not path.is_file():
            raise SourceError(f"{task.name}: no file at {path}", status=404)
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="altflow-trades-") as folder:
        yield _opened(task, Path(folder) / "file")


def _opened(task: Task, copy: Path) -> Path:
    """What lies at a URL, as a file on this machine."""
    try:
        import fsspec
        from fsspec.implementations.local import LocalFileSystem

        place, path = fsspec.core.url_to_fs(task.place)
        if isinstance(place, LocalFileSystem):
            if not place.isfile(path):
                raise FileNotFoundError
            return Path(path)
        place.get_file(path, str(copy))
    except FileNotFoundError:
        raise SourceError(f"{task.name}: no file at {shown(task.place)}", status=404) from None
    except Exception as error:
        # Each kind of storage has errors of its own; a missing library (s3fs, aiohttp) is named in its message.
        why = f"{type(error).__name__}: {str(error).replace(task.place, shown(task.place))[:200]}"
        raise SourceError(f"{task.name}: {shown(task.place)} cannot be read ({why})") from None
    return copy
