"""KuCoin's archive of spot trades, historical-data.kucoin.com: a bucket that lists itself, a zip for every day.

The checksum beside it is an MD5. Names have no dash (BTCUSDT), sides are the taker's, numbers have twenty places.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from functools import cached_property

import pyarrow as pa

from .archive_text import chosen, csv, fixed, zipped
from .bucket import Bucket, File
from .market import DAY_MS, Listing, Market, midnight_ms
from .periods import days_listed, span_of, start_of
from .wire import Reply, Request, absent

HOSTS = ("historical-data.kucoin.com",)
# Where the archive begins is not known, nor at what hour of the next day a file is there.
LAG = timedelta(hours=8)
ROOT = "data/spot/daily/trades/"
HEADER = "trade_id,trade_time,price,size,side"
FILE = re.compile(ROOT + r"(?P<folder>[^/]+)/(?P<symbol>[^/]+)-trades-(?P<day>\d{4}-\d\d-\d\d)\.zip")


class KuCoin:
    def __init__(self, market: Market, is_limited: bool = True) -> None:
        self.market = market
        self.bucket = Bucket("k-line-history-data", _Files(market), "md5")

    def __call__(self, request: Request) -> Reply:
        if "kucoin" not in self.market.exchanges():
            return absent(request, [])
        return self.bucket.get(request.path[1:]) if request.path != "/" else self.bucket.list(request)


class _Files:
    def __init__(self, market: Market) -> None:
        self.market = market

    @cached_property
    def pairs(self) -> Mapping[str, Listing]:
        return {pair.base + pair.quote: pair for pair in self.market.listings("kucoin").values()}

    def names(self, folder: str) -> Iterable[str]:
        if not folder.startswith(ROOT):
            return [ROOT[len(folder) :].partition("/")[0] + "/"] if ROOT.startswith(folder) else []
        symbol = folder.removeprefix(ROOT).removesuffix("/")
        if not symbol:
            return [name + "/" for name, pair in self.pairs.items() if self._days(pair)]
        days = self._days(self.pairs[symbol]) if symbol in self.pairs else []
        return [f"{symbol}-trades-{day}.zip" for day in days]

    def _days(self, pair: Listing) -> list[date]:
        """Days with a file."""
        return days_listed(pair, date.min, (start_of(self.market.now) - LAG).date())

    def file(self, key: str) -> File | None:
        found = FILE.fullmatch(key)
        span = span_of("daily", found["day"]) if found else None
        if found is None or span is None or found["folder"] != found["symbol"] or found["symbol"] not in self.pairs:
            return None
        pair, written = self.pairs[found["symbol"]], start_of(span[1]) + LAG
        if written > start_of(self.market.now) or not days_listed(pair, *span):
            return None
        member = key.rpartition("/")[2].removesuffix(".zip") + ".csv"
        return File(written, lambda: zipped(member, self._rows(pair, span[0])))

    def _rows(self, pair: Listing, day: date) -> bytes:
        start = midnight_ms(day)
        trades = self.market.trades("kucoin", pair.name, start, start + DAY_MS)
        if trades is None:
            return HEADER.encode() + b"\n"
        price, size = fixed(trades.price, trades.price_decimals, 20), fixed(trades.size, trades.base_decimals, 20)
        side = chosen(trades.labelled_buys, "BUY", "SELL")
        return csv([pa.array(trades.ids), pa.array(trades.times_us // 1000), price, size, side], HEADER)
