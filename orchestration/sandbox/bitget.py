"""Bitget: the pairs of its API, the files of its archive of spot trades, and the index that alone tells their names.

Files are of days of UTC+8 on which something was traded, in parts, each with a header; times are whole seconds.
Recorded is a file; the index is undocumented, and its form, its limits and the names of files are from memory.
https://www.bitget.com/api-doc/spot/market/Get-Symbols
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from functools import cache, cached_property
from typing import Any

import numpy as np
import pyarrow as pa

from .archive_text import chosen, csv, fixed, zipped
from .bucket import Bucket, File, error
from .limits import SlidingWindow
from .market import HOUR_MS, Listing, Market, Trades, midnight_ms
from .periods import days_traded, span_of, start_of
from .venue import Venue, part
from .wire import Reply, Request, absent, json_reply

API, INDEX, FILES = HOSTS = ("api.bitget.com", "www.bitget.com", "img.bitgetimg.com")
SYMBOLS = "/api/v2/spot/public/symbols"
INDEX_PATH = "/v1/statistics/public/download/getPublicDataV2"
CLOCK = 8
# A day's files come at 03:00 UTC of the day after the next.
LAG = timedelta(hours=35)
# 100,000 there; here no day has more than some dozens of trades, and some shall have several parts.
PART_ROWS = 20
# So often each file is named in an answer of the index.
REPEATED = 4
DAYS_ASKED, PAIRS_ASKED = 7, 5
LIMIT, SECONDS = 15, 10.0
HEADER = "trade_id,timestamp,price,side,volume(quote),size(base)"
ROOT = "online/trades/SPBL/"
# From these days on names are of another form.
PLAIN_SINCE, NAMED_SINCE = date(2024, 4, 19), date(2026, 8, 18)
FILE = re.compile(
    ROOT + r"(?P<folder>[^/]+)/(?:[^/]+_)?(?P<year>\d{4})(?P<month>\d\d)(?P<date>\d\d)_(?P<part>\d{3})\.zip"
)


class Bitget:
    def __init__(self, market: Market, is_limited: bool = True) -> None:
        self.venue = Venue(market, "bitget")
        self.files = _Files(market)
        self.bucket = Bucket("online", self.files)
        self.window = SlidingWindow(LIMIT if is_limited else 0, SECONDS)

    def __call__(self, request: Request) -> Reply:
        if not self.venue.pairs:
            return absent(request, [])
        if request.host == FILES:
            reply = self.bucket.get(request.path[1:])
            # Nobody may list this bucket, so it does not say whether a file is there.
            return error(403, "AccessDenied", "Access Denied") if reply.status == 404 else reply
        if request.host == API and request.path == SYMBOLS:
            entries = [self._entry(pair) for pair in self.venue.pairs.values()]
            return json_reply({"code": "00000", "msg": "success", "requestTime": self.venue.now_ms, "data": entries})
        if request.host == INDEX and request.path == INDEX_PATH:
            return self._index(request)
        return absent(request, [API + SYMBOLS, INDEX + INDEX_PATH])

    def _entry(self, pair: Listing) -> dict[str, str]:
        return {
            "symbol": pair.base + pair.quote,
            "baseCoin": pair.base,
            "quoteCoin": pair.quote,
            "minTradeAmount": "0",
            "maxTradeAmount": "900000000000000000000",
            "takerFeeRate": "0.002",
            "makerFeeRate": "0.002",
            "pricePrecision": str(pair.price_decimals),
            "quantityPrecision": str(pair.base_decimals),
            "quotePrecision": str(pair.price_decimals + pair.base_decimals),
            "status": "offline" if self.venue.has_ended(pair) else "online",
            "minTradeUSDT": "1",
            "buyLimitPriceRatio": "0.05",
            "sellLimitPriceRatio": "0.05",
            "areaSymbol": "no",
            "orderQuantity": "200",
            "openTime": str(midnight_ms(pair.first)),
            "offTime": "",
        }

    def _index(self, request: Request) -> Reply:
        if self.window.charge().retry_after is not None:
            return json_reply({"code": "429", "msg": "Too Many Requests"}, 429)
        try:
            asked = json.loads(request.body)
            names = asked["displaySymbol"]
            first, last = (date.fromisoformat(asked[name]) for name in ("beginTimeStr", "endTimeStr"))
            kinds = tuple(asked[name] for name in ("businessLine", "businessType", "dateType"))
        except (ValueError, KeyError, TypeError):
            return _refused()
        if kinds[0] not in (1, 2) or kinds[1] not in (1, 2, 3) or not isinstance(names, list):
            return _refused()
        if len(names) > PAIRS_ASKED or not 0 <= (last - first).days < DAYS_ASKED:
            return _refused()
        rows = list(self._rows(names, first, last)) if kinds == (1, 2, 1) else []
        return json_reply({"code": "200", "msg": "success", "data": rows})

    def _rows(self, names: Sequence[str], first: date, last: date) -> Iterator[dict[str, Any]]:
        """A name that is not known, or is spelled otherwise, has no files."""
        for name in names:
            pair = self.venue.pairs.get(name)
            for day in self.files.days(pair) if pair else ():
                if not first <= day <= last or pair is None:
                    continue
                for number in range(1, self.files.part_count(pair, day) + 1):
                    url = f"https://{FILES}/{path_of(pair, day, number)}"
                    row = {"dateTimeStr": str(day), "displayName": name, "fileName": f"{name}-{day:%Y%m%d}.zip"}
                    yield from [row | {"fileUrl": url}] * REPEATED


def path_of(pair: Listing, day: date, number: int) -> str:
    symbol, ending = pair.base + pair.quote, f"{day:%Y%m%d}_{number:03}.zip"
    if day < PLAIN_SINCE:
        ending = f"{symbol}_SPBL_{ending}"
    elif day >= NAMED_SINCE:
        ending = f"{symbol}_{ending}"
    return f"{ROOT}{symbol}/{ending}"


class _Files:
    def __init__(self, market: Market) -> None:
        self.market = market
        self.days = cache(self._days_of)

    @cached_property
    def pairs(self) -> Mapping[str, Listing]:
        return {pair.base + pair.quote: pair for pair in self.market.listings("bitget").values()}

    def names(self, folder: str) -> Iterable[str]:
        return []

    def _days_of(self, pair: Listing) -> list[date]:
        """Days with files."""
        found = days_traded(self.market, "bitget", pair, CLOCK)
        return [day for day in found if _written(day) <= start_of(self.market.now)]

    def part_count(self, pair: Listing, day: date) -> int:
        return -(-len(self._trades(pair, day).ids) // PART_ROWS)

    def file(self, key: str) -> File | None:
        found = FILE.fullmatch(key)
        pair = self.pairs.get(found["folder"]) if found else None
        span = span_of("daily", "-".join(found.group("year", "month", "date"))) if found else None
        if found is None or pair is None or span is None or span[0] not in self.days(pair):
            return None
        day, number = span[0], int(found["part"])
        if not 1 <= number <= self.part_count(pair, day) or path_of(pair, day, number) != key:
            return None
        member = key.rpartition("/")[2].removesuffix(".zip") + ".csv"
        return File(_written(day), lambda: zipped(member, self._rows(pair, day, number)))

    def _trades(self, pair: Listing, day: date) -> Trades:
        start = midnight_ms(day) - CLOCK * HOUR_MS
        trades = self.market.trades("bitget", pair.name, start, start + 24 * HOUR_MS)
        assert trades is not None
        return trades

    def _rows(self, pair: Listing, day: date, number: int) -> bytes:
        trades = part(self._trades(pair, day), slice((number - 1) * PART_ROWS, number * PART_ROWS))
        places = trades.price_decimals + trades.base_decimals
        columns = [
            pa.array(trades.ids),
            pa.array(trades.times_us // 1_000_000 * 1000),
            fixed(trades.price, trades.price_decimals),
            chosen(trades.labelled_buys, "buy", "sell"),
            fixed(np.multiply(trades.price, trades.size), places),
            fixed(trades.size, trades.base_decimals),
        ]
        return csv(columns, HEADER)


def _written(day: date) -> datetime:
    return start_of(day) + timedelta(hours=24 - CLOCK) + LAG


def _refused() -> Reply:
    return json_reply({"code": "40003", "msg": "Parameter verification failed", "data": None})
