"""Bybit's public archive of spot trades, public.bybit.com: gzipped CSV and an HTML index of every folder.

Days and months lie in one folder and overlap; ids begin at 1 every day. Sides are the taker's.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from functools import cached_property

import numpy as np
import pyarrow as pa

from .archive_text import chosen, csv, gzipped, trimmed
from .bucket import Bucket, File
from .market import DAY_MS, Listing, Market, midnight_ms
from .periods import days_listed, next_month, span_of, start_of
from .wire import Reply, Request, absent

HOSTS = ("public.bybit.com",)
FIRST_DAY = date(2022, 11, 10)
# A file is there so long after its day, or its month, is over; the hour is from memory.
LAG = timedelta(hours=8)
RPI_SINCE = date(2025, 4, 1)
HEADER = "id,timestamp,price,volume,side"
FILE = re.compile(r"spot/(?P<folder>[^/]+)/(?P<symbol>[^/]+)(?P<mark>[-_])(?P<period>\d{4}-\d\d(?:-\d\d)?)\.csv\.gz")
GRAINS = {"_": "daily", "-": "monthly"}


class Bybit:
    def __init__(self, market: Market, is_limited: bool = True) -> None:
        self.market = market
        self.files = _Files(market)
        self.bucket = Bucket("public.bybit.com", self.files)

    def __call__(self, request: Request) -> Reply:
        if "bybit" not in self.market.exchanges():
            return absent(request, [])
        folder = request.path[1:]
        if folder and not folder.endswith("/"):
            return self.bucket.get(folder)
        # Query parameters are ignored here, as the real edge ignores them.
        names = sorted(self.files.names(folder))
        return Reply(index(folder, names).encode(), 200, "text/html") if names else self.bucket.get(folder)


def bucket(market: Market) -> Bucket:
    return Bucket("public.bybit.com", _Files(market))


def index(folder: str, names: Iterable[str]) -> str:
    """A list of links; the markup around it is from memory."""
    links = "\n".join(f'<li><a href="{name}">{name}</a></li>' for name in names)
    title = f"Index of {folder or '/'}"
    head = f"<!DOCTYPE html>\n<html>\n<head><title>{title}</title></head>\n<body>\n<h1>{title}</h1>\n<ul>\n"
    return f"{head}{links}\n</ul>\n</body>\n</html>\n"


class _Files:
    def __init__(self, market: Market) -> None:
        self.market = market

    @cached_property
    def pairs(self) -> Mapping[str, Listing]:
        if "bybit" not in self.market.exchanges():
            return {}
        return {pair.base + pair.quote: pair for pair in self.market.listings("bybit").values()}

    def names(self, folder: str) -> Iterable[str]:
        if folder == "":
            return ["spot/"] if self.pairs else []
        if folder == "spot/":
            return [symbol + "/" for symbol, pair in self.pairs.items() if self._days(pair)]
        symbol = folder.removeprefix("spot/").removesuffix("/")
        if folder != f"spot/{symbol}/" or symbol not in self.pairs:
            return []
        days = self._days(self.pairs[symbol])
        months = dict.fromkeys(day.replace(day=1) for day in days)
        found = [f"{symbol}-{month:%Y-%m}.csv.gz" for month in months if self._written(next_month(month))]
        return found + [f"{symbol}_{day}.csv.gz" for day in days]

    def _days(self, pair: Listing) -> list[date]:
        """Days with a file."""
        return days_listed(pair, FIRST_DAY, (start_of(self.market.now) - LAG).date())

    def _written(self, end: date) -> datetime | None:
        return start_of(end) + LAG if start_of(end) + LAG <= start_of(self.market.now) else None

    def file(self, key: str) -> File | None:
        found = FILE.fullmatch(key)
        if found is None or found["folder"] != found["symbol"] or found["symbol"] not in self.pairs:
            return None
        span, pair = span_of(GRAINS[found["mark"]], found["period"]), self.pairs[found["symbol"]]
        written = self._written(span[1]) if span else None
        if span is None or written is None:
            return None
        days = days_listed(pair, max(span[0], FIRST_DAY), span[1])
        name = key.rpartition("/")[2].removesuffix(".gz")
        return File(written, lambda: gzipped(name, self._rows(pair, days))) if days else None

    def _rows(self, pair: Listing, days: list[date]) -> bytes:
        end = midnight_ms(days[-1]) + DAY_MS
        trades = self.market.trades("bybit", pair.name, midnight_ms(days[0]), end)
        if trades is None or not len(trades.ids):
            return b""
        times = trades.times_us // 1000
        firsts = np.searchsorted(times, times - times % DAY_MS)
        columns: list[pa.Array | str] = [
            pa.array(np.arange(len(times)) - firsts + 1),
            pa.array(times),
            trimmed(trades.price, trades.price_decimals),
            trimmed(trades.size, trades.base_decimals),
            chosen(trades.labelled_buys, "buy", "sell"),
        ]
        has_rpi = days[0] >= RPI_SINCE
        return csv([*columns, "0"] if has_rpi else columns, HEADER + ",rpi" if has_rpi else HEADER)
