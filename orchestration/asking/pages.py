"""APIs that reach a little way back: every trade of the closed days since the last one seen."""

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta

from orchestration import plan
from orchestration.asking.context import Asking, Known, Listing
from orchestration.asking.files import row_of
from orchestration.load import Fetched
from orchestration.reduce_pages import PageReducer
from orchestration.sources.body import Absent, SourceError, Window
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
    asking.progress(name, 0, len(asks))
    done = 0

    def ask(what: Ask) -> None:
        nonlocal done
        if asking.stop.is_set():
            return
        asking.put(_answer(asking, name, flows, *what, listing))
        done += 1
        asking.progress(name, done, len(asks))

    with ThreadPoolExecutor(exchange.host.connections, thread_name_prefix=name) as pool:
        list(pool.map(ask, asks))


def _answer(asking: Asking, name: str, flows: TradePages, symbol: str, window: Window, listing: Listing) -> Fetched:
    item = Fetched(name, "spot_flows", symbol, window)
    reducer = PageReducer(flows.side, symbol)
    digest, size, url, fetched_at = hashlib.sha256(), 0, "", listing.now
    try:
        for page in flows.fetch(asking.http, symbol, window, listing.now):
            digest.update(page.content)
            size += len(page.content)
            url, fetched_at = url or page.url, page.fetched_at
            reducer.add(flows.parse(page))
    except SourceError as error:
        item.error = error
        return item
    rows = [row_of(symbol, day, total) for (_, day), total in reducer.sums.items() if window.start <= day < window.end]
    refused = [row for row in reducer.refused.rows if row[2] is None or window.start <= row[2] < window.end]
    origins = [Origin(url, digest.hexdigest(), size)]
    body = reduction(
        name, symbol, window, listing.now, fetched_at, rows, origins, refused,
        reducer.refused.count, reducer.repeated_count,
    )  # fmt: skip
    item.bodies.append(body)
    return item
