"""`altflow run --dry-run`: what would be asked of whom, and how long that takes at the pace that hosts allow."""

import sys
import tempfile
import threading
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from orchestration import status
from orchestration.asking.bars import bar_asks
from orchestration.asking.context import Asking, Known, Listing, listing_of
from orchestration.asking.estimates import traded
from orchestration.asking.files import planned
from orchestration.asking.pages import page_asks
from orchestration.asking.series import followed as with_followed
from orchestration.asking.series import series_asks
from orchestration.asking.services import served_scopes
from orchestration.commands import FAILED, LOCKED
from orchestration.ingest import contracts_known, spot_known
from orchestration.settings import Settings
from orchestration.sources.body import SourceError
from orchestration.sources.exchange import Exchange, Klines, TradeFiles
from orchestration.sources.http import Host, Http
from orchestration.sources.registry import (
    DERIVATIVES,
    EXCHANGES,
    datasets_of,
    followed,
    followed_derivatives,
    served,
)
from orchestration.warehouse import Warehouse, WarehouseError, lock_holder
from orchestration.workers import Pool

ASSUMED_BYTES_A_SECOND = 10 * 2**20
"""what a small server's line is taken to bring"""


@dataclass(frozen=True)
class Share:
    """What one upstream would be asked for."""

    upstream: str
    what: str
    request_count: float
    byte_count: int | None
    seconds: float
    note: str = ""


def show_plan(settings: Settings, start: date | None, end: date | None) -> int:
    """Prints the plan; nothing is written. `end` is the last day, included."""
    from orchestration.run import RunError, Upstreams, closed_window

    if lock_holder(settings.lock_path):
        print("altflow run --dry-run: a run is writing; what is stored is not known now", file=sys.stderr)
        return LOCKED
    upstreams = None
    try:
        upstreams = Upstreams.start(settings, end + timedelta(days=1) if end else None).wait()
        window = closed_window(settings, upstreams.catalog, start, end + timedelta(days=1) if end else None)
        stored = settings.warehouse_path.exists()
        warehouse = Warehouse(settings.warehouse_path, reads_only=True) if stored else None
        with tempfile.TemporaryDirectory() as spool:
            http, pool = Http(upstreams.base), Pool(settings)
            asking = Asking(
                http, window, lambda item: None, lambda *_: None, threading.Event(), Path(spool), pool,
                settings.open_days_dir,
                settings.trade_archive, upstreams.catalog,
            )  # fmt: skip
            try:
                begun = () if start else status.asked_to_the_end(settings)
                shares = [_share(asking, name, EXCHANGES[name], warehouse, begun) for name in followed(settings)]
                for name in followed_derivatives(settings):
                    tables = served(name, upstreams.catalog)
                    shares += _contracts(asking, name, tables, warehouse, None if start else settings.start)
                shares += _services(settings, upstreams.catalog)
            finally:
                http.close()
                pool.close()
    except (RunError, WarehouseError) as error:
        print(f"altflow run --dry-run: {error}", file=sys.stderr)
        return FAILED
    finally:
        if upstreams:
            upstreams.close()
    _print(shares, f"{window.start} .. {window.end - timedelta(days=1)}")
    return 0


def _share(asking: Asking, name: str, exchange: Exchange, warehouse: Warehouse | None, begun: Collection[str]) -> Share:
    flows = exchange.flows
    known = spot_known(warehouse, name, begun) if warehouse else Known()
    listing = listing_of(asking, name, exchange, known)
    if listing.error:
        return Share(name, "listing", 1, None, 0, f"does not answer: {listing.error}")
    try:
        if isinstance(flows, Klines):
            return _bars(name, exchange.host, flows, listing, known)
        if isinstance(flows, TradeFiles):
            return _files(asking, name, flows, listing, known)
    except SourceError as error:
        return Share(name, "archive", 1, None, 0, f"does not answer: {error}")
    asks, lost = page_asks(listing.symbols, listing.window, listing.now.date(), known, flows.reach_days)
    count = sum((window.end - window.start).days for _, window in asks) * flows.requests_a_day
    note = f"{len(lost)} symbols have days out of reach" if lost else ""
    what = f"pages of trades of {len(asks)} symbols (estimate)"
    return Share(name, what, count, None, _seconds(exchange.host, count), note)


def _contracts(
    asking: Asking, name: str, tables: set[str], warehouse: Warehouse | None, since: date | None
) -> list[Share]:
    """`since`: the first day to ask for, None where the run names one."""
    exchange = DERIVATIVES[name]
    known = contracts_known(warehouse, name, exchange) if warehouse else Known()
    if not tables:
        return []
    listing = listing_of(asking, name, exchange, known)
    if listing.error:
        return [Share(name, "listing", 1, None, 0, f"does not answer: {listing.error}")]
    listing = with_followed(asking, exchange, known, listing, since)
    shares = []
    if exchange.flows_table in tables and isinstance(exchange.flows, Klines):
        shares.append(_bars(name, exchange.host, exchange.flows, listing, known))
    for series in exchange.series:
        if series.table in tables:
            answered = warehouse.asked(name, series.table) if warehouse else {}
            asks = series_asks(series, listing, answered, since is None)
            count = sum(max(1.0, (window.end - window.start).days * series.requests_a_day) for _, window in asks)
            what = f"{series.table} of {len({symbol for symbol, _ in asks})} symbols"
            shares.append(Share(name, what, count, None, _seconds(series.host, count)))
    return shares


def _bars(name: str, host: Host, flows: Klines, listing: Listing, known: Known) -> Share:
    asks = bar_asks(listing.symbols, listing.window, known)
    count = sum(-(-(window.end - window.start).days // flows.page_days) for _, window in asks)
    what = f"daily bars of {len({symbol for symbol, _ in asks})} symbols"
    return Share(name, what, count, None, _seconds(host, count * flows.weight))


def _files(asking: Asking, name: str, flows: TradeFiles, listing: Listing, known: Known) -> Share:
    jobs, absences, error = planned(asking, flows, known, listing)
    files = {file.url: file for job in jobs for file in job.files}
    sizes = [file.byte_count for file in files.values()]
    total = sum(size for size in sizes if size) if files and all(s is not None for s in sizes) else None
    pace = _seconds(flows.host, len(files))
    seconds = max(pace, total / ASSUMED_BYTES_A_SECOND) if total else pace
    late = sum((a.window.end - a.window.start).days for a in absences)
    notes = ["sizes are not listed: the line may be slower than the host"] if files and total is None else []
    notes += [f"not all of it is listed: {error}"] if error else []
    notes += [f"{late} days are not there (yet)"] if late else []
    # They are asked for one after the other. What the exchange can tell of is known once it is asked.
    estimated = traded(EXCHANGES[name], listing) if EXCHANGES[name].estimates and late else []
    if estimated:
        seconds += _seconds(EXCHANGES[name].host, len(estimated) + 1)
        notes += [f"{len(estimated)} requests are for estimates of those days"]
    count = len(files) + len(estimated)
    return Share(name, "trade files", count, total, seconds, "; ".join(notes))


def _services(settings: Settings, catalog: dict | None) -> list[Share]:
    counts: dict[str, tuple[Host, int]] = {}
    for dataset in datasets_of(settings):
        host, count = counts.get(dataset.upstream, (dataset.host, 0))
        # The coins followed are known after the first answer; there are some twenty.
        scopes = 20 if dataset.scopes is None else len(served_scopes(dataset, dataset.scopes, catalog))
        counts[dataset.upstream] = (host, count + scopes)
    return [
        Share(name, "order books" if name in EXCHANGES else "whole history", n, None, _seconds(host, n))
        for name, (host, n) in counts.items()
        if n
    ]


def _seconds(host: Host, weight: float) -> float:
    return max(0.0, weight - host.burst) * 60 / host.per_minute


def _print(shares: list[Share], days: str) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"plan for {days}")
    for column in ("upstream", "what", "requests", "bytes", "at least", "note"):
        table.add_column(column)
    for share in shares:
        size = "" if share.byte_count is None else f"{share.byte_count:,}"
        table.add_row(share.upstream, share.what, f"{share.request_count:,.0f}", size, _span(share.seconds), share.note)
    console = Console()
    console.print(table)
    slowest = max(shares, key=lambda share: share.seconds, default=None)
    if slowest:
        console.print(
            f"all at once: {_span(slowest.seconds)}, as long as {slowest.upstream} takes; nothing was fetched but "
            "listings",
            highlight=False,
        )


def _span(seconds: float) -> str:
    if seconds < 1:
        return "< 1 s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
