"""The archive as a second source: some months a day whose bars came from the API are read again from its files.

Every run that brings a new day takes a sample of the symbols and months that are stored from the API. The archive's
rows go into a table of their own; dbt compares. What fails here is a gap of that table, never of the flows.
"""

import hashlib
import math
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, timedelta

from orchestration.asking.context import Asking, Known, Listing
from orchestration.sources.body import Window
from orchestration.sources.exchange import SecondSource
from orchestration.warehouse import Warehouse

DATASET = "archive_flows"
SAMPLE = 10
"""symbols and months of one run"""
NEWEST = 5
"""of them from the newest month, as long as it has any that were not seen"""


@dataclass(frozen=True)
class Stored:
    """A closed month of a symbol, answered by the API alone. `trade_count` says how large it is, whatever its quote
    asset; `is_seen`: its file was read before."""

    symbol: str
    window: Window
    trade_count: int
    is_seen: bool = False


def stored_months(warehouse: Warehouse, exchange: str, known: Known, second: SecondSource, end: date) -> list[Stored]:
    """What a sample is taken from by a run whose days end before `end`; nothing where the run brings no new day, or
    the first ones. Called before the threads begin."""
    reached = max((window.end for windows in known.answered.values() for window in windows), default=None)
    if reached is None or reached >= end:
        return []
    rows = warehouse.read(
        "WITH months AS ("
        "SELECT symbol, date_trunc('month', utc_date)::DATE AS first, sum(trade_count)::BIGINT AS size "
        "FROM raw.spot_flows WHERE exchange = $1 GROUP BY 1, 2 HAVING bool_and(source_kind = 'klines')"
        "), closed AS (SELECT *, (first + INTERVAL 1 MONTH)::DATE AS following FROM months WHERE following <= $3), "
        "asked AS (SELECT * FROM raw.asked WHERE upstream = $1) "
        "SELECT c.*, EXISTS (FROM asked a WHERE a.dataset = $2 AND a.scope = c.symbol || ' monthly' "
        "AND a.start_date <= c.first AND a.end_date >= c.following) AS is_seen FROM closed c "
        "WHERE EXISTS (FROM asked a WHERE a.dataset = 'spot_flows' AND a.scope = c.symbol "
        "AND a.start_date <= c.first AND a.end_date >= c.following) ORDER BY c.symbol, c.first",
        [exchange, DATASET, end - timedelta(days=second.month_is_late_days)],
    ).to_pylist()
    return [Stored(r["symbol"], Window(r["first"], r["following"]), r["size"] or 0, r["is_seen"]) for r in rows]


def sample(months: Sequence[Stored], day: date) -> list[Stored]:
    """The months to read again in the run of `day`: first of all those never seen, the newest month's with symbols
    that were seen least, then any; drawn by the day, large ones more often. When all were seen it begins anew."""
    left = [month for month in months if not month.is_seen] or list(months)
    newest = max((month.window.start for month in left), default=None)
    times_seen = Counter(month.symbol for month in months if month.is_seen)
    drawn = sorted(left, key=lambda month: _luck(month, day))
    new = sorted((m for m in drawn if m.window.start == newest), key=lambda month: times_seen[month.symbol])[:NEWEST]
    return (new + [month for month in drawn if month not in new])[:SAMPLE]


def _luck(month: Stored, day: date) -> float:
    """The least of so many numbers as the month has trades, each drawn from the day, the symbol and the month."""
    digest = hashlib.sha256(f"{day} {month.symbol} {month.window.start}".encode()).digest()
    return -math.log((int.from_bytes(digest[:6], "big") + 1) / 2**48) / max(month.trade_count, 1)


def ask_second_source(
    asking: Asking, name: str, second: SecondSource, months: Sequence[Stored], listing: Listing
) -> None:
    """Puts one answer per month of the sample, and for one of them one of its days' files. The scope of an answer is
    the symbol and the kind of file."""
    chosen = sample(months, asking.window.end - timedelta(days=1))
    asks = [(month, "monthly") for month in chosen]
    asks += [(month, "daily") for month in chosen[asking.window.end.toordinal() % max(len(chosen), 1) :][:1]]
    what = f"{name} second source"
    asking.progress(what, 0, len(asks))
    done = 0

    def ask(asked: tuple[Stored, str]) -> None:
        nonlocal done
        month, grain = asked
        if asking.stop.is_set():
            return
        item = asking.one(
            name,
            DATASET,
            f"{month.symbol} {grain}",
            month.window,
            lambda http: second.fetch(http, month.symbol, grain, month.window, listing.now),
        )
        asking.put(item)
        done += 1
        asking.progress(what, done, len(asks))

    with ThreadPoolExecutor(second.host.connections, thread_name_prefix=name) as pool:
        list(pool.map(ask, asks))
