"""Which trades of a file are there twice, without holding the ids of those that stand in order.

An id counts within its symbol and UTC day: some upstreams begin at 1 every day, and a month's file holds them all.

A block of ids that lies apart from all before it needs no memory but its bounds. Where it overlaps them, only
the overlap is looked at again: the ids in it are held, on disk above SPILL_BYTES, and sorted.
"""

import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

SPILL_BYTES = 256 * 2**20
Key = tuple[str, int]
"""symbol, UTC day since 1970"""


@dataclass
class _Seen:
    low: int
    high: int


@dataclass
class Overlaps:
    """First pass: where the ids of a symbol and day may repeat, as closed intervals."""

    zones: dict[Key, list[tuple[int, int]]] = field(default_factory=dict)
    _seen: dict[Key, _Seen] = field(default_factory=dict)

    def add(self, key: Key, ids: np.ndarray) -> None:
        """Ids of one block, as they come."""
        if not len(ids):
            return
        rising = ids[1:] > ids[:-1]
        if not (rising.all() or (ids[1:] < ids[:-1]).all()):
            ids = np.sort(ids)
            twice = ids[1:][ids[1:] == ids[:-1]]
            if len(twice):
                self._note(key, int(twice[0]), int(twice[-1]))
        low, high = int(min(ids[0], ids[-1])), int(max(ids[0], ids[-1]))
        seen = self._seen.setdefault(key, _Seen(low, low - 1))
        if low <= seen.high and high >= seen.low:
            self._note(key, max(low, seen.low), min(high, seen.high))
        seen.low, seen.high = min(seen.low, low), max(seen.high, high)

    def _note(self, key: Key, low: int, high: int) -> None:
        self.zones.setdefault(key, []).append((low, high))


class Held:
    """Second pass: the ids inside of the zones, and which of them occur twice."""

    def __init__(self, zones: dict[Key, list[tuple[int, int]]], spill_bytes: int = SPILL_BYTES):
        self._bounds = {key: _merged(intervals) for key, intervals in zones.items()}
        self._parts: dict[Key, list[np.ndarray]] = {key: [] for key in zones}
        self._spill_bytes = spill_bytes
        self._bytes = 0
        self._folder: tempfile.TemporaryDirectory | None = None
        self._spilled: dict[Key, int] = {}

    def add(self, key: Key, ids: np.ndarray) -> None:
        bounds = self._bounds.get(key)
        if bounds is None or not len(ids):
            return
        lows, highs = bounds
        at = np.searchsorted(lows, ids, "right") - 1
        inside = ids[(at >= 0) & (ids <= highs[np.maximum(at, 0)])]
        if len(inside):
            self._parts[key].append(inside)
            self._bytes += inside.nbytes
            if self._bytes > self._spill_bytes:
                self._spill()

    def repeated(self) -> dict[Key, np.ndarray]:
        """Ascending: the ids that occur more than once."""
        found = {}
        for number, key in enumerate(self._parts):
            if key in self._spilled:
                self._spill()
                ids = np.memmap(self._file(number), np.int64, "r+")
                ids.sort()
            else:
                ids = np.sort(np.concatenate([*self._parts[key], np.zeros(0, np.int64)]))
            twice = np.unique(ids[1:][ids[1:] == ids[:-1]])
            if len(twice):
                found[key] = np.array(twice)
        if self._folder:
            self._folder.cleanup()
        return found

    def _spill(self) -> None:
        for number, (key, parts) in enumerate(self._parts.items()):
            if parts:
                with open(self._file(number), "ab") as file:
                    for part in parts:
                        part.tofile(file)
                self._spilled[key] = number
                parts.clear()
        self._bytes = 0

    def _file(self, number: int) -> Path:
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="altflow-ids-")
        return Path(self._folder.name) / str(number)


class FirstOnly:
    """Third pass, where ids repeat: which rows of a block to keep, each id once."""

    def __init__(self, repeated: dict[Key, np.ndarray]):
        self._ids = repeated
        self._met = {key: np.zeros(len(ids), bool) for key, ids in repeated.items()}
        self.dropped_count = 0

    def keep(self, key: Key, ids: np.ndarray) -> np.ndarray | None:
        """None: all of them."""
        repeated = self._ids.get(key)
        if repeated is None or not len(ids):
            return None
        at = np.minimum(np.searchsorted(repeated, ids), len(repeated) - 1)
        rows = np.flatnonzero(repeated[at] == ids)
        if not len(rows):
            return None
        _, first = np.unique(at[rows], return_index=True)
        again = np.ones(len(rows), bool)
        again[first] = self._met[key][at[rows[first]]]
        self._met[key][at[rows]] = True
        kept = np.ones(len(ids), bool)
        kept[rows[again]] = False
        self.dropped_count += int(again.sum())
        return kept


def _merged(intervals: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    merged: list[list[int]] = []
    for low, high in sorted(intervals):
        if merged and low <= merged[-1][1]:
            merged[-1][1] = max(merged[-1][1], high)
        else:
            merged.append([low, high])
    bounds = np.array(merged, np.int64)
    return bounds[:, 0], bounds[:, 1]
