"""From a plan to committed rows: fetch, archive, load.

Every upstream is asked by its own thread, all at the same time, each within its host's budget. Answers
wait in a queue per dataset until they are archived and loaded (see load.py), one batch at a time. What
does not arrive becomes a gap with a reason; the others go on.
"""

import queue
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, time

from orchestration import plan
from orchestration.archive import Archive, Asked
from orchestration.expectations.suite import UNSAFE_TEXT
from orchestration.expectations.validator import Validator
from orchestration.load import Fetched, Loaded, Loader, Part
from orchestration.settings import Settings
from orchestration.sources.body import Body, Parsed, SourceError, Window
from orchestration.sources.http import Http
from orchestration.sources.registry import DATASETS, EXCHANGES, Dataset
from orchestration.warehouse import FOREVER, Gap, Shrunk, Warehouse

BATCH_ROWS = 250_000
"""rows of one transaction"""
READ_TOGETHER = 80
"""bodies that are parsed and checked together: enough to spread the costs, few enough for memory"""
Progress = Callable[[str, int, int], None]
"""called with upstream, answers so far, answers expected"""


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
        self._loader = Loader(warehouse, validator)
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
        self._loader.close()

    def load(self, dataset: str) -> Loaded:
        """Waits for everything that `dataset` was asked for, and commits it batch by batch."""
        loaded = Loaded(dataset)
        batches: dict[str, list[Part]] = {}
        for answers in self._answers(dataset):
            batch = batches.setdefault(answers[0].upstream, [])
            batch.append(self._loader.read(answers))
            if sum(part.row_count for part in batch) >= BATCH_ROWS:
                self._commit(batches.pop(answers[0].upstream), loaded)
        for batch in batches.values():
            self._commit(batch, loaded)
        return loaded

    def _answers(self, dataset: str) -> Iterator[list[Fetched]]:
        """What the threads bring, some answers of one upstream at a time."""
        waiting: dict[str, list[Fetched]] = {}
        while self._drivers.get(dataset):
            item = self._queues[dataset].get()
            if item is None:
                self._drivers[dataset] -= 1
                continue
            if isinstance(item, BaseException):
                raise item
            some = waiting.setdefault(item.upstream, [])
            some.append(item)
            if sum(len(answer.bodies) for answer in some) >= READ_TOGETHER:
                yield waiting.pop(item.upstream)
        yield from waiting.values()

    def _commit(self, parts: list[Part], loaded: Loaded) -> None:
        items = [item for part in parts for item in part.items]
        whole = [item for item in items if item.error is None]
        self._note_gaps(loaded, [(item, i.reason, str(i)) for item in items if (i := item.error) is not None])
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
            self._loader.commit(parts, entries, self.run_id, loaded)
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
                listed = {r["symbol"]: r["is_trading"] for r in rows if not re.search(UNSAFE_TEXT, r["symbol"])}
                symbols = [plan.Symbol(symbol, trades, last_bar.get(symbol)) for symbol, trades in listed.items()]
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
                        lambda http: exchange.flows.fetch(http, symbol, part, now),
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
                        ids = list(dict.fromkeys(coin["stablecoin_id"] for coin in coins if coin["is_followed"]))
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
        parse: Callable[[Body], Parsed] | None = None,
    ) -> Fetched:
        item = Fetched(upstream, dataset, scope, window)
        try:
            for body in fetch(self._http):
                item.bodies.append(body)
                if parse:
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
