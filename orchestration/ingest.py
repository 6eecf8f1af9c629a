"""From a plan to committed rows: fetch, archive, parse, check, replace.

Every upstream is asked by its own thread, all at the same time, each within its host's budget. Bodies
and parsed rows wait in a queue per dataset until the loader, one at a time, archives, checks and
commits them. What does not arrive becomes a gap with a reason; the others go on.
"""

import json
import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from orchestration import plan
from orchestration.archive import Archive, Asked, Entry
from orchestration.expectations.report import Report
from orchestration.expectations.validator import Validator
from orchestration.records import RECORDS, Record
from orchestration.settings import Settings
from orchestration.sources.body import Body, Parsed, Refused, SourceError, Window
from orchestration.sources.http import Http
from orchestration.sources.registry import DATASETS, EXCHANGES, Dataset
from orchestration.warehouse import FOREVER, Arrived, Delivery, Gap, Shrunk, Warehouse

BATCH_ROWS = 250_000
Progress = Callable[[str, int, int], None]
"""called with upstream, answers so far, answers expected"""


@dataclass
class Fetched:
    """What one request (or one chain of pages) brought for one scope, or why it brought nothing."""

    upstream: str
    dataset: str
    scope: str
    window: Window
    bodies: list[Body] = field(default_factory=list)
    parsed: list[Parsed] = field(default_factory=list)
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
    reports: list = field(default_factory=list)


class Ingest:
    """The fetching and loading of one run."""

    def __init__(
        self,
        settings: Settings,
        run_id: str,
        window: Window,
        http: Http,
        archive: Archive,
        warehouse: Warehouse,
        validator: Validator,
        catalog: dict | None,
        progress: Progress | None = None,
    ):
        self.settings = settings
        self.run_id = run_id
        self.window = window
        self._http = http
        self._archive = archive
        self._warehouse = warehouse
        self._validator = validator
        self._catalog = catalog
        self._progress = progress or (lambda upstream, done, total: None)
        self._queues: dict[str, queue.Queue[Fetched | BaseException | None]] = {}
        self._drivers: dict[str, int] = {}
        self._stop = threading.Event()
        self._batch_count = 0

    def start(self, datasets: set[str]) -> None:
        """Begins to ask every upstream that fills one of `datasets` (names of raw tables)."""
        drivers: list[Callable[[], None]] = []
        for name in ("spot_symbols", "spot_flows", *dict.fromkeys(d.name for d in DATASETS)):
            if name in datasets:
                self._queues[name] = queue.Queue(maxsize=2000)
                self._drivers[name] = 0
        exchanges = self.settings.exchanges or tuple(EXCHANGES)
        if {"spot_symbols", "spot_flows"} & datasets:
            for exchange in exchanges:
                drivers.append(self._exchange_driver(exchange))
        by_upstream: dict[str, list[Dataset]] = {}
        for dataset in DATASETS:
            if dataset.name in datasets and (self.settings.allow_noncommercial or not dataset.noncommercial):
                by_upstream.setdefault(dataset.upstream, []).append(dataset)
        for upstream, wanted in by_upstream.items():
            drivers.append(self._service_driver(upstream, wanted))
        for driver in drivers:
            threading.Thread(target=driver, daemon=True).start()

    def stop(self) -> None:
        """Asks the threads to end after their current request."""
        self._stop.set()

    def load(self, dataset: str) -> Loaded:
        """Waits for everything that `dataset` was asked for, and commits it batch by batch."""
        loaded = Loaded(dataset)
        for batch in self._batches(dataset):
            for part in _by_upstream(batch):
                self._commit(part, loaded)
        return loaded

    def _batches(self, dataset: str) -> Iterator[list[Fetched]]:
        if dataset not in self._queues:
            return
        batch: list[Fetched] = []
        rows = 0
        while self._drivers[dataset]:
            item = self._queues[dataset].get()
            if item is None:
                self._drivers[dataset] -= 1
                continue
            if isinstance(item, BaseException):
                raise item
            batch.append(item)
            rows += sum(t.num_rows for p in item.parsed for t in p.tables.values())
            if rows >= BATCH_ROWS:
                yield batch
                batch, rows = [], 0
        if batch:
            yield batch

    def _commit(self, batch: list[Fetched], loaded: Loaded) -> None:
        whole = [item for item in batch if item.error is None]
        self._note_gaps(loaded, [(item, i.reason, str(i)) for item in batch if (i := item.error) is not None])
        if not whole:
            return
        self._batch_count += 1
        entries = [
            self._archive.append(body, Asked(i.scope, i.window, page, len(i.bodies), self._batch_count), self.run_id)
            for i in whole
            for page, body in enumerate(i.bodies)
        ]
        self._archive.sync()
        try:
            commit(self._warehouse, self._validator, self.run_id, whole, entries, loaded)
        except Shrunk as error:
            self._note_gaps(loaded, [(item, "failed", str(error)) for item in whole])

    def _note_gaps(self, loaded: Loaded, missing: list[tuple[Fetched, str, str]]) -> None:
        gaps = [Gap(i.upstream, i.dataset, i.scope, i.window, reason, message) for i, reason, message in missing]
        loaded.gaps += gaps
        self._warehouse.note_gaps(self.run_id, gaps)

    # Threads. They touch neither the warehouse nor the archive.

    def _exchange_driver(self, name: str) -> Callable[[], None]:
        exchange = EXCHANGES[name]
        answered = self._warehouse.asked(name, "spot_flows")
        stored = self._warehouse.read(
            "SELECT s.symbol, any_value(s.is_trading) AS is_trading, max(f.utc_date) AS last_bar "
            "FROM raw.spot_symbols s LEFT JOIN raw.spot_flows f USING (exchange, symbol) "
            "WHERE s.exchange = ? GROUP BY s.symbol ORDER BY 1",
            [name],
        ).to_pylist()
        wanted = [n for n in ("spot_symbols", "spot_flows") if n in self._queues]
        for dataset in wanted:
            self._drivers[dataset] += 1

        def drive() -> None:
            listing = self._one(name, "spot_symbols", "", FOREVER, exchange.fetch_symbols, exchange.parse_symbols)
            if "spot_symbols" in wanted:
                self._queues["spot_symbols"].put(listing)
                self._queues["spot_symbols"].put(None)
            if "spot_flows" not in wanted:
                return
            last_bar = {row["symbol"]: row["last_bar"] for row in stored}
            end = self.window.end
            if listing.error is None:
                now = exchange.server_time(listing.bodies[0])
                end = min(end, now.date())
                rows = listing.parsed[0].tables["spot_symbols"].select(["symbol", "is_trading"]).to_pylist()
                symbols = [plan.Symbol(r["symbol"], r["is_trading"], last_bar.get(r["symbol"])) for r in rows]
            else:
                now = datetime.combine(end, time())
                symbols = [plan.Symbol(**{"name": r.pop("symbol"), **r}) for r in stored]
                if not symbols:
                    self._put_error(name, "spot_flows", "every symbol", listing.error)
            window = Window(self.window.start, end)
            asks = [(s.name, w) for s in symbols for w in plan.to_ask(s, window, answered.get(s.name, []))]
            self._progress(name, 0, len(asks))
            done = 0
            with ThreadPoolExecutor(exchange.host.connections, thread_name_prefix=name) as pool:

                def ask(what: tuple[str, Window]) -> None:
                    nonlocal done
                    symbol, part = what
                    if self._stop.is_set():
                        return
                    fetched = self._one(
                        name,
                        "spot_flows",
                        symbol,
                        part,
                        lambda http: exchange.fetch_flows(http, symbol, part, now),
                        exchange.parse_flows,
                    )
                    self._queues["spot_flows"].put(fetched)
                    done += 1
                    self._progress(name, done, len(asks))

                list(pool.map(ask, asks))
            self._queues["spot_flows"].put(None)

        return self._guarded(drive, wanted)

    def _service_driver(self, upstream: str, datasets: list[Dataset]) -> Callable[[], None]:
        followed = self._warehouse.read("SELECT stablecoin_id FROM raw.stablecoins WHERE is_followed").to_pylist()
        for dataset in datasets:
            self._drivers[dataset.name] += 1

        def drive() -> None:
            ids = [row["stablecoin_id"] for row in followed]
            unlisted: SourceError | None = None
            asked = 0
            for number, dataset in enumerate(datasets):
                scopes = ids if dataset.scopes is None else list(dataset.scopes)
                if dataset.scopes is None and not ids and unlisted:
                    self._put_error(upstream, dataset.name, "every coin", unlisted)
                if dataset.catalog and self._catalog:
                    has = set(self._catalog["upstreams"].get(upstream, {}).get(dataset.catalog, scopes))
                    scopes = [scope for scope in scopes if scope in has]
                total = asked + len(scopes) + len(datasets) - number - 1
                for scope in scopes:
                    if self._stop.is_set():
                        return
                    item = self._one(
                        upstream,
                        dataset.name,
                        scope,
                        Window(FOREVER.start, self.window.end),
                        lambda http, d=dataset, s=scope: d.fetch(http, s),
                        dataset.parse,
                    )
                    if dataset.name == "stablecoins":
                        unlisted = item.error
                    if dataset.name == "stablecoins" and item.error is None:
                        coins = item.parsed[0].tables["stablecoins"].to_pylist()
                        ids = [coin["stablecoin_id"] for coin in coins if coin["is_followed"]]
                    self._queues[dataset.name].put(item)
                    asked += 1
                    self._progress(upstream, asked, total)
                self._queues[dataset.name].put(None)

        return self._guarded(drive, [dataset.name for dataset in datasets])

    def _one(
        self,
        upstream: str,
        dataset: str,
        scope: str,
        window: Window,
        fetch: Callable[[Http], Iterator[Body]],
        parse: Callable[[Body], Parsed],
    ) -> Fetched:
        item = Fetched(upstream, dataset, scope, window)
        try:
            for body in fetch(self._http):
                item.bodies.append(body)
                item.parsed.append(parse(body))
        except SourceError as error:
            item.error = error
        return item

    def _put_error(self, upstream: str, dataset: str, scope: str, error: SourceError) -> None:
        self._queues[dataset].put(Fetched(upstream, dataset, scope, self.window, error=error))

    def _guarded(self, drive: Callable[[], None], datasets: list[str]) -> Callable[[], None]:
        """A programming error in a thread must end the run, not hang it."""

        def run() -> None:
            try:
                drive()
            except BaseException as error:
                for dataset in datasets:
                    self._queues[dataset].put(error)

        return run


def commit(
    warehouse: Warehouse,
    validator: Validator,
    run_id: str,
    items: list[Fetched],
    entries: list[Entry],
    loaded: Loaded,
) -> None:
    """Checks and commits what one upstream answered for one dataset; `entries`: its archived bodies.

    Raises Shrunk where the answer as a whole is refused."""
    upstream, dataset = items[0].upstream, items[0].dataset
    refused = [
        (row, body.sha256)
        for item in items
        for body, parsed in zip(item.bodies, item.parsed, strict=True)
        for row in parsed.refused
    ]
    rounded = sum(parsed.rounded_count for item in items for parsed in item.parsed)
    for position, table in enumerate(items[0].parsed[0].tables):
        record = RECORDS[table]
        rows = pa.concat_tables([parsed.tables[table] for item in items for parsed in item.parsed])
        rows = _until_now(record, rows, max(item.window.end for item in items))
        if warehouse.holds(record, rows):
            report = Report(f"raw_{table}", True, rows.num_rows, [], 0.0)
        else:
            report = validator.check(f"raw_{table}", rows, window=_span(record, items))
        loaded.reports.append(report)
        if report.refuses_window:
            raise Shrunk(f"{upstream} {dataset}: not loaded; {report.message}")
        rows, failed = _split(record, rows, report)
        delivery = Delivery(
            record,
            rows,
            [_arrived(record, item) for item in items],
            upstream,
            dataset,
            entries if position == 0 else [],
            failed + [r for r in refused if r[0].table == table],
            rounded if position == 0 else 0,
            carry_forward="is_listed" if table == "spot_symbols" else None,
        )
        done = warehouse.replace_window(delivery, run_id)
        loaded.received += done.received
        loaded.inserted += done.inserted
        loaded.changed += done.changed
        loaded.deleted += done.deleted
        loaded.quarantined += len(delivery.refused)
    loaded.rounded += rounded
    loaded.bodies += len(entries)


def _until_now(record: Record, rows: pa.Table, end: date) -> pa.Table:
    """Drops what is dated after the last closed day; a snapshot may be later (estimates only)."""
    if record.date is None or record.table == "coin_snapshots":
        return rows
    return rows.filter(pc.less(rows[record.date], pa.scalar(end, pa.date32())))


def _by_upstream(batch: list[Fetched]) -> Iterator[list[Fetched]]:
    for upstream in dict.fromkeys(item.upstream for item in batch):
        yield [item for item in batch if item.upstream == upstream]


def _arrived(record: Record, item: Fetched) -> Arrived:
    """What the rows of this item replace."""
    if record.table == "coin_snapshots":
        days = sorted({d for p in item.parsed for d in p.tables[record.table]["utc_date"].to_pylist()})
        return Arrived((), Window(days[0], days[-1] + timedelta(days=1)))
    if record.table == "asset_caps":
        return Arrived((item.upstream,), item.window)
    scope = {"exchange": item.upstream, "symbol": item.scope, "upstream": item.upstream}
    return Arrived(tuple(scope.get(column, item.scope) for column in record.scope), item.window)


def _span(record: Record, items: list[Fetched]) -> tuple[date, date] | None:
    """First and last-but-excluded day that the items asked for; None where no window was asked."""
    if record.table != "spot_flows":
        return None
    return min(item.window.start for item in items), max(item.window.end for item in items)


def _split(record: Record, rows: pa.Table, report) -> tuple[pa.Table, list[tuple[Refused, str]]]:
    """Rows that may be loaded, and those that a critical expectation refuses, with their bodies."""
    reasons = report.refused_rows
    if not reasons:
        return rows, []
    refused = []
    for index, why in reasons.items():
        row = rows.slice(index, 1).to_pylist()[0]
        key = " ".join(str(row[column]) for column in record.grain)
        day = row.get(record.date) if record.date else None
        refused.append((Refused(record.table, key, why, json.dumps(row, default=str), day), row["body_sha256"]))
    keep = pa.array([index not in reasons for index in range(rows.num_rows)], pa.bool_())
    return rows.filter(keep), refused
