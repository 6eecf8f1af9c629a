"""HTX: the pairs of its API, and its archive of spot trades, two trees in one bucket.

Files are there for days of UTC+8 on which something was traded: up to January 2026 below `data/`, without a header and
mark in the name, from February on below `historical_data/`, both with. Recorded is a file of 2026; that the older have
id, time, price, size and side in this order, and how their numbers look, is from memory.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache, cached_property

import pyarrow as pa

from .archive_text import chosen, csv, fixed, trimmed, zipped
from .bucket import Bucket, File
from .market import HOUR_MS, Listing, Market, midnight_ms
from .periods import days_traded, span_of, start_of
from .venue import Venue
from .wire import Reply, Request, absent, json_reply

API, ARCHIVE = HOSTS = ("api.huobi.pro", "huobi-service-data.s3.amazonaws.com")
SERVED = ["/v1/common/symbols", "/v1/common/timestamp"]
CLOCK = 8
# A file is there so long after its day is over; from memory.
LAG = timedelta(hours=6)
SINCE = date(2026, 2, 1)
HEADER = "instId,tradeId,px,side,size,ts"
PLACES = 18


@dataclass(frozen=True)
class Tree:
    root: str
    first: date
    end: date
    mark: str


TREES = (
    Tree("data/trades/spot/daily/", date(2020, 6, 1), SINCE, ""),
    Tree("historical_data/spot/daily/trades/", SINCE, date.max, "-"),
)
FILE = re.compile(r"(?P<root>.+/)(?P<folder>[^/]+)/(?P<name>[^/]+)-trades-(?P<day>\d{4}-\d\d-\d\d)\.zip")


class Htx:
    def __init__(self, market: Market, is_limited: bool = True) -> None:
        self.venue = Venue(market, "htx")
        self.bucket = Bucket("huobi-service-data", _Files(market))

    def __call__(self, request: Request) -> Reply:
        if not self.venue.pairs:
            return absent(request, [])
        if request.host == ARCHIVE:
            return self.bucket.get(request.path[1:]) if request.path != "/" else self.bucket.list(request)
        if request.path == "/v1/common/timestamp":
            return json_reply({"status": "ok", "data": self.venue.now_ms})
        if request.path == "/v1/common/symbols":
            return json_reply({"status": "ok", "data": [self._entry(pair) for pair in self.venue.pairs.values()]})
        return absent(request, SERVED)

    def _entry(self, pair: Listing) -> dict:
        base, quote = pair.base.lower(), pair.quote.lower()
        return {
            "base-currency": base,
            "quote-currency": quote,
            "price-precision": pair.price_decimals,
            "amount-precision": pair.base_decimals,
            "symbol-partition": "main",
            "symbol": base + quote,
            "state": "offline" if self.venue.has_ended(pair) else "online",
            "value-precision": 8,
            "min-order-amt": 10.0**-pair.base_decimals,
            "max-order-amt": 10000,
            "min-order-value": 5,
        }


class _Files:
    def __init__(self, market: Market) -> None:
        self.market = market
        self._days = cache(self._days_of)

    @cached_property
    def pairs(self) -> Mapping[str, Mapping[str, Listing]]:
        """By root of the tree, then by folder."""
        listed = self.market.listings("htx").values()
        return {tree.root: {f"{pair.base}{tree.mark}{pair.quote}": pair for pair in listed} for tree in TREES}

    def names(self, folder: str) -> Iterable[str]:
        above = {tree.root[len(folder) :].partition("/")[0] + "/" for tree in TREES if self._is_above(folder, tree)}
        if above:
            return above
        for tree in TREES:
            name = folder.removeprefix(tree.root).removesuffix("/")
            if folder == tree.root:
                return [f"{name}/" for name, pair in self.pairs[tree.root].items() if self._days(tree, pair)]
            if folder == f"{tree.root}{name}/" and name in self.pairs[tree.root]:
                return [f"{name}-trades-{day}.zip" for day in self._days(tree, self.pairs[tree.root][name])]
        return []

    def _is_above(self, folder: str, tree: Tree) -> bool:
        is_below = tree.root.startswith(folder) and tree.root != folder
        return is_below and any(self._days(tree, pair) for pair in self.pairs[tree.root].values())

    def _days_of(self, tree: Tree, pair: Listing) -> list[date]:
        """Days with a file."""
        found = days_traded(self.market, "htx", pair, CLOCK)
        return [day for day in found if tree.first <= day < tree.end and _written(day) <= start_of(self.market.now)]

    def file(self, key: str) -> File | None:
        found = FILE.fullmatch(key)
        tree = next((tree for tree in TREES if found and tree.root == found["root"]), None)
        if found is None or tree is None or found["folder"] != found["name"]:
            return None
        pair, span = self.pairs[tree.root].get(found["name"]), span_of("daily", found["day"])
        if pair is None or span is None or span[0] not in self._days(tree, pair):
            return None
        member = key.rpartition("/")[2].removesuffix(".zip") + ".csv"
        return File(_written(span[0]), lambda: zipped(member, self._rows(tree, pair, span[0])))

    def _rows(self, tree: Tree, pair: Listing, day: date) -> bytes:
        start = midnight_ms(day) - CLOCK * HOUR_MS
        trades = self.market.trades("htx", pair.name, start, start + 24 * HOUR_MS)
        assert trades is not None
        ids, times = pa.array(trades.ids), pa.array(trades.times_us // 1000)
        side = chosen(trades.labelled_buys, "buy", "sell")
        if not tree.mark:
            price, size = trimmed(trades.price, trades.price_decimals), trimmed(trades.size, trades.base_decimals)
            return csv([ids, times, price, size, side])
        price = fixed(trades.price, trades.price_decimals, PLACES)
        size = fixed(trades.size, trades.base_decimals, PLACES)
        return csv([f"{pair.base}-{pair.quote}", ids, price, side, size, times], HEADER)


def _written(day: date) -> datetime:
    return start_of(day) + timedelta(hours=24 - CLOCK) + LAG
