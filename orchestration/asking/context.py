"""What the asking threads of one run share."""

import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time
from pathlib import Path

from orchestration import plan
from orchestration.expectations.suite import UNSAFE_TEXT
from orchestration.load import Fetched
from orchestration.sources.body import Body, Parsed, SourceError, Window
from orchestration.sources.exchange import Exchange
from orchestration.sources.http import Http
from orchestration.workers import Pool

Progress = Callable[[str, int, int], None]
"""called with upstream, answers so far, answers expected"""
FOREVER = Window(date(1900, 1, 1), date(9999, 1, 1))


@dataclass(frozen=True)
class Known:
    """What the warehouse knows of an exchange before it is asked.

    `answered`: windows by scope (a symbol, `*` for all); `etags`: of the files that stored days were read from;
    `given_up`: by scope, days whose file was missing long after it was due; `volumes`: of the last stored bar, in quote
    asset, by symbol; `asked_from`: the day before which an archive is not asked for any."""

    symbols: Sequence[plan.Symbol] = ()
    answered: Mapping[str, list[Window]] = field(default_factory=dict)
    etags: Mapping[str, str] = field(default_factory=dict)
    given_up: Mapping[str, list[date]] = field(default_factory=dict)
    volumes: Mapping[str, float] = field(default_factory=dict)
    asked_from: date | None = None


@dataclass
class Asking:
    """`put` hands an answer to the loader (and waits while it has enough); `pool` reduces trade files, `spool` is
    where they lie meanwhile; `open_days`: the folder of what was seen of days that are not over; `mirror`: an fsspec
    place that has trade files below `<host>/<path>`, None: they are fetched."""

    http: Http
    window: Window
    put: Callable[[Fetched], None]
    progress: Progress
    stop: threading.Event
    spool: Path
    pool: Pool
    open_days: Path
    mirror: str | None = None
    catalog: dict | None = None

    def one(
        self,
        upstream: str,
        dataset: str,
        scope: str,
        window: Window,
        fetch: Callable[[Http], Iterator[Body]],
        parse: Callable[[Body], Parsed] | None = None,
    ) -> Fetched:
        """All pages of one answer, or the error that took the place of one."""
        item = Fetched(upstream, dataset, scope, window)
        try:
            for body in fetch(self.http):
                item.bodies.append(body)
                if parse:
                    item.parsed.append(parse(body))
        except SourceError as error:
            item.error = error
        return item

    def lack(self, upstream: str, dataset: str, scope: str, window: Window, error: SourceError) -> None:
        self.put(Fetched(upstream, dataset, scope, window, error=error))


@dataclass(frozen=True)
class Listing:
    """What an exchange lists, its clock, and the closed days to ask for. `error`: the listing did not come, and
    `symbols` are those stored."""

    item: Fetched
    symbols: Sequence[plan.Symbol]
    now: datetime
    window: Window

    @property
    def error(self) -> SourceError | None:
        return self.item.error


def listing_of(asking: Asking, name: str, exchange: Exchange, known: Known) -> Listing:
    """Asks for symbols and clock; without them, those stored and the run's own days."""
    item = asking.one(name, exchange.symbols_table, "", FOREVER, exchange.fetch_symbols, exchange.parse_symbols)
    now = datetime.combine(asking.window.end, time())
    if item.error is None and exchange.server_time:
        try:
            now = exchange.server_time(item.bodies[0])
        except SourceError as error:
            item.error = error
    symbols = known.symbols
    if item.error is None:
        last_bar = {symbol.name: symbol.last_bar for symbol in known.symbols}
        listed: dict[str, bool] = {}
        for parsed in item.parsed:
            for row in parsed.tables[exchange.symbols_table].to_pylist():
                # Of contracts, those that end on a date are listed and not followed.
                is_lasting = row.get("contract_type", "PERPETUAL") == "PERPETUAL"
                if is_lasting and not re.search(UNSAFE_TEXT, row["symbol"]):
                    listed[row["symbol"]] = row["is_trading"]
        symbols = [plan.Symbol(symbol, trades, last_bar.get(symbol)) for symbol, trades in listed.items()]
    end = min(asking.window.end, now.date())
    return Listing(item, symbols, now, Window(min(asking.window.start, end), end))
