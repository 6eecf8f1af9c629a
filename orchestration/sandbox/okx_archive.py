"""OKX's archive of trades on static.okx.com; nothing lists it. https://www.okx.com/historical-data.

Days and months are those of UTC+8: the file of day D holds D-1 16:00 UTC to D 16:00 UTC.
"""

import hashlib
import re
from datetime import date, timedelta
from functools import lru_cache

import pyarrow as pa

from .archive_text import chosen, csv, float_text, zipped
from .bucket import no_such_key
from .market import HOUR_MS, Listing, Market, midnight_ms
from .periods import span_of
from .wire import Reply, Request, absent

HOSTS = ("static.okx.com",)
ROOT = "/cdn/okex/traderecords/trades/"
CLOCK = 8 * HOUR_MS
FIRST_DAY = date(2021, 9, 1)
# The file of day T is there on T+2; a month's as that of its last day.
LAG = timedelta(days=2)
# The file of all pairs stood in the folder of its month, later in that of its day; recorded: 2024-09 and 2025-07.
OWN_FOLDER_SINCE = date(2025, 1, 1)
# Old files have Chinese beside the names of the columns, and capital sides. From memory: the day and the Chinese.
OLD_FORM_BEFORE = date(2023, 1, 1)
HEADER = "instrument_name,trade_id,side,price,size,created_time"
OLD_HEADER = "instrument_name/交易币对名,trade_id/撮合id,side/交易方向,price/价格,size/数量,created_time/成交时间"
PATH = re.compile(r"(?P<grain>daily|monthly)/(?P<folder>\d+)/(?P<what>.+)-trades-(?P<period>[\d-]+)\.zip")
ALL = "allspot"
KEPT_FILES = 64


class OkxArchive:
    def __init__(self, market: Market, is_limited: bool = True) -> None:
        self.market = market
        self._file = lru_cache(maxsize=KEPT_FILES)(self._make)

    def __call__(self, request: Request) -> Reply:
        if "okx" not in self.market.exchanges():
            return absent(request, [])
        body = self._file(request.path)
        if body is None:
            return no_such_key(request.path[1:])
        return Reply(body, 200, "application/zip", (("ETag", f'"{hashlib.md5(body).hexdigest()}"'),))

    def _make(self, path: str) -> bytes | None:
        found = PATH.fullmatch(path.removeprefix(ROOT)) if path.startswith(ROOT) else None
        if found is None:
            return None
        grain, folder, what, period = found.group("grain", "folder", "what", "period")
        is_whole = what == ALL
        span = span_of("daily" if is_whole else grain, period)
        if span is None or folder != self._folder(grain, period, is_whole, span[0]):
            return None
        if span[1] - timedelta(days=1) + LAG > self.market.now:
            return None
        if span[1] <= FIRST_DAY:
            return None
        # The pairs that are listed on a UTC day which the file touches.
        first = max(span[0], FIRST_DAY)
        pairs = [
            pair
            for pair in sorted(self.market.listings("okx").values(), key=instrument)
            if pair.first < span[1]
            and (pair.end is None or pair.end >= first)
            and (is_whole or instrument(pair) == what)
        ]
        start, end = midnight_ms(first) - CLOCK, midnight_ms(span[1]) - CLOCK
        is_old = first < OLD_FORM_BEFORE
        rows = b"".join(self._rows(pair, start, end, is_old) for pair in pairs)
        if not rows:
            return None
        header = (OLD_HEADER.encode("gbk") if is_old else HEADER.encode()) + b"\n"
        return zipped(f"{what}-trades-{period}.csv", header + rows)

    def _folder(self, grain: str, period: str, is_whole: bool, day: date) -> str | None:
        if is_whole:
            wanted = "daily" if day >= OWN_FOLDER_SINCE else "monthly"
            return None if grain != wanted else f"{day:%Y%m%d}" if grain == "daily" else f"{day:%Y%m}"
        return period.replace("-", "")

    def _rows(self, pair: Listing, start: int, end: int, is_old: bool) -> bytes:
        found = self.market.trades("okx", pair.name, start, end)
        if found is None or not len(found.ids):
            return b""
        side = chosen(found.labelled_buys, "BUY", "SELL") if is_old else chosen(found.labelled_buys, "buy", "sell")
        price, size = float_text(found.price, found.price_decimals), float_text(found.size, found.base_decimals)
        return csv([instrument(pair), pa.array(found.ids), side, price, size, pa.array(found.times_us // 1000)])


def instrument(pair: Listing) -> str:
    return f"{pair.base}-{pair.quote}"
