"""Daily bars that an exchange sums itself, as columns: what came becomes rows of records.SPOT_FLOWS.

A source names the columns of its rows, in the order received. All have `opened` and `closed` (milliseconds),
PRICES and AMOUNTS (text), and `trade_count`; what else they have is only quoted where a row is refused.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from orchestration.records import SPOT_FLOWS, Record
from orchestration.sources.body import Body, Parsed, Refused, SourceError
from orchestration.sources.exact import amounts, prices
from orchestration.sources.json_rows import columns

DAY_MS = 86_400_000
PRICES = ("open_price", "high_price", "low_price", "close_price")
MOST_ROWS = 10_000
"""of one page; none has more than 1,500"""
AMOUNTS = ("volume_base", "volume_quote", "taker_buy_base", "taker_buy_quote")


@dataclass(frozen=True)
class Page:
    """The bars of one body. `kind`: their source_kind; `doubts`: index of a row → why it cannot be used, for pages
    without repeated rows."""

    rows: pa.Table
    kind: str = "klines"
    doubts: Mapping[int, str] = field(default_factory=dict)


def read_json(body: Body, fields: Mapping[str, pa.DataType]) -> pa.Table:
    """The bars of one body, a list of lists, as received. Raises SourceError where they are none, or too many."""
    page = columns(body.content, fields)
    page = _slowly(body, fields) if page is None else page
    if page.num_rows > MOST_ROWS:
        raise SourceError(f"{body.url}: {page.num_rows} klines, which is no page", content=body.content)
    return page


def _slowly(body: Body, fields: Mapping[str, pa.DataType]) -> pa.Table:
    rows = _rows(body, fields)
    cells = list(zip(*rows, strict=True)) if rows else [()] * len(fields)
    try:
        arrays = [pa.array(cell, kind) for cell, kind in zip(cells, fields.values(), strict=True)]
    except (TypeError, ValueError, OverflowError, pa.ArrowException) as error:
        raise SourceError(f"{body.url}: a kline has a field of another type ({str(error)[:120]})") from None
    return pa.table(arrays, names=list(fields))


def unrepeated(rows: pa.Table) -> pa.Table:
    """The bars without those that repeat another to the letter."""
    opened = rows["opened"].to_numpy()
    if (opened[1:] > opened[:-1]).all():
        return rows
    seen = dict.fromkeys(tuple(row.values()) for row in rows.to_pylist())
    cells = [pa.array(cell, kind) for cell, kind in zip(zip(*seen, strict=True), rows.schema.types, strict=True)]
    return pa.table(cells, rows.schema)


def flows(bodies: Sequence[Body], pages: Sequence[Page], record: Record = SPOT_FLOWS) -> Parsed:
    """Rows of `record`, which has the columns of SPOT_FLOWS, from the pages of as many bodies of one upstream. A body's
    context says `symbol`, the days asked for (`start`, `end`, excluded) and the exchange's clock (`now`).

    Bars that were still open at that clock are left out, and so is a row that repeats another of its page to the
    letter; rows that no column can hold, doubtful ones and bars outside of the days asked for are refused with a
    reason."""
    tables = [unrepeated(page.rows) for page in pages]
    rows = pa.concat_tables(tables).combine_chunks()
    if not rows.num_rows:
        return Parsed({record.table: record.schema.empty_table()})
    cells = {name: rows[name].chunk(0) for name in rows.column_names}
    opened = cells["opened"]
    exact = {name: amounts(cells[name]) for name in AMOUNTS}
    rates = {name: prices(cells[name]) for name in PRICES}
    counts = [table.num_rows for table in tables]
    first, end, now = (pa.array(np.repeat([bound(body) for body in bodies], counts)) for bound in _BOUNDS)
    table = pa.table(
        {
            "exchange": pa.array([bodies[0].upstream] * len(opened)),
            "symbol": _repeated([body.context["symbol"] for body in bodies], counts),
            "utc_date": pc.cast(pc.divide(opened, DAY_MS), pa.int32(), safe=False).cast(pa.date32()),
            **{name: rate.values for name, rate in rates.items()},
            **{f"{name}_text": cells[name] for name in PRICES},
            **{name: amount.values for name, amount in exact.items()},
            "trade_count": cells["trade_count"],
            "source_kind": _repeated([page.kind for page in pages], counts),
            "body_sha256": _repeated([body.sha256 for body in bodies], counts),
        }
    ).select(record.schema.names)
    reasons: dict[int, str] = {}
    for index in pc.indices_nonzero(pc.is_null(exact["volume_quote"].values)).to_pylist():
        reasons[index] = "volume_quote is missing"
    for name, read in (exact | rates).items():
        for index, why in read.bad.items():
            reasons[index] = f"{name} {why}"
    unplaced: dict[int, str] = {}
    days = pc.multiply(pc.divide(opened, DAY_MS), DAY_MS)
    for index in pc.indices_nonzero(pc.not_equal(opened, days)).to_pylist():
        unplaced[index] = f"opens at {opened[index]} ms, which is not 00:00 UTC of a day in milliseconds"
    # Microseconds at 00:00 UTC are whole days of milliseconds too: only the window tells them apart.
    for index in pc.indices_nonzero(pc.or_(pc.less(opened, first), pc.greater_equal(opened, end))).to_pylist():
        unplaced.setdefault(index, f"opens at {opened[index]} ms, outside of the days that were asked for")
    starts = np.cumsum([0, *counts])
    doubts: dict[int, str] = {}
    for start, page in zip(starts[:-1].tolist(), pages, strict=True):
        doubts |= {start + at: why for at, why in page.doubts.items()}
    refused = []
    for index, why in sorted((doubts | unplaced | reasons).items()):
        body = bodies[int(np.searchsorted(starts, index, "right")) - 1]
        moment = opened[index].as_py()
        row = json.dumps(list(rows.slice(index, 1).to_pylist()[0].values()))
        key = f"{body.upstream} {body.context['symbol']} {moment}"
        day = None if index in unplaced else utc(moment).date()
        refused.append(Refused(record.table, key, why, row, body.sha256, day))
    keep = pc.less(cells["closed"], now)
    if refused:
        out = doubts.keys() | reasons.keys() | unplaced.keys()
        keep = pc.and_(keep, pa.array([index not in out for index in range(rows.num_rows)]))
    table = table.filter(keep).cast(record.schema)
    return Parsed({record.table: table}, sum(amount.rounded_count for amount in exact.values()), refused)


def ms(day: date) -> int:
    """00:00 UTC of `day` in milliseconds."""
    return (day - date(1970, 1, 1)).days * DAY_MS


def utc(milliseconds: int) -> datetime:
    """Naive UTC."""
    return datetime(1970, 1, 1) + timedelta(milliseconds=milliseconds)


# First and end (excluded) of the window asked for and the exchange's clock, in milliseconds.
_BOUNDS = (
    lambda body: ms(date.fromisoformat(body.context["start"])),
    lambda body: ms(date.fromisoformat(body.context["end"])),
    lambda body: int(datetime.fromisoformat(body.context["now"]).replace(tzinfo=UTC).timestamp() * 1000),
)


def _repeated(texts: list[str], counts: list[int]) -> pa.Array:
    return pa.array(texts).take(pa.array(np.repeat(np.arange(len(texts)), counts)))


def _rows(body: Body, fields: Mapping[str, pa.DataType]) -> list[list]:
    rows = body.data
    if not isinstance(rows, list):
        raise SourceError(f"{body.url}: {str(rows)[:200]} instead of klines", content=body.content)
    whole = [at for at, kind in enumerate(fields.values()) if pa.types.is_integer(kind)]
    for row in rows:
        if type(row) is not list or len(row) != len(fields) or any(type(row[at]) is not int for at in whole):
            raise SourceError(
                f"{body.url}: {str(row)[:120]} is not a kline of {len(fields)} fields", content=body.content
            )
    return rows
