"""From answers to committed rows: parse, check, replace.

Answers are parsed and sent to be checked as they come, some at a time, and committed many at a time:
the checks run in another process while the next answers are fetched, and a transaction costs little
more for many rows than for a few.
"""

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, fields
from datetime import date, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from orchestration import plan
from orchestration.archive import Entry
from orchestration.expectations.report import Report, joined
from orchestration.expectations.validator import Validator
from orchestration.records import LOOKS, RECORDS, Record
from orchestration.sources import registry
from orchestration.sources.body import Body, Parsed, Refused, SourceError, Window
from orchestration.warehouse import Arrived, Delivery, Gap, Shrunk, Warehouse

OF_DAYS = ("spot_flows", "archive_flows", *(t for e in registry.DERIVATIVES.values() for t in e.tables[1:]))
"""Tables whose answers are asked for again by the day where rows were refused."""


@dataclass
class Fetched:
    """What one request (or one chain of pages) brought for one scope, or why it brought nothing."""

    upstream: str
    dataset: str
    scope: str
    window: Window
    bodies: list[Body] = field(default_factory=list)
    parsed: list[Parsed] = field(default_factory=list)
    """empty for flows, whose bodies are parsed many at once"""
    error: SourceError | None = None


@dataclass
class Loaded:
    """What one dataset's load did, in rows; what is missing; what the checks said."""

    dataset: str
    received: int = 0
    inserted: int = 0
    changed: int = 0
    deleted: int = 0
    quarantined: int = 0
    rounded: int = 0
    bodies: int = 0
    gaps: list[Gap] = field(default_factory=list)
    absences: list[Gap] = field(default_factory=list)
    """what an upstream says that it does not have, or not yet"""
    reports: list[Report] = field(default_factory=list)


def added(dataset: str, loads: Sequence[Loaded]) -> Loaded:
    """What several loads did together."""
    total = Loaded(dataset)
    for loaded in loads:
        for part in fields(Loaded):
            if part.name != "dataset":
                setattr(total, part.name, getattr(total, part.name) + getattr(loaded, part.name))
    return total


@dataclass
class Part:
    """Answers of one upstream that were parsed and are checked together: `rows` and `reports` by table."""

    items: list[Fetched]
    rows: dict[str, pa.Table] = field(default_factory=dict)
    reports: dict[str, Future[Report]] = field(default_factory=dict)
    refused: list[Refused] = field(default_factory=list)
    rounded_count: int = 0

    @property
    def row_count(self) -> int:
        return sum(rows.num_rows for rows in self.rows.values())


class Loader:
    """Reads, checks and commits answers, for one warehouse. Only its own thread may call it."""

    def __init__(self, warehouse: Warehouse, validator: Validator):
        self._warehouse = warehouse
        self._validator = validator
        self._asking = ThreadPoolExecutor(1, thread_name_prefix="checks")
        self._symbols: dict[str, set[str]] = {}

    def close(self) -> None:
        self._asking.shutdown(wait=False, cancel_futures=True)

    def read(self, items: list[Fetched]) -> Part:
        """Parses answers of one upstream and begins to check their rows. An answer that cannot be understood
        gets its error and no rows."""
        part = Part(items)
        parsed = _parse(items)
        answered = [item for item in items if item.error is None]
        if not answered:
            return part
        part.refused = [row for each in parsed for row in each.refused]
        part.rounded_count = sum(each.rounded_count for each in parsed)
        for table in parsed[0].tables:
            record = RECORDS[table]
            rows = pa.concat_tables([each.tables[table] for each in parsed])
            part.rows[table] = _until_now(record, rows, max(item.window.end for item in answered))
            part.reports[table] = self._check(record, part.rows[table], answered)
        if items[0].dataset == "spot_flows":
            unlisted = self._unlisted(items[0].upstream, part.rows["spot_flows"])
            if unlisted.num_rows:
                part.rows["spot_symbols"] = unlisted
                part.reports["spot_symbols"] = self._check(RECORDS["spot_symbols"], unlisted, answered)
        return part

    def _unlisted(self, exchange: str, flows: pa.Table) -> pa.Table:
        """Rows of SPOT_SYMBOLS for symbols of `flows` that no listing and no earlier flow named: archives hold many
        that exchanges no longer list. Nothing where the exchange's spelling does not tell base from quote."""
        schema = RECORDS["spot_symbols"].schema
        pair_of = registry.EXCHANGES[exchange].pair_of
        if pair_of is None or not flows.num_rows:
            return schema.empty_table()
        if exchange not in self._symbols:
            stored = self._warehouse.read("SELECT symbol FROM raw.spot_symbols WHERE exchange = ?", [exchange])
            self._symbols[exchange] = set(stored["symbol"].to_pylist())
        named = pc.unique(flows["symbol"]).to_pylist()
        fresh = [name for name in named if name not in self._symbols[exchange]]
        self._symbols[exchange].update(fresh)
        rows = []
        for name in fresh:
            pair = pair_of(name)
            if pair:
                cited = flows["body_sha256"][pc.index(flows["symbol"], name).as_py()].as_py()
                rows.append([exchange, name, *pair, "archived", False, False, cited])
        columns = zip(*rows, strict=True) if rows else [()] * len(schema)
        return pa.table([pa.array(c, f.type) for c, f in zip(columns, schema, strict=True)], schema=schema)

    def _check(self, record: Record, rows: pa.Table, items: list[Fetched]) -> Future[Report]:
        suite = f"raw_{record.table}"
        if not self._warehouse.holds(record, rows):
            return self._asking.submit(self._validator.check, suite, rows, window=_span(record, items))
        known: Future[Report] = Future()
        known.set_result(Report(suite, True, rows.num_rows, [], 0.0))
        return known

    def commit(self, parts: Sequence[Part], entries: list[Entry], run_id: str, loaded: Loaded) -> None:
        """Commits what one upstream answered for one dataset; `entries`: its archived bodies. Rows of flows that
        do not tell their day leave a gap: nobody knows which days lack.

        Raises Shrunk where the answer as a whole is refused."""
        items = [item for part in parts for item in part.items if item.error is None]
        parts = [part for part in parts if part.rows]
        upstream, dataset = items[0].upstream, items[0].dataset
        refused = [row for part in parts for row in part.refused]
        rounded = sum(part.rounded_count for part in parts)
        deliveries: list[Delivery] = []
        for position, table in enumerate(dict.fromkeys(name for part in parts for name in part.rows)):
            record = RECORDS[table]
            rows = pa.concat_tables([part.rows[table] for part in parts if table in part.rows])
            report = joined([part.reports[table].result() for part in parts if table in part.rows])
            loaded.reports.append(report)
            if report.refuses_window:
                raise Shrunk(f"{upstream} {dataset}: not loaded; {report.message}")
            arrived = [_arrived(record, item, rows) for item in items]
            rows, failed = _split(record, rows, report)
            failed += [row for row in refused if row.table == table]
            deliveries.append(
                Delivery(
                    record,
                    rows,
                    arrived,
                    upstream,
                    dataset,
                    entries if position == 0 else [],
                    failed,
                    # The first table tells what need not be asked for again; what others hold of it adds nothing.
                    _answered(record, items, self._warehouse.not_refused_before(failed)) if position == 0 else [],
                    rounded if position == 0 else 0,
                    carry_forward="is_listed" if table == dataset and "is_listed" in record.schema.names else None,
                    only_unknown=table == "spot_symbols" != dataset or table == "order_books",
                    kept=_not_understood(record, items, arrived, failed),
                )
            )
        if deliveries:
            # Together: an answer counts as answered once all of its tables hold it.
            done = self._warehouse.replace_window(deliveries[0], run_id, *deliveries[1:])
            loaded.received += done.received
            loaded.inserted += done.inserted
            loaded.changed += done.changed
            loaded.deleted += done.deleted
            loaded.quarantined += sum(len(delivery.refused) for delivery in deliveries)
        loaded.rounded += rounded
        loaded.bodies += len(entries)
        gaps = _unplaced(items, refused) if dataset in OF_DAYS else []
        loaded.gaps += gaps
        self._warehouse.note_gaps(run_id, gaps)


def _parse(items: list[Fetched]) -> list[Parsed]:
    whole = [item for item in items if item.error is None]
    parsed = [part for item in whole for part in item.parsed]
    unparsed = [item for item in whole if not item.parsed]
    if not unparsed:
        return parsed
    try:
        parsed += registry.parse([body for item in unparsed for body in item.bodies])
    except SourceError:
        for item in unparsed:
            try:
                parsed += registry.parse(item.bodies)
            except SourceError as error:
                item.error = error
    for item in unparsed:
        for body in item.bodies:
            body.forget()
    return parsed


def _until_now(record: Record, rows: pa.Table, end: date) -> pa.Table:
    """Drops what is dated after the last closed day; a look at what is now may be later."""
    if record.date is None or record.table in LOOKS:
        return rows
    return rows.filter(pc.less(rows[record.date], pa.scalar(end, pa.date32())))


def _arrived(record: Record, item: Fetched, rows: pa.Table) -> Arrived:
    """What the rows of this item replace."""
    if record.table in LOOKS:
        days = sorted(set(rows["utc_date"].to_pylist())) or [item.window.start]
        scope = (item.upstream, item.scope) if record.scope else ()
        return Arrived(scope, Window(days[0], days[-1] + timedelta(days=1)))
    if record.table == "asset_caps":
        return Arrived((item.upstream,), item.window)
    scope = {"exchange": item.upstream, "symbol": item.scope, "upstream": item.upstream}
    if record.table == "archive_flows":
        scope["symbol"], scope["file_grain"] = item.scope.split(" ")
    return Arrived(tuple(scope.get(column, item.scope) for column in record.scope), item.window)


def _unplaced(items: Sequence[Fetched], refused: Sequence[Refused]) -> list[Gap]:
    lost: dict[str, list[Refused]] = {}
    for row in refused:
        if row.day is None:
            lost.setdefault(row.body_sha256, []).append(row)
    gaps = []
    for item in items:
        rows = [row for body in item.bodies for row in lost.get(body.sha256, ())]
        if rows:
            message = f"{item.scope}: {len(rows)} rows refused, e.g. {rows[0].reason}; see raw.quarantine"
            gaps.append(Gap(item.upstream, item.dataset, item.scope, item.window, "failed", message))
    return gaps


def _answered(record: Record, items: Sequence[Fetched], refused: list[Refused]) -> list[Arrived] | None:
    """What need not be asked for again: all but the days of refused rows, or the whole answer where a row does
    not tell its day. What the upstream repeats to the letter when asked again is its answer."""
    if record.table not in OF_DAYS or not refused:
        return None
    answered = []
    for item, lacking in _refused_days(items, refused):
        if None not in lacking:
            out = [Window(day, day + timedelta(days=1)) for day in lacking if day]
            scope = (item.upstream, *item.scope.split(" "))
            answered += [Arrived(scope, window) for window in plan.missing(item.window, out)]
    return answered


def _not_understood(
    record: Record, items: Sequence[Fetched], arrived: Sequence[Arrived], refused: Sequence[Refused]
) -> list[Arrived]:
    """The days of refused rows, or the whole answer where a row does not tell its day: what is stored of them was
    understood once and is not withdrawn. `arrived`: what each item is an answer for."""
    if record.date is None:
        return []
    kept = []
    for (_, lacking), whole in zip(_refused_days(items, refused), arrived, strict=True):
        windows = [whole.window if day is None else Window(day, day + timedelta(days=1)) for day in lacking]
        kept += [Arrived(whole.scope, window) for window in windows]
    return kept


def _refused_days(items: Sequence[Fetched], refused: Sequence[Refused]) -> Iterator[tuple[Fetched, set[date | None]]]:
    """Every answer with the days of its refused rows; None among them stands for a row that does not tell its day."""
    days: dict[str, set[date | None]] = {}
    for row in refused:
        days.setdefault(row.body_sha256, set()).add(row.day)
    for item in items:
        yield item, set().union(*(days.get(body.sha256, ()) for body in item.bodies))


def _span(record: Record, items: list[Fetched]) -> tuple[date, date] | None:
    """First and last-but-excluded day that the items asked for; None where no window was asked."""
    if record.table not in OF_DAYS:
        return None
    return min(item.window.start for item in items), max(item.window.end for item in items)


def _split(record: Record, rows: pa.Table, report) -> tuple[pa.Table, list[Refused]]:
    """Rows that may be loaded, and those that a critical expectation refuses."""
    reasons = report.refused_rows
    if not reasons:
        return rows, []
    refused = []
    for index, why in reasons.items():
        row = rows.slice(index, 1).to_pylist()[0]
        body = row.pop("body_sha256")
        key = " ".join(str(row[column]) for column in record.grain)
        day = row.get(record.date) if record.date else None
        refused.append(Refused(record.table, key, why, json.dumps(row, default=str), body, day))
    keep = pa.array([index not in reasons for index in range(rows.num_rows)], pa.bool_())
    return rows.filter(keep), refused
