"""Exchanges that publish daily bars with what takers bought: pages per symbol, the fewest that close the gap."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from orchestration import plan
from orchestration.asking.context import Asking, Known, Listing
from orchestration.sources.body import Body, SourceError, Window
from orchestration.sources.exchange import Exchange, Klines
from orchestration.sources.http import Http

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

    def fetch(http: Http, symbol: str, window: Window, now: datetime) -> Iterator[Body]:
        spare = flows.spare
        if not spare or symbol not in archived:
            try:
                # Whole, or not at all: pages of both would say days twice.
                yield from list(flows.fetch(http, symbol, window, now))
                return
            except SourceError as error:
                if not spare or error.reason != "out_of_reach":
                    raise
        yield from spare.fetch(http, symbol, window, now)

    def ask(what: Ask) -> None:
        nonlocal done
        symbol, window = what
        if asking.stop.is_set():
            return
        asking.put(
            asking.one(
                name, exchange.flows_table, symbol, window, lambda http: fetch(http, symbol, window, listing.now)
            )
        )
        done += 1
        asking.progress(name, done, len(asks))

    with ThreadPoolExecutor(exchange.host.connections, thread_name_prefix=name) as pool:
        list(pool.map(ask, asks))


def _archived(asking: Asking, flows: Klines) -> set[str]:
    """Every symbol that the archive has; none where it does not answer: the API stands without it."""
    assert flows.spare is not None
    try:
        return {name for body in flows.spare.fetch_symbols(asking.http) for name in flows.spare.names(body)}
    except SourceError:
        return set()


def _last_bar(known: Known, symbol: str):
    return next((s.last_bar for s in known.symbols if s.name == symbol), None)
