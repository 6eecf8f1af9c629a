"""APIs that reach a little way back: every trade of the closed days since the last one seen."""

import hashlib
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime, time, timedelta

from orchestration import plan
from orchestration.asking import open_days
from orchestration.asking.context import Asking, Known, Listing
from orchestration.asking.files import row_of
from orchestration.asking.open_days import OpenDay
from orchestration.load import Fetched
from orchestration.reduce_pages import PageReducer
from orchestration.sources.body import Absent, Body, SourceError, Window
from orchestration.sources.exchange import Exchange, TradePages
from orchestration.sources.reduction import Origin, reduction

FIRST_DAYS = 1
"""closed days that a first run asks for: history is not what these upstreams are for"""
Ask = tuple[str, Window]


def page_asks(
    symbols: Sequence[plan.Symbol], window: Window, today: date, known: Known, reach_days: int
) -> tuple[list[Ask], list[Ask]]:
    """Symbols and windows to ask for, from the last day answered on; and what is out of reach by now (`today`)."""
    asks: list[Ask] = []
    lost: list[Ask] = []
    earliest = max(window.start, today - timedelta(days=reach_days))
    for symbol in symbols:
        if not symbol.is_trading:
            continue
        answered = known.answered.get(symbol.name, [])
        seen_to = max((w.end for w in answered), default=None)
        first = seen_to or max(window.start, today - timedelta(days=FIRST_DAYS))
        if seen_to and first < min(earliest, window.end):
            lost.append((symbol.name, Window(first, min(earliest, window.end))))
        part = Window(max(first, earliest), window.end)
        if part.start < part.end:
            asks.append((symbol.name, part))
    return asks, lost


def ask_pages(asking: Asking, name: str, exchange: Exchange, known: Known, listing: Listing) -> None:
    """Puts one answer per symbol: the days since the last answer, reduced."""
    flows = exchange.flows
    assert isinstance(flows, TradePages)
    if listing.error and not listing.symbols:
        asking.lack(name, "spot_flows", "every symbol", listing.window, listing.error)
    asks, lost = page_asks(listing.symbols, listing.window, listing.now.date(), known, flows.reach_days)
    for symbol, window in lost:
        message = f"{name} {symbol}: trades can be had for {flows.reach_days} days; nothing ran in time"
        asking.lack(name, "spot_flows", symbol, window, Absent(message, "out_of_reach"))
    path = asking.open_days / f"{name}.json"
    kept = open_days.load(path) if flows.fetch_since else {}
    if flows.fetch_since:
        # What is not over is read too, of symbols whose closed days are all answered as well.
        asked = {symbol for symbol, _ in asks}
        today = listing.now.date()
        asks += [(s.name, Window(today, today)) for s in listing.symbols if s.is_trading and s.name not in asked]
    asking.progress(name, 0, len(asks))
    done = 0

    def ask(what: Ask) -> None:
        nonlocal done
        if asking.stop.is_set():
            return
        symbol, window = what
        if flows.fetch_since:
            kept[symbol] = _go_on(asking, name, flows, symbol, window, listing, kept.get(symbol, {}))
        else:
            item = Fetched(name, "spot_flows", symbol, window)
            reading = _Reading(flows, symbol)
            _read(item, reading, flows.fetch(asking.http, symbol, window, listing.now))
            asking.put(_closed(item, reading, listing.now))
        done += 1
        asking.progress(name, done, len(asks))

    with ThreadPoolExecutor(exchange.host.connections, thread_name_prefix=name) as pool:
        list(pool.map(ask, asks))
    if flows.fetch_since:
        open_days.save(path, kept)


class _Reading:
    """The pages of one answer as they are reduced, and what they were."""

    def __init__(self, flows: TradePages, symbol: str):
        self.flows = flows
        self.reducer = PageReducer(flows.side, symbol)
        self.files: list[dict] = []
        self.fetched_at: datetime | None = None

    def read(self, pages: Iterable[Body]) -> None:
        """Raises SourceError like the pages and their parser."""
        digest, size, url = hashlib.sha256(), 0, ""
        for page in pages:
            digest.update(page.content)
            size += len(page.content)
            url, self.fetched_at = url or page.url, page.fetched_at
            self.reducer.add(self.flows.parse(page))
        if url:
            self.files.append({"url": url, "sha256": digest.hexdigest(), "byte_count": size})


def _read(item: Fetched, reading: _Reading, pages: Iterable[Body]) -> None:
    try:
        reading.read(pages)
    except SourceError as error:
        item.error = error


def _closed(item: Fetched, reading: _Reading, now: datetime) -> Fetched:
    """The answer for the closed days of a window."""
    window, reducer = item.window, reading.reducer
    if item.error is None:
        days = {day: total for (_, day), total in reducer.sums.items() if window.start <= day < window.end}
        refused = [row for row in reducer.refused.rows if row[2] is None or window.start <= row[2] < window.end]
        body = reduction(
            item.upstream,
            item.scope,
            window,
            now,
            reading.fetched_at or now,
            [row_of(item.scope, day, total) for day, total in days.items()],
            [Origin(**file) for file in reading.files],
            refused,
            reducer.refused.count,
            reducer.repeated_count,
        )
        item.bodies.append(body)
    return item


def _go_on(
    asking: Asking,
    name: str,
    flows: TradePages,
    symbol: str,
    window: Window,
    listing: Listing,
    kept: dict[date, OpenDay],
) -> dict[date, OpenDay]:
    """Puts the answer for closed days, if there are any; returns what is to be kept for the next run: those days,
    until they are known to be stored, and the day that is not over."""
    assert flows.fetch_since
    now, today = listing.now, listing.now.date()
    # An older day may be out of reach while a newer one is not; which are is known without asking.
    for first in (*_days(window), today):
        known = kept.get(first)
        reading = _Reading(flows, symbol)
        since = datetime.combine(first, time())
        if known and known.total:
            since = max(since, known.until - open_days.OVERLAP)
            reading.reducer.resume({first: known.total}, _us(since), known.ids)
            reading.files += known.files
        elif known:
            since = max(since, known.until)
        item = Fetched(name, "spot_flows", symbol, Window(first, window.end))
        _read(item, reading, flows.fetch_since(asking.http, symbol, since, now))
        if first != today:
            if isinstance(item.error, Absent):
                item.window = Window(first, first + timedelta(days=1))
            asking.put(_closed(item, reading, now))
        if item.error is None:
            return _to_keep(reading, Window(first, today), now)
        if not isinstance(item.error, Absent):
            break
    return kept


def _to_keep(reading: _Reading, closed: Window, now: datetime) -> dict[date, OpenDay]:
    """What was read of `closed` days and of the one that follows them."""
    days = {day: total for (_, day), total in reading.reducer.sums.items()}
    found = {}
    for day in _days(Window(closed.start, closed.end + timedelta(days=1))):
        end = datetime.combine(day, time()) + timedelta(days=1)
        until = min(now, end)
        # An answer may hold trades that are younger than the clock it was asked by.
        ids = [(i, at) for i, at in reading.reducer.ids_since(_us(until - open_days.OVERLAP)) if at < _us(end)]
        found[day] = OpenDay(until, days.get(day), ids, reading.files)
    return found


def _days(window: Window) -> Iterable[date]:
    return (window.start + timedelta(days=n) for n in range((window.end - window.start).days))


def _us(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1)) // timedelta(microseconds=1)
