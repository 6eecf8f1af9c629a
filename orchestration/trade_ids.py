"""Which trades of a file are there twice, without holding the ids of those that stand in order.

An id counts within its symbol and day: some upstreams begin at 1 every day, and a month's file holds them all.

A block of ids that lies apart from all before it needs no memory but its bounds. Where it overlaps them, only
the overlap is looked at again: the ids in it are held, on disk above SPILL_BYTES, and compared.
"""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import numpy as np

from orchestration.trade_groups import Key

SPILL_BYTES = 96 * 2**20
SPILL_FILES = 64
_HELD = np.dtype([("key", np.int32), ("id", np.int64)])


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
    """Second pass: the ids inside of the zones, and which of them occur twice.

    What is more than `spill_bytes` goes to disk, by the last digits of the id: those that are equal are in one file,
    and one file at a time is read back. A context: its files are removed at the end."""

    def __init__(self, zones: dict[Key, list[tuple[int, int]]], spill_bytes: int = SPILL_BYTES):
        self._bounds = {key: (number, *_merged(zones[key])) for number, key in enumerate(zones)}
        self._parts: list[np.ndarray] = []
        self._bytes = 0
        self._spill_bytes = spill_bytes
        self._folder: tempfile.TemporaryDirectory | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self._folder:
            self._folder.cleanup()

    def add(self, key: Key, ids: np.ndarray) -> None:
        if key not in self._bounds or not len(ids):
            return
        number, lows, highs = self._bounds[key]
        at = np.searchsorted(lows, ids, "right") - 1
        inside = ids[(at >= 0) & (ids <= highs[np.maximum(at, 0)])]
        part = np.empty(len(inside), _HELD)
        part["key"], part["id"] = number, inside
        self._parts.append(part)
        self._bytes += part.nbytes
        if self._bytes > self._spill_bytes:
            self._spill()

    def repeated(self) -> dict[Key, np.ndarray]:
        """Ascending: the ids that occur more than once."""
        keys = list(self._bounds)
        found: dict[Key, list[np.ndarray]] = {}
        for held in self._held():
            held = held[np.lexsort((held["id"], held["key"]))]
            is_again = np.zeros(len(held) + 1, bool)
            is_again[1:-1] = held[1:] == held[:-1]
            twice = held[1:][is_again[1:-1] & ~is_again[:-2]] if len(held) else held
            for number in np.unique(twice["key"]).tolist():
                found.setdefault(keys[number], []).append(twice["id"][twice["key"] == number])
        return {key: np.sort(np.concatenate(parts)) for key, parts in found.items()}

    def _held(self) -> Iterator[np.ndarray]:
        """Everything in parts, what is equal in one of them."""
        if self._folder is None:
            yield np.concatenate([*self._parts, np.empty(0, _HELD)])
            return
        self._spill()
        for number in range(SPILL_FILES):
            if (path := self._file(number)).exists():
                yield np.fromfile(path, _HELD)

    def _spill(self) -> None:
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="altflow-ids-")
        held = np.concatenate([*self._parts, np.empty(0, _HELD)])
        self._parts, self._bytes = [], 0
        files = (held["id"] % SPILL_FILES).astype(np.uint8)
        held = held[np.argsort(files, kind="stable")]
        ends = np.cumsum(np.bincount(files, minlength=SPILL_FILES))
        for number, part in enumerate(np.split(held, ends[:-1])):
            if len(part):
                with open(self._file(number), "ab") as file:
                    part.tofile(file)

    def _file(self, number: int) -> Path:
        assert self._folder is not None
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
