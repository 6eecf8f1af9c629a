"""What an exchange says itself of days whose files of trades are not there yet: one answer per asset."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from orchestration.asking.context import Asking, Known, Listing
from orchestration.asking.files import unpublished_days
from orchestration.sources.body import SourceError, Window
from orchestration.sources.exchange import Exchange

DATASET = "taker_estimates"


def ask_estimates(
    asking: Asking,
    name: str,
    exchange: Exchange,
    known: Known,
    listing: Listing,
    unpublished: Iterable[Window] | None,
) -> None:
    """Puts one answer per asset of the trading symbols and run of `unpublished` days (None: the run asks for no files,
    and the archive has to be looked at). An asset that does not answer is a gap; one of which the exchange tells
    nothing is not asked for."""
    estimates = exchange.estimates
    if not estimates:
        return
    windows = [listing.window]
    try:
        if unpublished is None:
            if listing.error:
                raise listing.error
            unpublished = unpublished_days(asking, exchange, known, listing)
        windows = together(unpublished)
        if not windows:
            return
        if listing.error:
            raise listing.error
        told = {asset for body in estimates.fetch_assets(asking.http) for asset in estimates.assets(body)}
    except SourceError as error:
        asking.lack(name, DATASET, "every asset", Window(windows[0].start, windows[-1].end), error)
        return
    asks = [(asset, window) for asset in traded(exchange, listing) if asset in told for window in windows]
    asking.progress(f"{name} estimates", 0, len(asks))
    done = 0

    def ask(what: tuple[str, Window]) -> None:
        nonlocal done
        asset, window = what
        if asking.stop.is_set():
            return
        item = asking.one(name, DATASET, asset, window, lambda http: estimates.fetch(http, asset, window, listing.now))
        if item.bodies or item.error:
            asking.put(item)
        done += 1
        asking.progress(f"{name} estimates", done, len(asks))

    with ThreadPoolExecutor(exchange.host.connections, thread_name_prefix=name) as pool:
        list(pool.map(ask, asks))


def traded(exchange: Exchange, listing: Listing) -> list[str]:
    """The base assets of the symbols that trade now."""
    assert exchange.pair_of is not None
    pairs = [exchange.pair_of(symbol.name) for symbol in listing.symbols if symbol.is_trading]
    return sorted({pair[0] for pair in pairs if pair})


def together(windows: Iterable[Window]) -> list[Window]:
    """The days of `windows`, each once, in the longest runs, oldest first."""
    days = {w.start + timedelta(days=n) for w in windows for n in range((w.end - w.start).days)}
    runs: list[Window] = []
    for day in sorted(days):
        start = runs.pop().start if runs and runs[-1].end == day else day
        runs.append(Window(start, day + timedelta(days=1)))
    return runs
