"""Lists of JSON objects about one symbol, as columns: `[{"symbol": "BTCUSDT", "timestamp": 1, …}, …]`, many bodies at
once. A body's context says `symbol` and the days asked for (`start`, `end`, excluded)."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from orchestration.records import Record
from orchestration.sources.body import Body, Parsed, Refused, SourceError
from orchestration.sources.daily_bars import ms


def objects(body: Body, fields: Mapping[str, pa.DataType], optional: str = "") -> pa.Table:
    """The fields of every object, texts and whole numbers as received, without objects that repeat another to the
    letter; `optional`: the one field that may be missing. Raises SourceError where the body holds something else."""
    rows = body.data
    if not isinstance(rows, list):
        raise SourceError(f"{body.url}: {str(rows)[:200]} instead of a list", content=body.content)
    try:
        found = [tuple(row.get(name) if name == optional else row[name] for name in fields) for row in rows]
        cells = list(zip(*dict.fromkeys(found), strict=True)) if found else [()] * len(fields)
        for name, cell in zip(fields, cells, strict=True):
            wanted = {int if pa.types.is_integer(fields[name]) else str, *([type(None)] if name == optional else [])}
            other = set(map(type, cell)) - wanted
            if other:
                raise TypeError(f"{name} is {other.pop().__name__}")
        return pa.table([pa.array(cell, fields[name]) for name, cell in zip(fields, cells, strict=True)], list(fields))
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError, pa.ArrowException) as error:
        raise SourceError(f"{body.url}: not what was asked for ({str(error)[:120]!r})", content=body.content) from None


class Rows:
    """The objects of many bodies, and what is wrong with which: those are refused with their reason, by `parsed`."""

    def __init__(self, record: Record, bodies: Sequence[Body], read: Callable[[Body], pa.Table], time: str):
        """`time`: the field, in milliseconds, that places a row."""
        pages = [body.once(read) for body in bodies]
        self._record, self._bodies = record, bodies
        self._of = np.repeat(np.arange(len(bodies)), [page.num_rows for page in pages])
        self.table = pa.concat_tables(pages).combine_chunks()
        self.times = self.table[time].to_numpy()
        self._reasons: dict[int, str] = {}
        self._misplaced: set[int] = set()
        asked = np.array([body.context["symbol"] for body in bodies], object)[self._of]
        for at in np.flatnonzero(self.table["symbol"].to_numpy(zero_copy_only=False) != asked):
            self._reasons[int(at)] = f"is of {self.table['symbol'][int(at)].as_py()[:50]!r}, which was not asked for"

    def column(self, name: str) -> pa.Array:
        cells = self.table[name]
        return cells.chunk(0) if cells.num_chunks else pa.array([], cells.type)

    def doubt(self, name: str, values: pa.Array, bad: Mapping[int, str], may_lack: bool = False) -> None:
        """Rows whose `name` is unusable, or is missing."""
        for at in [] if may_lack else pc.indices_nonzero(pc.is_null(values)).to_pylist():
            self._reasons[at] = f"{name} is missing"
        self._reasons |= {at: f"{name} {why}" for at, why in bad.items()}

    def misplace(self, rows: Iterable[int], why: str) -> None:
        """Rows that belong to no day that was asked for."""
        for at in map(int, rows):
            self._misplaced.add(at)
            self._reasons[at] = f"{self.times[at]} ms {why}"

    def outside(self, times: np.ndarray) -> np.ndarray:
        """Rows whose milliseconds lie outside of the days that their body was asked for."""
        first, end = (
            np.array([ms(date.fromisoformat(body.context[bound])) for body in self._bodies])[self._of]
            for bound in ("start", "end")
        )
        return np.flatnonzero((times < first) | (times >= end))

    @property
    def placed(self) -> np.ndarray:
        """The times, and 0 in the place of those that were misplaced: they may fit no calendar."""
        times = self.times.copy()
        times[list(self._misplaced)] = 0
        return times

    def parsed(self, columns: Mapping[str, pa.Array], days: pa.Array, rounded_count: int) -> Parsed:
        """Rows of the record: `columns`, exchange, symbol, `days` as utc_date and the body of each row."""
        count = self.table.num_rows
        refused = []
        for at, why in sorted(self._reasons.items()):
            body = self._bodies[self._of[at]]
            key = f"{body.upstream} {body.context['symbol']} {self.times[at]}"
            row = json.dumps(self.table.slice(at, 1).to_pylist()[0])
            day = None if at in self._misplaced else days[at].as_py()
            refused.append(Refused(self._record.table, key, why, row, body.sha256, day))
        sums = pa.array([body.sha256 for body in self._bodies]).take(pa.array(self._of))
        found = {
            "exchange": pa.array([self._bodies[0].upstream] * count, pa.string()),
            "symbol": self.column("symbol"),
            "utc_date": days,
            **columns,
            "body_sha256": sums,
        }
        table = pa.table({name: found[name] for name in self._record.schema.names})
        keep = np.ones(count, bool)
        keep[list(self._reasons)] = False
        return Parsed(
            {self._record.table: table.filter(pa.array(keep)).cast(self._record.schema)}, rounded_count, refused
        )


def day_of(milliseconds: np.ndarray) -> pa.Array:
    """The UTC day of each."""
    return pa.array(milliseconds).cast(pa.timestamp("ms")).cast(pa.date32())


def moment_of(milliseconds: np.ndarray) -> pa.Array:
    """UTC moments."""
    return pa.array(milliseconds).cast(pa.timestamp("ms")).cast(pa.timestamp("us"))
