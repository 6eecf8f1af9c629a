"""KuCoin REST: https://www.kucoin.com/docs-new (spot market data). `code` is "200000" where all went well."""

import re
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .amounts import fixed, quotient, short, step
from .limits import Charge
from .market import Bars, Listing, Market
from .venue import BOOK_LEVELS, Venue
from .wire import Reply, Request, absent, json_reply

HOSTS = ("api.kucoin.com",)
# Weights of the public pool.
WEIGHTS = {
    "/api/v1/timestamp": 3,
    "/api/v1/symbols": 4,
    "/api/v2/symbols": 4,
    "/api/v1/market/allTickers": 15,
    "/api/v1/market/histories": 3,
    "/api/v1/market/candles": 3,
    "/api/v1/market/orderbook/level2_20": 2,
    "/api/v1/market/orderbook/level2_100": 4,
    "/api/v3/market/orderbook/level2": 3,
}
POOL, POOL_SECONDS = 2000, 30
TYPES = {"1day": "1d", "1hour": "1h"}
KNOWN_TYPES = [
    "1min",
    "3min",
    "5min",
    "15min",
    "30min",
    "1hour",
    "2hour",
    "4hour",
    "6hour",
    "8hour",
    "12hour",
    "1day",
    "1week",
    "1month",
]
TRADES, CANDLES = 100, 1500
DOLLARS = ("USDT", "USDC", "TUSD", "USD", "DAI")


class KucoinError(Exception):
    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


class Pool:
    """So much weight in each span of `seconds`, which begins with its first request."""

    def __init__(self, limit: int, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.limit, self.seconds, self.clock = limit, seconds, clock
        self.since, self.used = float("-inf"), 0

    def charge(self, weight: int) -> Charge:
        now = self.clock()
        if now - self.since >= self.seconds:
            self.since, self.used = now, 0
        if self.limit and self.used + weight > self.limit:
            return Charge(self.used, int(self.seconds - (now - self.since)) + 1)
        self.used += weight
        return Charge(self.used)

    @property
    def resets_in_ms(self) -> int:
        return max(0, int((self.since + self.seconds - self.clock()) * 1000))


class Kucoin:
    def __init__(self, market: Market, is_limited: bool = True) -> None:
        self.venue = Venue(market, "kucoin")
        self.pool = Pool(POOL if is_limited else 0, POOL_SECONDS)
        self.names = {f"{listing.base}-{listing.quote}": name for name, listing in self.venue.live.items()}

    def __call__(self, request: Request) -> Reply:
        if not self.venue.pairs or request.path not in WEIGHTS:
            return absent(request, sorted(WEIGHTS) if self.venue.pairs else [])
        charge = self.pool.charge(WEIGHTS[request.path])
        left = max(0, POOL - charge.used)
        headers = (("gw-ratelimit-limit", str(POOL)), ("gw-ratelimit-remaining", str(left)))
        headers += (("gw-ratelimit-reset", str(self.pool.resets_in_ms)),)
        if charge.retry_after is not None:
            return json_reply({"code": "429000", "msg": "Too Many Requests"}, 429, headers)
        kind = request.query.get("type")
        if request.path.endswith("candles") and kind in KNOWN_TYPES and kind not in TYPES:
            return absent(request, {"type": list(TYPES)})
        try:
            return json_reply({"code": "200000", "data": self._answer(request.path, request.query)}, headers=headers)
        except KucoinError as error:
            return json_reply({"code": error.code, "msg": error.message}, headers=headers)

    def _answer(self, path: str, query: Mapping[str, str]) -> Any:
        if path == "/api/v1/timestamp":
            return self.venue.now_ms
        if path.endswith("/symbols"):
            names = [name for name in self.names.values() if query.get("market") in (None, market_of(name))]
            return [entry(self.venue.pairs[name]) for name in names]
        if path.endswith("/allTickers"):
            return {"time": self.venue.now_ms, "ticker": [self._ticker(symbol) for symbol in self.names]}
        if path.endswith("/histories"):
            return self._trades(self._name(query))
        if path.endswith("/candles"):
            return self._candles(self._name(query), query)
        return self._book(self._name(query), {"level2_20": 20, "level2_100": 100}.get(path.split("/")[-1], BOOK_LEVELS))

    def _name(self, query: Mapping[str, str]) -> str:
        if not query.get("symbol"):
            raise KucoinError("400100", "symbol is required")
        if query["symbol"] not in self.names:
            raise KucoinError("400100", "This pair is not provided at present")
        return self.names[query["symbol"]]

    def _ticker(self, symbol: str) -> dict:
        name = self.names[symbol]
        listing, book, day = self.venue.pairs[name], self.venue.book(name), self.venue.day(name)

        def price(units: int) -> str:
            return fixed(int(units), listing.price_decimals, listing.price_decimals)

        last = self.venue.last_trade(name)
        opened, closed = (int(day.open[0]), int(day.close[0])) if day else (0, 0)
        base, quote = (int(day.volume_base[0]), int(day.volume_quote[0])) if day else (0, 0)
        quote_decimals = day.quote_decimals if day else 8
        mean = quote * 10 ** (listing.base_decimals + listing.price_decimals) // (base * 10**quote_decimals or 1)
        change = closed - opened
        ratio = fixed(quotient(change, opened, 4) if opened else 0, 4, 4)
        return {
            "symbol": symbol,
            "symbolName": symbol,
            "buy": price(book.bids[0][0]) if book.bids else None,
            "sell": price(book.asks[0][0]) if book.asks else None,
            "changeRate": ratio,
            "changePrice": price(change),
            "high": price(day.high[0]) if day else None,
            "low": price(day.low[0]) if day else None,
            "vol": short(base, listing.base_decimals),
            "volValue": short(quote, quote_decimals),
            "last": price(last.price[0]) if len(last.ids) else None,
            "averagePrice": price(mean),
            "takerFeeRate": "0.001",
            "makerFeeRate": "0.001",
        }

    def _trades(self, name: str) -> list[dict]:
        """The last hundred, oldest first; `side` of the taker, time in nanoseconds."""
        found = self.venue.newest(name, TRADES)
        columns = (found.ids, found.times_us, found.price, found.size, found.labelled_buys)
        return [
            {
                "sequence": str(trade_id),
                "price": short(price, found.price_decimals),
                "size": short(size, found.base_decimals),
                "side": "buy" if buys else "sell",
                "time": time_us * 1000,
            }
            for trade_id, time_us, price, size, buys in zip(*(c.tolist() for c in columns), strict=True)
        ]

    def _candles(self, name: str, query: Mapping[str, str]) -> list[list[str]]:
        """Newest first; `startAt` included, `endAt` excluded, both in seconds."""
        if query.get("type") not in TYPES:
            raise KucoinError("400100", "type is invalid")
        bars = self.venue.bars(name, TYPES[query["type"]])
        if bars is None:
            return []
        start, end = integer(query, "startAt") or 0, integer(query, "endAt") or 0
        last = int(np.searchsorted(bars.times_ms, end * 1000)) if end else len(bars.times_ms)
        first = max(int(np.searchsorted(bars.times_ms, start * 1000)), last - CANDLES)
        return [candle(bars, i) for i in range(first, last)][::-1]

    def _book(self, name: str, levels: int) -> dict:
        listing, book = self.venue.pairs[name], self.venue.book(name, levels)
        last = self.venue.last_trade(name)
        sides = {
            side: [[short(p, listing.price_decimals), short(s, listing.base_decimals)] for p, s in rows]
            for side, rows in (("bids", book.bids), ("asks", book.asks))
        }
        return {"time": self.venue.now_ms, "sequence": str(int(last.ids.sum())), **sides}


def market_of(name: str) -> str:
    quote = name.partition("/")[2]
    return "USDS" if quote in DOLLARS else "BTC" if quote == "BTC" else "ALTS"


def entry(listing: Listing) -> dict:
    """Fields and order as in the recorded answer."""
    symbol = f"{listing.base}-{listing.quote}"
    return {
        "symbol": symbol,
        "name": symbol,
        "baseCurrency": listing.base,
        "quoteCurrency": listing.quote,
        "feeCurrency": listing.quote,
        "market": market_of(listing.name),
        "baseMinSize": step(listing.base_decimals),
        "quoteMinSize": "0.1",
        "baseMaxSize": "10000000000",
        "quoteMaxSize": "99999999",
        "baseIncrement": step(listing.base_decimals),
        "quoteIncrement": step(listing.price_decimals),
        "priceIncrement": step(listing.price_decimals),
        "priceLimitRate": "0.1",
        "isMarginEnabled": False,
        "enableTrading": True,
    }


def candle(bars: Bars, i: int) -> list[str]:
    """Seconds, then open, close, high, low, base, quote."""
    prices = [short(int(c[i]), bars.price_decimals) for c in (bars.open, bars.close, bars.high, bars.low)]
    base, quote = short(int(bars.volume_base[i]), bars.base_decimals), int(bars.volume_quote[i])
    return [str(int(bars.times_ms[i]) // 1000), *prices, base, short(quote, bars.quote_decimals)]


def integer(query: Mapping[str, str], name: str) -> int | None:
    if not query.get(name):
        return None
    if not re.fullmatch("[0-9]{1,18}", query[name]):
        raise KucoinError("400100", f"{name} is invalid")
    return int(query[name])
