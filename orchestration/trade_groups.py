"""Rows of a block by symbol and day."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import polars as pl

DAY_US = 86_400_000_000
HOUR_US = 3_600_000_000
_ROWS_OF_A_RUN = 32
"""on average; where runs of one symbol and day are shorter, sorting costs less than looking at each"""

Key = tuple[str, int]
"""symbol, days since 1970"""


@dataclass(frozen=True)
class Groups:
    """`starts[i]`: where the rows of `keys[i]` begin in `order` (None: the order in which they stand). Within a group
    rows keep their order; a key may come more than once."""

    keys: list[Key]
    starts: np.ndarray
    order: np.ndarray | None
    row_count: int

    def sorted(self, column: np.ndarray) -> np.ndarray:
        return column if self.order is None else column[self.order]

    @cached_property
    def counts(self) -> np.ndarray:
        return np.diff(self.starts, append=self.row_count)

    @cached_property
    def numbers(self) -> np.ndarray:
        """The group of each sorted row."""
        if len(self.starts) == 1:
            return np.zeros(self.row_count, np.int32)
        return np.repeat(np.arange(len(self.starts), dtype=np.int32), self.counts)

    def rows(self):
        """(key, its rows) of each group."""
        ends = [*self.starts[1:].tolist(), self.row_count]
        for key, start, end in zip(self.keys, self.starts.tolist(), ends, strict=True):
            yield key, slice(start, end) if self.order is None else self.order[start:end]


def grouped(frame: "pl.DataFrame", symbol: str, clock_us: int = 0) -> Groups:
    """Groups of at least one row. `symbol`: of all rows where the frame has no column `symbol`; `clock_us`: how far
    the clock that cuts days is ahead of UTC."""
    time, count = frame["time_us"].to_numpy(), len(frame)
    first, last = (int(end() + clock_us) // DAY_US for end in (time.min, time.max))
    names = frame["symbol"] if "symbol" in frame.columns else None
    if names is None and first == last:
        return Groups([(symbol, first)], np.zeros(1, np.int64), None, count)
    days = (time + clock_us) // DAY_US
    is_new = np.ones(count, bool)
    is_new[1:] = days[1:] != days[:-1]
    if names is not None:
        is_new[1:] |= (names.slice(1) != names.slice(0, count - 1)).to_numpy()
    starts = np.flatnonzero(is_new)
    if len(starts) * _ROWS_OF_A_RUN > count + _ROWS_OF_A_RUN * _ROWS_OF_A_RUN:
        return _sorted(names, symbol, days)
    named = [symbol] * len(starts) if names is None else names.gather(starts).to_list()
    return Groups(list(zip(named, days[starts].tolist(), strict=True)), starts, None, count)


def _sorted(names: "pl.Series | None", symbol: str, days: np.ndarray) -> Groups:
    import polars as pl

    by = {"day": pl.Series(days)} if names is None else {"symbol": names, "day": pl.Series(days)}
    found = pl.DataFrame(by).with_row_index("row").group_by(*by, maintain_order=True).agg("row")
    counts = found["row"].list.len().to_numpy().astype(np.int64)
    named = [symbol] * len(found) if names is None else found["symbol"].to_list()
    keys = list(zip(named, found["day"].to_list(), strict=True))
    return Groups(keys, np.cumsum(counts) - counts, found["row"].explode().to_numpy().astype(np.int64), len(days))
