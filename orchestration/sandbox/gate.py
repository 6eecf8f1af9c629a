"""Gate's archive of spot deals, download.gatedata.org: a gzipped CSV per pair and month, without a header.

Times are seconds with six places; side 1 is a taker who buys, 2 one who sells.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from functools import cached_property

import numpy as np
import pyarrow as pa

from .archive_text import chosen, csv, fixed, gzipped
from .bucket import Bucket, File
from .market import Listing, Market, midnight_ms
from .periods import next_month, span_of, start_of
from .wire import Reply, Request, absent

HOSTS = ("download.gatedata.org",)
# A month is generated on the 1st of the next; the hour is from memory.
LAG = timedelta(hours=12)
# Some files run backwards; which is not known.
DESCENDING_BEFORE = date(2021, 1, 1)
ROOT = "spot/deals/"
FILE = re.compile(ROOT + r"(?P<folder>\d{6})/(?P<symbol>[^/]+)-(?P<month>\d{6})\.csv\.gz")


class Gate:
    def __init__(self, market: Market, is_limited: bool = True) -> None:
        self.market = market
        self.bucket = bucket(market)

    def __call__(self, request: Request) -> Reply:
        if "gate" not in self.market.exchanges():
            return absent(request, [])
        if request.path != "/":
            return self.bucket.get(request.path[1:])
        # Whatever is asked, the edge lists the first keys; one pages on the bucket's own host.
        return self.bucket.list(Request(request.host, "/", {}, request.base_url))


def bucket(market: Market) -> Bucket:
    return Bucket("gateio-public-data", _Files(market))


class _Files:
    def __init__(self, market: Market) -> None:
        self.market = market

    @cached_property
    def pairs(self) -> Mapping[str, Listing]:
        if "gate" not in self.market.exchanges():
            return {}
        return {f"{pair.base}_{pair.quote}": pair for pair in self.market.listings("gate").values()}

    def names(self, folder: str) -> Iterable[str]:
        if not folder.startswith(ROOT):
            return [ROOT[len(folder) :].partition("/")[0] + "/"] if ROOT.startswith(folder) and self.pairs else []
        if folder == ROOT:
            month, found = min(pair.first for pair in self.pairs.values()).replace(day=1), []
            while self._written(month) <= start_of(self.market.now):
                found.append(f"{month:%Y%m}/")
                month = next_month(month)
            return found
        period = folder.removeprefix(ROOT).removesuffix("/")
        return [f"{symbol}-{period}.csv.gz" for symbol in self.pairs if self._month(symbol, period)]

    def _month(self, symbol: str, period: str) -> date | None:
        """The first day of a month that there is a file of."""
        span, pair = span_of("monthly", f"{period[:4]}-{period[4:]}"), self.pairs.get(symbol)
        if span is None or pair is None or self._written(span[0]) > start_of(self.market.now):
            return None
        return span[0] if pair.first < span[1] and (pair.end is None or span[0] < pair.end) else None

    def _written(self, month: date) -> datetime:
        return start_of(next_month(month)) + LAG

    def file(self, key: str) -> File | None:
        found = FILE.fullmatch(key)
        month = self._month(found["symbol"], found["month"]) if found and found["folder"] == found["month"] else None
        if found is None or month is None:
            return None
        name, pair = key.rpartition("/")[2].removesuffix(".gz"), self.pairs[found["symbol"]]
        return File(self._written(month), lambda: gzipped(name, self._rows(pair, month)))

    def _rows(self, pair: Listing, month: date) -> bytes:
        trades = self.market.trades("gate", pair.name, midnight_ms(month), midnight_ms(next_month(month)))
        if trades is None:
            return b""
        order = np.arange(len(trades.ids))[:: -1 if month < DESCENDING_BEFORE else 1]
        columns = [
            fixed(trades.times_us[order], 6),
            pa.array(trades.ids[order]),
            fixed(trades.price[order], trades.price_decimals),
            fixed(trades.size[order], trades.base_decimals),
            chosen(trades.labelled_buys[order], "1", "2"),
        ]
        return csv(columns)
