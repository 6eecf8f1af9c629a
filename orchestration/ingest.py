"""From a plan to committed rows: fetch, archive, load.

Every upstream is asked by its own threads (see asking/), all at the same time, each within its host's budget.
Their answers come through one queue to one loader, which archives and commits them as they come, whoever waits
for what: a run takes as long as its slowest host. What does not arrive becomes a gap with a reason; what an
upstream says that it does not have is an absence; the others go on.
"""

import queue
import threading
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from orchestration.archive import Archive, Asked
from orchestration.asking.bars import ask_bars
from orchestration.asking.context import Asking, Known, Progress, listing_of
from orchestration.asking.estimates import DATASET as ESTIMATES
from orchestration.asking.estimates import ask_estimates
from orchestration.asking.files import ask_files
from orchestration.asking.pages import ask_pages
from orchestration.asking.second_source import DATASET as SECOND
from orchestration.asking.second_source import ask_second_source, stored_months
from orchestration.asking.series import ask_series
from orchestration.asking.series import followed as with_followed
from orchestration.asking.services import ask_service
from orchestration.expectations.validator import Validator
from orchestration.load import Fetched, Loaded, Loader, Part, added
from orchestration.plan import Symbol
from orchestration.settings import Settings
from orchestration.sources.body import Absent, SourceError, Window
from orchestration.sources.exchange import Exchange, Klines, TradeFiles
from orchestration.sources.http import Http
from orchestration.sources.registry import (
    DERIVATIVES,
    EXCHANGES,
    Dataset,
    datasets_of,
    followed,
    followed_derivatives,
    served,
)
from orchestration.warehouse import Gap, Shrunk, Warehouse
from orchestration.workers import Pool

BATCH_ROWS = 250_000
"""rows of one transaction"""
READ_TOGETHER = 80
"""bodies that are parsed and checked together: enough to spread the costs, few enough for memory"""
WAITING = 2000
"""answers that may wait for the loader"""


def flows_of(exchange: str) -> str:
    """The name of what `Ingest.load` waits for where it is the flows of one exchange."""
    return f"spot_flows/{exchange}"


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
        is_start_named: bool = False,
        begun: Collection[str] = (),
    ):
        """`is_start_named`: whoever started the run named the first day of `window`; `begun`: exchanges whose archive
        is asked for no day before the first that was ever asked of it."""
        self.settings = settings
        self.run_id = run_id
        self.window = window
        self._is_start_named = is_start_named
        self._begun = begun
        self._archive = archive
        self._warehouse = warehouse
        self._loader = Loader(warehouse, validator)
        self._queue: queue.Queue[Fetched | str | BaseException] = queue.Queue(maxsize=WAITING)
        self._pool = Pool(settings)
        self._asking = Asking(
            http,
            window,
            self._queue.put,
            progress or (lambda upstream, done, total: None),
            threading.Event(),
            settings.spool_dir,
            self._pool,
            settings.open_days_dir,
            settings.trade_archive,
            catalog,
        )
        self._open: dict[str, int] = {}
        """threads that still bring something, by what is waited for"""
        self.came_whole: set[str] = set()
        """what was loaded to its end, as `load` names it"""
        self._loaded: dict[str, Loaded] = {}
        self._waiting: dict[tuple[str, str], list[Fetched]] = {}
        self._parts: dict[tuple[str, str], list[Part]] = {}
        self._batch_count = 0

    def start(self, datasets: set[str], exchanges: Sequence[str] | None = None) -> None:
        """Begins to ask every upstream that fills one of `datasets` (names of raw tables), and of the exchanges
        those in `exchanges` (None: all that are followed)."""
        threads: list[Callable[[], None]] = []
        by_upstream: dict[str, list[Dataset]] = {}
        for dataset in datasets_of(self.settings):
            if dataset.name in datasets:
                by_upstream.setdefault(dataset.upstream, []).append(dataset)
        of_exchanges = {"spot_symbols", "spot_flows"} & datasets
        for name in followed(self.settings) if exchanges is None else exchanges:
            if of_exchanges or (ESTIMATES in datasets and EXCHANGES[name].estimates):
                threads.append(self._exchange_thread(name, datasets, by_upstream.pop(name, [])))
        for name in followed_derivatives(self.settings):
            wanted = datasets & served(name, self._asking.catalog)
            if wanted:
                threads.append(self._derivatives_thread(name, wanted))
        for upstream, wanted in by_upstream.items():
            threads.append(self._service_thread(upstream, wanted))
        for thread in threads:
            threading.Thread(target=thread, daemon=True).start()

    def stop(self) -> None:
        """Asks the threads to end after their current request."""
        self._asking.stop.set()
        self._loader.close()
        self._pool.close()

    def load(self, stream: str) -> Loaded:
        """Commits whatever comes until everything has come that `stream` was asked for: a dataset (flows: of all
        exchanges), or `flows_of` one exchange. Returns what that did."""
        streams = [name for name in self._open if name == stream or name.startswith(f"{stream}/")]
        while any(self._open[name] for name in streams):
            self._take(self._queue.get())
        self._flush(lambda item: stream_of(item) in (*streams, "spot_symbols"))
        self.came_whole.update(streams)
        loads = [self._loaded[name] for name in streams if name in self._loaded]
        return loads[0] if len(loads) == 1 else added(stream, loads)

    def _take(self, item: Fetched | str | BaseException) -> None:
        if isinstance(item, BaseException):
            raise item
        if isinstance(item, str):
            self._open[item] -= 1
            return
        key = (item.dataset, item.upstream)
        some = self._waiting.setdefault(key, [])
        some.append(item)
        if sum(len(answer.bodies) for answer in some) >= READ_TOGETHER:
            self._read(key)
            if sum(part.row_count for part in self._parts[key]) >= BATCH_ROWS:
                self._commit(self._parts.pop(key))

    def _read(self, key: tuple[str, str]) -> None:
        self._parts.setdefault(key, []).append(self._loader.read(self._waiting.pop(key)))

    def _flush(self, is_wanted: Callable[[Fetched], bool]) -> None:
        for key in [key for key, some in self._waiting.items() if is_wanted(some[0])]:
            self._read(key)
        for key in [key for key, parts in self._parts.items() if is_wanted(parts[0].items[0])]:
            self._commit(self._parts.pop(key))

    def _commit(self, parts: list[Part]) -> None:
        items = [item for part in parts for item in part.items]
        stream = stream_of(items[0])
        loaded = self._loaded.setdefault(stream, Loaded(stream))
        whole = [item for item in items if item.error is None]
        self._note(loaded, [(item, error) for item in items if (error := item.error) is not None])
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
            self._note(loaded, [(item, SourceError(str(error))) for item in whole])

    def _note(self, loaded: Loaded, missing: list[tuple[Fetched, SourceError]]) -> None:
        lacking = [(Gap(i.upstream, i.dataset, i.scope, i.window, e.reason, str(e)), e) for i, e in missing]
        gaps = [gap for gap, error in lacking if not isinstance(error, Absent)]
        absences = [gap for gap, error in lacking if isinstance(error, Absent)]
        loaded.gaps += gaps
        loaded.absences += absences
        self._warehouse.note_gaps(self.run_id, gaps)
        self._warehouse.note_absences(self.run_id, absences)

    # What the threads do. They touch neither the warehouse nor the archive.

    def _exchange_thread(self, name: str, datasets: set[str], beside: list[Dataset]) -> Callable[[], None]:
        """`beside`: what else is asked of the exchange, between its listing and its flows: one thread tells soonest
        that nobody answers."""
        exchange = EXCHANGES[name]
        known = spot_known(self._warehouse, name, self._begun)
        # Flows of symbols that nobody knows would be lost: who is asked for flows says what it lists, too.
        streams = ["spot_symbols", *([flows_of(name)] if "spot_flows" in datasets else [])]
        has_estimates = exchange.estimates is not None and ESTIMATES in datasets
        streams += [ESTIMATES] if has_estimates else []
        second = exchange.second if {"spot_flows", SECOND} <= datasets else None
        streams += [SECOND] if second else []
        months = stored_months(self._warehouse, name, known, second, self.window.end) if second else []
        for stream in (*streams, *(dataset.name for dataset in beside)):
            self._open[stream] = self._open.get(stream, 0) + 1

        def ask() -> None:
            listing = listing_of(self._asking, name, exchange, known)
            self._queue.put(listing.item)
            self._queue.put("spot_symbols")
            ask_service(self._asking, name, beside, (), self._queue.put)
            unpublished: list[Window] | None = None
            if flows_of(name) in streams:
                if isinstance(exchange.flows, Klines):
                    ask_bars(self._asking, name, exchange, known, listing)
                elif isinstance(exchange.flows, TradeFiles):
                    unpublished = ask_files(self._asking, name, exchange, known, listing)
                else:
                    ask_pages(self._asking, name, exchange, known, listing)
                self._queue.put(flows_of(name))
            if second:
                ask_second_source(self._asking, name, second, months, listing)
                self._queue.put(SECOND)
            if has_estimates:
                # Of which days they are wanted is known once the files were asked for.
                ask_estimates(self._asking, name, exchange, known, listing, unpublished)
                self._queue.put(ESTIMATES)

        return self._guarded(ask)

    def _derivatives_thread(self, name: str, datasets: set[str]) -> Callable[[], None]:
        exchange = DERIVATIVES[name]
        known = contracts_known(self._warehouse, name, exchange)
        answered = {table: self._warehouse.asked(name, table) for table in exchange.tables}
        streams = [table for table in exchange.tables if table in {exchange.symbols_table, *datasets}]
        for stream in streams:
            self._open[stream] = self._open.get(stream, 0) + 1

        def ask() -> None:
            listing = listing_of(self._asking, name, exchange, known)
            self._queue.put(listing.item)
            self._queue.put(exchange.symbols_table)
            if len(streams) == 1:
                return
            since = None if self._is_start_named else self.settings.start
            chosen = with_followed(self._asking, exchange, known, listing, since)

            def ask_for(table: str) -> None:
                if table == exchange.flows_table:
                    ask_bars(self._asking, name, exchange, known, chosen)
                for series in exchange.series:
                    if series.table == table:
                        ask_series(self._asking, name, series, chosen, answered[table], self._is_start_named)
                self._queue.put(table)

            with ThreadPoolExecutor(len(streams), thread_name_prefix=name) as pool:
                list(pool.map(ask_for, streams[1:]))

        return self._guarded(ask)

    def _service_thread(self, upstream: str, datasets: list[Dataset]) -> Callable[[], None]:
        coins = self._warehouse.read("SELECT stablecoin_id FROM raw.stablecoins WHERE is_followed").to_pylist()
        for dataset in datasets:
            self._open[dataset.name] = self._open.get(dataset.name, 0) + 1
        ids = [row["stablecoin_id"] for row in coins]
        return self._guarded(lambda: ask_service(self._asking, upstream, datasets, ids, self._queue.put))

    def _guarded(self, ask: Callable[[], None]) -> Callable[[], None]:
        """A programming error in a thread must end the run, not hang it."""

        def run() -> None:
            try:
                ask()
            except BaseException as error:
                self._queue.put(error)

        return run


def stream_of(item: Fetched) -> str:
    return flows_of(item.upstream) if item.dataset == "spot_flows" else item.dataset


def known_of(warehouse: Warehouse, exchange: str, has_files: bool, market: str = "spot") -> Known:
    """What is stored of an exchange. `has_files`: it has an archive of trades."""
    rows = warehouse.read(
        "SELECT s.symbol AS name, any_value(s.is_trading) AS is_trading, max(f.utc_date) AS last_bar "
        f"FROM raw.{market}_symbols s LEFT JOIN raw.{market}_flows f USING (exchange, symbol) "
        "WHERE s.exchange = ? GROUP BY s.symbol ORDER BY 1",
        [exchange],
    ).to_pylist()
    answered = warehouse.asked(exchange, f"{market}_flows")
    etags = warehouse.file_etags(exchange) if has_files else {}
    given_up = warehouse.given_up(exchange) if has_files else {}
    return Known([Symbol(**row) for row in rows], answered, etags, given_up)


def spot_known(warehouse: Warehouse, exchange: str, begun: Collection[str]) -> Known:
    """What is stored of an exchange of spot; `begun` as in Ingest."""
    has_files = isinstance(EXCHANGES[exchange].flows, TradeFiles)
    known = known_of(warehouse, exchange, has_files)
    starts = [window.start for windows in known.answered.values() for window in windows]
    starts += [day for days in known.given_up.values() for day in days]
    if not has_files or not starts or exchange not in begun:
        return known
    return replace(known, asked_from=min([*starts, *warehouse.first_gaps(exchange).values()]))


def contracts_known(warehouse: Warehouse, name: str, exchange: Exchange) -> Known:
    """What is stored of an exchange of contracts."""
    volumes = warehouse.newest_volumes(name, exchange.flows_table)
    return replace(known_of(warehouse, name, False, exchange.market), volumes=volumes)
