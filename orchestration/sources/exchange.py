"""What an exchange is to the pipeline: one of three ways to learn what takers bought.

Klines      the exchange sums it itself, per symbol and day
TradeFiles  an archive of every trade, reduced to days where it is read
TradePages  an API that reaches a little way back: from the last trade seen on
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

import pyarrow as pa

from orchestration.sources.body import Body, Parsed, SourceError, Window
from orchestration.sources.http import Host, Http
from orchestration.sources.trades import Layout, Reported, Side, TradeFile


@dataclass(frozen=True)
class Klines:
    """`fetch` yields the pages of a symbol's daily bars opened in the window, oldest first; `parse` understands
    many bodies at once, which costs little more than one. `page_days`: bars of one page; `weight` of one request."""

    side: Reported
    fetch: Callable[[Http, str, Window, datetime], Iterator[Body]]
    parse: Callable[..., Parsed]
    page_days: int
    weight: float
    spare: "Spare | None" = None
    second: "SecondSource | None" = None


@dataclass(frozen=True)
class Spare:
    """A second way to the same bars, for symbols that the first no longer knows and for when it is out of reach.

    `fetch_symbols`: listings of every symbol that ever had a file; `names` reads them. `end`: the day after the last
    one that a body of `fetch` can hold; None where it holds none."""

    host: Host
    fetch_symbols: Callable[[Http], Iterator[Body]]
    names: Callable[[Body], list[str]]
    fetch: Callable[[Http, str, Window, datetime], Iterator[Body]]
    end: Callable[[Body], date | None]


@dataclass(frozen=True)
class SecondSource:
    """Where the same bars are read again to be compared, a month of a symbol at a time.

    `fetch(http, symbol, grain, month, now)` yields the month's file, or those of its days (`grain`: monthly, daily);
    `parse` gives the ARCHIVE_FLOWS of many. A month's file is there `month_is_late_days` after its end."""

    host: Host
    fetch: Callable[[Http, str, str, Window, datetime], Iterator[Body]]
    parse: Callable[..., Parsed]
    month_is_late_days: int


@dataclass(frozen=True)
class TradeFiles:
    """`list_files(http, symbols, window, now)` yields the files that hold trades of the UTC days of `window`, for
    `symbols` (as the API spells them, live or not) and those that only the archive knows. A file that nobody
    lists is yielded where it should be; the download tells. A month and its days may both be there.

    `host` serves the files; `due(day)`: when (naive UTC) the last file with trades of that UTC day should be there;
    `first`: the archive begins on that day."""

    host: Host
    layout: Layout
    list_files: Callable[[Http, Sequence[str], Window, datetime], Iterator[TradeFile]]
    due: Callable[[date], datetime]
    first: date | None = None
    has_silent_days: bool = True
    """whether a day without a trade has a file, an empty one"""
    is_listed: bool = True
    """whether `list_files` knows what is there; else it says where files should be"""
    estimates: "Estimates | None" = None

    @property
    def side(self) -> Side:
        return self.layout.side


@dataclass(frozen=True)
class Estimates:
    """What an exchange says of a day before its files are there, per asset and against all quote assets together.

    `fetch_assets`: what it can tell of; `assets` reads that (upper case). `fetch(http, asset, window, now)` yields the
    answer about an asset, nothing where no day of the window can be had; `parse` gives its TAKER_ESTIMATES."""

    fetch_assets: Callable[[Http], Iterator[Body]]
    assets: Callable[[Body], set[str]]
    fetch: Callable[[Http, str, Window, datetime], Iterator[Body]]
    parse: Callable[[Body], pa.Table]


@dataclass(frozen=True)
class TradePages:
    """`fetch(http, symbol, window, now)` yields pages that together hold every trade of the window's UTC days (and
    may hold more); `parse` gives the TRADES of one. Raises SourceError `out_of_reach` where it begins too early.

    `reach_days`: closed days that can be had; `requests_a_day`: typical, for one symbol. `fetch_since`, of an API
    that reaches back a day and no further: every trade from that time on; what it says of the day that is not over
    is then kept for the next run."""

    side: Side
    fetch: Callable[[Http, str, Window, datetime], Iterator[Body]]
    parse: Callable[[Body], pa.Table]
    reach_days: int
    requests_a_day: float = 1.0
    fetch_since: Callable[[Http, str, datetime, datetime], Iterator[Body]] | None = None


@dataclass(frozen=True)
class Lacking:
    """Days that an answer could not bring, and why (Absent: they are not there, or not yet); others may follow."""

    window: Window
    error: SourceError


@dataclass(frozen=True)
class Series:
    """More that is known of a symbol and UTC day: `table`, which is also the name of the dataset, and whom to ask.

    `fetch(http, symbol, window, now)` yields bodies, oldest first, and what lacks. A body tells in its context the
    days that it answers for (`start`, `end`, excluded); pages of one answer tell the same days. `parse` understands
    many bodies at once.

    `first`: nothing is there from before that day. `most_symbols`: of those followed, so many are asked about (None:
    all). `repull_days`: the newest days, asked for again by each run. `reach_days`: closed days that can be had.
    `newest_days`: a run that does not name its first day asks for no more than these. `days_together`: of one
    question. `requests_a_day`: for one symbol, where many days are asked for."""

    table: str
    host: Host
    fetch: Callable[[Http, str, Window, datetime], Iterator[Body | Lacking]]
    parse: Callable[..., Parsed]
    first: date
    most_symbols: int | None = None
    repull_days: int = 0
    reach_days: int | None = None
    newest_days: int | None = None
    days_together: int | None = None
    requests_a_day: float = 1.0


@dataclass(frozen=True)
class Exchange:
    """An exchange that publishes how much takers bought, per symbol and UTC day.

    `pair_of` splits a symbol as the exchange spells it into base and quote asset (upper case); None where it
    cannot. `server_time` reads the exchange's clock from the first body of `fetch_symbols`; None: it does not tell.
    `is_default`: asked where nobody names the exchanges; the others cost so much that one asks for them by name.
    `market`: what is traded; its tables are `<market>_symbols` and `<market>_flows`. `series`: what else is asked
    for. `most_symbols`: only so many are followed, those with the greatest volume by `fetch_volumes` (quote volume of
    the last day by symbol)."""

    host: Host
    fetch_symbols: Callable[[Http], Iterator[Body]]
    parse_symbols: Callable[[Body], Parsed]
    server_time: Callable[[Body], datetime] | None
    flows: Klines | TradeFiles | TradePages
    pair_of: Callable[[str], tuple[str, str] | None] | None = None
    is_default: bool = True
    market: str = "spot"
    series: tuple[Series, ...] = ()
    most_symbols: int | None = None
    fetch_volumes: Callable[[Http], Mapping[str, float]] | None = None

    @property
    def symbols_table(self) -> str:
        return f"{self.market}_symbols"

    @property
    def flows_table(self) -> str:
        return f"{self.market}_flows"

    @property
    def tables(self) -> tuple[str, ...]:
        """Whatever asking this exchange fills first: the names of its datasets."""
        return (self.symbols_table, self.flows_table, *(series.table for series in self.series))

    @property
    def estimates(self) -> Estimates | None:
        return self.flows.estimates if isinstance(self.flows, TradeFiles) else None

    @property
    def second(self) -> SecondSource | None:
        return self.flows.second if isinstance(self.flows, Klines) else None
