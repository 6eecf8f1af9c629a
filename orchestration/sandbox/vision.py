"""Binance's archives, data.binance.vision: https://github.com/binance/binance-public-data.

Spot: daily and monthly klines (the text that REST answers with), trades and aggTrades. USD-M futures: daily and
monthly klines, daily metrics and bookDepth, monthly fundingRate. A checksum stands beside every file.
"""

import zlib
from collections.abc import Iterable, Mapping
from datetime import date, datetime, time, timedelta
from functools import lru_cache

import numpy as np

from .archive_text import zipped
from .bucket import Bucket, File
from .market import DAY_MS, Listing, Market, midnight_ms
from .periods import next_month, span_of, start_of
from .vision_rows import Dataset, Spot, UsdM
from .wire import Reply, Request, absent

HOSTS = ("data.binance.vision",)
# A day's file appears on the next day from 06:57 UTC on, a month's on the first Monday of the next month; the whole
# tree is written within some hundred minutes. So at 00:00 UTC, the market's now, yesterday is not yet there.
DAILY_LAG = timedelta(days=1)
FIRST_WRITTEN, WRITTEN_WITHIN_S = time(6, 57), 6180
SPOT, USDM = "data/spot/", "data/futures/um/"


class Vision:
    def __init__(self, market: Market, is_limited: bool = True) -> None:
        self.market = market
        self.bucket = bucket(market)

    def __call__(self, request: Request) -> Reply:
        if not self.market.exchanges():
            return absent(request, [])
        return self.bucket.get(request.path[1:])


@lru_cache(maxsize=1)
def bucket(market: Market) -> Bucket:
    """One for its listing and its downloads, so that what is listed is made once."""
    return Bucket("data.binance.vision", _Files(market), "sha256")


class _Files:
    def __init__(self, market: Market) -> None:
        self.market = market
        known = market.exchanges()
        self.sections: dict[str, Mapping[str, Dataset]] = {}
        self.symbols: dict[str, Mapping[str, Listing]] = {}
        for section, exchange, datasets in ((SPOT, "binance", Spot), (USDM, "binance_usdm", UsdM)):
            if exchange in known:
                self.symbols[section] = {pair.base + pair.quote: pair for pair in market.listings(exchange).values()}
                self.sections[section] = datasets(market, self.symbols[section]).datasets

    def names(self, folder: str) -> Iterable[str]:
        section = next((section for section in self.sections if folder.startswith(section)), None)
        if section is None:
            return {s[len(folder) :].partition("/")[0] + "/" for s in self.sections if s.startswith(folder)}
        datasets, parts = self.sections[section], folder.removeprefix(section).split("/")[:-1]
        if not parts:
            return {grain + "/" for dataset in datasets.values() for grain in dataset.grains}
        served = {name: dataset for name, dataset in datasets.items() if parts[0] in dataset.grains}
        if len(parts) == 1:
            return [name + "/" for name in served]
        dataset = served.get(parts[1])
        if dataset is None:
            return ()
        if len(parts) == 2:
            pairs = self.symbols[section].items()
            return [symbol + "/" for symbol, pair in pairs if self._has_begun(dataset, parts[0], pair)]
        grain, symbol = parts[0], parts[2]
        if symbol not in self.symbols[section]:
            return ()
        if len(parts) == 3 and dataset.intervals:
            return [i + "/" for i in dataset.intervals(symbol) if self._starts(dataset, grain, symbol, i)]
        if len(parts) != (4 if dataset.intervals else 3):
            return ()
        interval, label = (parts[3], parts[3]) if dataset.intervals else ("", parts[1])
        starts = self._starts(dataset, grain, symbol, interval)
        return [f"{symbol}-{label}-{start.isoformat()[: 10 if grain == 'daily' else 7]}.zip" for start in starts]

    def _has_begun(self, dataset: Dataset, grain: str, pair: Listing) -> bool:
        """Told from the listing: the rows of all pairs would take long."""
        first = max(pair.first, dataset.since)
        return (pair.end is None or first < pair.end) and self._written(grain, first, "") is not None

    def _starts(self, dataset: Dataset, grain: str, symbol: str, interval: str) -> list[date]:
        """First days of the published files."""
        if dataset.intervals and interval not in dataset.intervals(symbol):
            return []
        days = np.unique(dataset.times(symbol, interval) // DAY_MS).astype("datetime64[D]")
        found = np.unique(days.astype("datetime64[M]")) if grain == "monthly" else days
        starts = [max(start, dataset.since) for start in found.astype("datetime64[D]").tolist()]
        return [start for start in dict.fromkeys(starts) if self._written(grain, start, "") is not None]

    def _written(self, grain: str, start: date, name: str) -> datetime | None:
        """When the file that begins on `start` was put there; None if that is still to come."""
        if grain == "daily":
            day = start + DAILY_LAG
        else:
            day = next_month(start)
            day += timedelta(days=-day.weekday() % 7)
        written = datetime.combine(day, FIRST_WRITTEN) + timedelta(seconds=zlib.crc32(name.encode()) % WRITTEN_WITHIN_S)
        return written if written < start_of(self.market.now) else None

    def file(self, key: str) -> File | None:
        section = next((section for section in self.sections if key.startswith(section)), None)
        if section is None:
            return None
        grain, kind, *rest = key.removeprefix(section).split("/")
        dataset = self.sections[section].get(kind)
        if dataset is None or grain not in dataset.grains or len(rest) != (3 if dataset.intervals else 2):
            return None
        symbol, name, interval = rest[0], rest[-1], rest[1] if dataset.intervals else ""
        stem = f"{symbol}-{interval or kind}-"
        period = name.removeprefix(stem).removesuffix(".zip")
        if name != f"{stem}{period}.zip" or symbol not in self.symbols[section]:
            return None
        if dataset.intervals and interval not in dataset.intervals(symbol):
            return None
        span = span_of(grain, period)
        if span is None:
            return None
        start, end = max(span[0], dataset.since), span[1]
        written = self._written(grain, span[0], name)
        first, last = midnight_ms(start), midnight_ms(end)
        times = dataset.times(symbol, interval)
        if written is None or first >= last or not np.searchsorted(times, last) > np.searchsorted(times, first):
            return None
        member = name.removesuffix(".zip") + ".csv"
        return File(written, lambda: zipped(member, dataset.rows(symbol, interval, first, last)))
