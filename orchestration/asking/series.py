"""Exchanges of contracts: whom of the many to follow, and what is told of each beside its bars."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date, timedelta
from itertools import groupby

from orchestration import plan
from orchestration.asking.context import Asking, Known, Listing
from orchestration.load import Fetched
from orchestration.sources.body import Body, SourceError, Window
from orchestration.sources.exchange import Exchange, Lacking, Series

Ask = tuple[str, Window]


def followed(asking: Asking, exchange: Exchange, known: Known, listing: Listing, since: date | None) -> Listing:
    """The listing with the symbols that are followed: those with the greatest volume by what the exchange says now,
    else by what is stored, else as they are listed; then what was followed and trades no more, for its last days.

    `since`: the first day to ask for, None: that of the run. What contracts lack shapes no run's window, so they ask
    for themselves back to the first day of all, where nobody named another."""
    volumes = known.volumes
    if exchange.fetch_volumes and listing.error is None:
        try:
            volumes = exchange.fetch_volumes(asking.http)
        except SourceError:
            volumes = known.volumes
    trading = [s for s in listing.symbols if s.is_trading and (listing.error is None or s.last_bar)]
    trading.sort(key=lambda symbol: -volumes.get(symbol.name, -1.0))
    alive = {symbol.name for symbol in trading}
    over = [replace(s, is_trading=False) for s in known.symbols if s.last_bar and s.name not in alive]
    window = Window(min(since or listing.window.start, listing.window.end), listing.window.end)
    return replace(listing, symbols=[*trading[: exchange.most_symbols], *over], window=window)


def series_asks(
    series: Series, listing: Listing, answered: Mapping[str, list[Window]], is_start_named: bool
) -> list[Ask]:
    """Symbols and windows to ask for: what is missing and the newest days once more. `is_start_named`: the run names
    its first day, and gets all that there is from then on."""
    start, end = max(listing.window.start, series.first), listing.window.end
    if series.reach_days is not None:
        start = max(start, listing.now.date() - timedelta(days=series.reach_days))
    if series.newest_days is not None and not is_start_named:
        start = max(start, end - timedelta(days=series.newest_days))
    asks: list[Ask] = []
    for symbol in listing.symbols[: series.most_symbols]:
        last = symbol.last_bar + timedelta(days=1) if symbol.last_bar and not symbol.is_trading else end
        wanted = Window(start, min(last, end))
        if wanted.start < wanted.end:
            repull_days = series.repull_days if symbol.is_trading else 0
            windows = plan.to_ask(replace(symbol, is_trading=True), wanted, answered.get(symbol.name, []), repull_days)
            asks += [(symbol.name, part) for window in windows for part in plan.parts(window, series.days_together)]
    return asks


def ask_series(
    asking: Asking,
    name: str,
    series: Series,
    listing: Listing,
    answered: Mapping[str, list[Window]],
    is_start_named: bool,
) -> None:
    """Puts an answer for all days that one body or chain of pages answers for, and what lacks."""
    if listing.error and not listing.symbols:
        asking.lack(name, series.table, "every symbol", listing.window, listing.error)
    asks = series_asks(series, listing, answered, is_start_named)
    asking.progress(series.table, 0, len(asks))
    done = 0

    def ask(what: Ask) -> None:
        nonlocal done
        if asking.stop.is_set():
            return
        for item in _answers(asking, name, series, *what, listing):
            asking.put(item)
        done += 1
        asking.progress(series.table, done, len(asks))

    with ThreadPoolExecutor(series.host.connections, thread_name_prefix=series.table) as pool:
        list(pool.map(ask, asks))


def _answers(
    asking: Asking, name: str, series: Series, symbol: str, window: Window, listing: Listing
) -> Sequence[Fetched]:
    """What came for a symbol and its days. Where the chain breaks, the answer that it broke in may not be whole: its
    days lack, and all that follow."""
    found: list[Body | Lacking] = []
    broken: SourceError | None = None
    try:
        for each in series.fetch(asking.http, symbol, window, listing.now):
            found.append(each)
    except SourceError as error:
        broken = error
    items: list[Fetched] = []
    for days, some in groupby(found, key=_days):
        group = list(some)
        bodies = [each for each in group if isinstance(each, Body)]
        errors = [each.error for each in group if isinstance(each, Lacking)]
        items.append(Fetched(name, series.table, symbol, days, bodies, error=errors[0] if errors else None))
    if broken:
        whole = items[:-1] if items and items[-1].error is None else items
        rest = Window(whole[-1].window.end if whole else window.start, window.end)
        return [*whole, Fetched(name, series.table, symbol, rest, error=broken)]
    return items


def _days(each: Body | Lacking) -> Window:
    if isinstance(each, Lacking):
        return each.window
    return Window(*(date.fromisoformat(each.context[bound]) for bound in ("start", "end")))
