"""Exchanges that publish daily bars with what takers bought: pages per symbol, the fewest that close the gap."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta

from orchestration import plan
from orchestration.asking.context import Asking, Known, Listing
from orchestration.load import Fetched
from orchestration.plan_files import LATE_DAYS
from orchestration.sources.body import Absent, SourceError, Window
from orchestration.sources.exchange import Exchange, Klines

Ask = tuple[str, Window]


def bar_asks(symbols: Sequence[plan.Symbol], window: Window, known: Known) -> list[Ask]:
    """Symbols and windows to ask for."""
    return [(s.name, w) for s in symbols for w in plan.to_ask(s, window, known.answered.get(s.name, []))]


def ask_bars(asking: Asking, name: str, exchange: Exchange, known: Known, listing: Listing) -> None:
    """Puts one answer per symbol and window. Symbols that only the archive knows, and everything where the API is
    out of reach, come from the archive, if there is one."""
    flows = exchange.flows
    assert isinstance(flows, Klines)
    is_blocked = listing.error is not None and listing.error.reason == "out_of_reach"
    symbols, archived = list(listing.symbols), set()
    if flows.spare and (listing.error is None or is_blocked):
        archived = _archived(asking, flows) - {symbol.name for symbol in symbols}
        symbols += [plan.Symbol(symbol, False, _last_bar(known, symbol)) for symbol in sorted(archived)]
        if is_blocked:
            archived |= {symbol.name for symbol in symbols}
    if listing.error and not symbols:
        asking.lack(name, exchange.flows_table, "every symbol", asking.window, listing.error)
    asks = bar_asks(symbols, listing.window, known)
    asking.progress(name, 0, len(asks))
    done = 0

    def answer(symbol: str, window: Window) -> Fetched:
        spare, blocked = flows.spare, listing.error if is_blocked else None
        if not spare or symbol not in archived:
            # Whole, or not at all: pages of both would say days twice.
            item = asking.one(
                name, exchange.flows_table, symbol, window, lambda http: flows.fetch(http, symbol, window, listing.now)
            )
            if not spare or item.error is None or item.error.reason != "out_of_reach":
                return item
            blocked = item.error
        item = asking.one(
            name, exchange.flows_table, symbol, window, lambda http: spare.fetch(http, symbol, window, listing.now)
        )
        if item.error and blocked:
            item.error = SourceError(f"{blocked}; its archive: {item.error}", item.error.reason)
        if item.error is None:
            last_file_end = max((end for body in item.bodies if (end := spare.end(body))), default=None)
            until = archive_answers_until(window, last_file_end, _last_bar(known, symbol), listing.now.date())
            if until < window.end:
                late = Absent(f"{spare.host.name}: {symbol} has no file of these days yet", "not_published_yet")
                asking.lack(name, exchange.flows_table, symbol, Window(until, window.end), late)
            item.window = Window(window.start, until)
        return item

    def ask(what: Ask) -> None:
        nonlocal done
        symbol, window = what
        if asking.stop.is_set():
            return
        item = answer(symbol, window)
        if item.window.start < item.window.end:
            asking.put(item)
        done += 1
        asking.progress(name, done, len(asks))

    with ThreadPoolExecutor(exchange.host.connections, thread_name_prefix=name) as pool:
        list(pool.map(ask, asks))


def archive_answers_until(window: Window, last_file_end: date | None, last_bar: date | None, today: date) -> date:
    """The day before which files of the archive that end at `last_file_end` answer for the days of `window`.

    Files come a day late and more. That none is there says nothing of the days after the last one while they are new,
    and withdraws no bar that the API gave, `last_bar` being the last one stored."""
    until = min(last_file_end or window.start, window.end)
    is_over = until < today - timedelta(days=LATE_DAYS) and not (last_bar and until <= last_bar < window.end)
    return window.end if is_over else until


def _archived(asking: Asking, flows: Klines) -> set[str]:
    """Every symbol that the archive has; none where it does not answer: the API stands without it."""
    assert flows.spare is not None
    try:
        return {name for body in flows.spare.fetch_symbols(asking.http) for name in flows.spare.names(body)}
    except SourceError:
        return set()


def _last_bar(known: Known, symbol: str) -> date | None:
    return next((s.last_bar for s in known.symbols if s.name == symbol), None)
