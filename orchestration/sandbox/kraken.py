"""Kraken REST: https://docs.kraken.com/api (public market data).

Every answer has status 200; what went wrong stands in `error`. Bitcoin is XBT, Dogecoin XDG, and assets of the first
years have a letter before their name: X for coins, Z for money.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime

import numpy as np

from .amounts import fixed, quotient
from .limits import SlidingWindow
from .market import Bars, Listing, Market, Trades
from .venue import Venue
from .wire import Reply, Request, absent, json_reply

HOSTS = ("api.kraken.com",)
ROOT = "/0/public/"
SERVED = [ROOT + name for name in ("AssetPairs", "Trades", "OHLC", "Depth", "Time")]
RENAMED = {"BTC": "XBT", "DOGE": "XDG"}
OLD_COINS = ["XBT", "ETH", "LTC", "XRP", "XLM", "XDG", "ETC", "ZEC", "XMR", "REP", "MLN"]
MONEY = ["USD", "EUR", "GBP", "CAD", "JPY", "AUD", "KRW"]
PAGE, BARS, DEPTH = 1000, 720, 500
INTERVALS = {"1": None, "5": None, "15": None, "30": None, "60": "1h", "240": None, "1440": "1d", "10080": None}
INTERVALS |= {"21600": None}
# A counter that goes up to 15 and down by one a second.
COUNTER, COUNTER_SECONDS = 15, 15
FEES = [
    [0, 0.26],
    [50000, 0.24],
    [100000, 0.22],
    [250000, 0.2],
    [500000, 0.18],
    [1000000, 0.16],
    [2500000, 0.14],
    [5000000, 0.12],
    [10000000, 0.1],
]


class KrakenError(Exception):
    pass


class Kraken:
    def __init__(self, market: Market, is_limited: bool = True) -> None:
        self.venue = Venue(market, "kraken")
        self.window = SlidingWindow(COUNTER if is_limited else 0, COUNTER_SECONDS)
        self.keys = {name: key_of(listing) for name, listing in self.venue.live.items()}
        self.names: dict[str, str] = {}
        for name, key in self.keys.items():
            base, quote = (altname(asset) for asset in name.split("/"))
            self.names |= dict.fromkeys((key, base + quote, f"{base}/{quote}"), name)

    def __call__(self, request: Request) -> Reply:
        if not self.venue.pairs:
            return absent(request, [])
        answers = {"AssetPairs": self._pairs, "Trades": self._trades, "OHLC": self._bars, "Depth": self._depth}
        wanted = request.path.removeprefix(ROOT)
        if self.window.charge().retry_after is not None:
            return json_reply({"error": ["EGeneral:Too many requests"]})
        if wanted == "Time":
            now = datetime.fromtimestamp(self.venue.now_ms / 1000, UTC)
            stamp = {"unixtime": self.venue.now_ms // 1000, "rfc1123": f"{now:%a, %d %b %y %H:%M:%S} +0000"}
            return json_reply({"error": [], "result": stamp})
        if wanted not in answers:
            return absent(request, SERVED)
        try:
            return answers[wanted](request)
        except KrakenError as error:
            return json_reply({"error": [str(error)]})

    def _name(self, query: Mapping[str, str]) -> str:
        if not query.get("pair"):
            raise KrakenError("EGeneral:Invalid arguments")
        if query["pair"] not in self.names:
            raise KrakenError("EQuery:Unknown asset pair")
        return self.names[query["pair"]]

    def _pairs(self, request: Request) -> Reply:
        names = list(self.keys)
        if "pair" in request.query:
            names = [self._name({"pair": pair}) for pair in request.query["pair"].split(",")]
        body = json_reply({"error": [], "result": {self.keys[n]: entry(self.venue.live[n]) for n in names}}).body
        return Reply(body.replace(b"/", b"\\/"))

    def _trades(self, request: Request) -> Reply:
        """Ascending, those after `since` (nanoseconds, excluded; small numbers are seconds); else the newest."""
        name, query = self._name(request.query), request.query
        since, count = integer(query, "since"), integer(query, "count")
        count = PAGE if count is None else max(1, min(count, PAGE))
        if since is None:
            found = self.venue.newest(name, count)
        else:
            since *= 10**9 if since < 10**12 else 1
            # One more, because the first may lie in the same microsecond and be the one that was seen.
            found = self.venue.oldest(name, count + 1, from_us=since // 1000)
        nanos = [us * 1000 + fraction(i) for us, i in zip(found.times_us.tolist(), found.ids.tolist(), strict=True)]
        first = sum(nano <= since for nano in nanos) if since is not None else 0
        rows, kept = trade_rows(found, nanos)[first : first + count], nanos[first : first + count]
        last = kept[-1] if kept else since or self.venue.now_ms * 10**6
        return Reply(f'{{"error":[],"result":{{"{self.keys[name]}":[{",".join(rows)}],"last":"{last}"}}}}'.encode())

    def _bars(self, request: Request) -> Reply:
        query, name = request.query, self._name(request.query)
        interval = query.get("interval", "1")
        if interval not in INTERVALS:
            raise KrakenError("EGeneral:Invalid arguments")
        bars = self.venue.bars(name, INTERVALS[interval] or "")
        if bars is None:
            return absent(request, {"interval": [name for name, known in INTERVALS.items() if known]})
        first = int(np.searchsorted(bars.times_ms, (integer(query, "since") or 0) * 1000, "right"))
        first = max(first, len(bars.times_ms) - BARS)
        rows = [bar_row(bars, i) for i in range(first, len(bars.times_ms))]
        last = int(bars.times_ms[-1]) // 1000 if len(bars.times_ms) else 0
        return json_reply({"error": [], "result": {self.keys[name]: rows, "last": last}})

    def _depth(self, request: Request) -> Reply:
        name = self._name(request.query)
        count = min(integer(request.query, "count") or 100, DEPTH)
        listing, book, now = self.venue.pairs[name], self.venue.book(name, count), self.venue.now_ms // 1000
        sides = {
            side: [
                [price_text(price, listing.price_decimals), fixed(size, listing.base_decimals, 3), now - 1 - i % 60]
                for i, (price, size) in enumerate(rows)
            ]
            for side, rows in (("asks", book.asks), ("bids", book.bids))
        }
        return json_reply({"error": [], "result": {self.keys[name]: sides}})


def altname(asset: str) -> str:
    return RENAMED.get(asset, asset)


def code_of(asset: str) -> str:
    name = altname(asset)
    return ("X" if name in OLD_COINS else "Z" if name in MONEY else "") + name


def key_of(listing: Listing) -> str:
    """The letters stand in a pair's key where both assets have one; Dogecoin's pairs with money came later."""
    base, quote = code_of(listing.base), code_of(listing.quote)
    is_old = (len(base), len(quote)) == (4, 4) and not (listing.base == "DOGE" and listing.quote in MONEY)
    is_old &= base != altname(listing.base) and quote != altname(listing.quote)
    if is_old or (listing.base, listing.quote) == ("USDT", "USD"):
        return base + quote
    return altname(listing.base) + altname(listing.quote)


def entry(listing: Listing) -> dict:
    """Fields and order as in the recorded answer of 2021."""
    base, quote = altname(listing.base), altname(listing.quote)
    return {
        "altname": base + quote,
        "wsname": f"{base}/{quote}",
        "aclass_base": "currency",
        "base": code_of(listing.base),
        "aclass_quote": "currency",
        "quote": code_of(listing.quote),
        "lot": "unit",
        "pair_decimals": listing.price_decimals,
        "lot_decimals": 8,
        "lot_multiplier": 1,
        "leverage_buy": [],
        "leverage_sell": [],
        "fees": FEES,
        "fees_maker": [[volume, round(fee - 0.1, 2) if fee > 0.1 else 0] for volume, fee in FEES],
        "fee_volume_currency": "ZUSD",
        "margin_call": 80,
        "margin_stop": 40,
        "ordermin": fixed(10, listing.base_decimals, listing.base_decimals),
    }


def fraction(trade_id: int) -> int:
    """The nanoseconds below the microsecond."""
    return trade_id * 487 % 1000


def trade_rows(trades: Trades, nanos: list[int]) -> list[str]:
    columns = (trades.ids, trades.price, trades.size, trades.labelled_buys)
    rows = []
    for nano, trade_id, price, size, buys in zip(nanos, *(c.tolist() for c in columns), strict=True):
        time = f"{nano // 10**9}.{nano % 10**9 // 100:07}".rstrip("0").rstrip(".")
        kind = "l" if trade_id % 3 else "m"
        text = f'["{price_text(price, trades.price_decimals)}","{fixed(size, trades.base_decimals, 8)}",{time},'
        rows.append(f'{text}"{"b" if buys else "s"}","{kind}","",{trade_id}]')
    return rows


def price_text(price: int, decimals: int) -> str:
    return fixed(price, decimals, max(5, decimals))


def bar_row(bars: Bars, i: int) -> list:
    prices = [fixed(int(c[i]), bars.price_decimals, bars.price_decimals) for c in (bars.open, bars.high, bars.low)]
    close = fixed(int(bars.close[i]), bars.price_decimals, bars.price_decimals)
    base, quote = int(bars.volume_base[i]), int(bars.volume_quote[i])
    mean = quotient(quote * 10**bars.base_decimals, base * 10**bars.quote_decimals, bars.price_decimals) if base else 0
    vwap = fixed(mean, bars.price_decimals, bars.price_decimals)
    volume = fixed(base, bars.base_decimals, 8)
    return [int(bars.times_ms[i]) // 1000, *prices, close, vwap, volume, int(bars.trades[i])]


def integer(query: Mapping[str, str], name: str) -> int | None:
    if name not in query:
        return None
    if not re.fullmatch("[0-9]{1,20}", query[name]):
        raise KrakenError("EGeneral:Invalid arguments")
    return int(query[name])
