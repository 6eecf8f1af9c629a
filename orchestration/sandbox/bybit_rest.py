"""Bybit REST v5: https://bybit-exchange.github.io/docs/v5/market/instrument (spot market data)."""

import re
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from .amounts import short, step
from .limits import SlidingWindow
from .market import Bars, Listing, Market
from .venue import Venue
from .wire import Reply, Request, absent, json_reply

HOSTS = ("api.bybit.com", "api.bytick.com")
ROOT = "/v5/market/"
INTERVALS = {"D": "1d", "60": "1h"}
KNOWN_INTERVALS = ["1", "3", "5", "15", "30", "60", "120", "240", "360", "720", "D", "W", "M"]
KLINES, TRADES, BOOK = 1000, 60, 200
# Per address; who asks more is shut out for ten minutes.
LIMIT, SECONDS, BAN_SECONDS = 600, 5.0, 600
# Execution ids of spot trades have nineteen digits.
FIRST_EXECUTION = 2_100_000_000_000_000_000


class BybitError(Exception):
    pass


class Bybit:
    def __init__(self, market: Market, is_limited: bool = True) -> None:
        self.venue = Venue(market, "bybit")
        self.window = SlidingWindow(LIMIT if is_limited else 0, SECONDS)
        self.banned_until = 0.0
        self.names = {listing.base + listing.quote: name for name, listing in self.venue.live.items()}
        self._answers = {
            "instruments-info": self._instruments,
            "kline": self._klines,
            "recent-trade": self._trades,
            "orderbook": self._book,
        }

    def __call__(self, request: Request) -> Reply:
        if not self.venue.pairs:
            return absent(request, [])
        clock, charge = time.monotonic(), self.window.charge()
        if charge.retry_after is not None:
            self.banned_until = max(self.banned_until, clock + BAN_SECONDS)
        if clock < self.banned_until:
            return Reply(b"403, access too frequent", 403, "text/plain")
        headers = ()
        if self.window.limit:
            reset = str(int((time.time() + SECONDS) * 1000))
            left = str(self.window.limit - charge.used)
            headers = (("X-Bapi-Limit", str(LIMIT)), ("X-Bapi-Limit-Status", left))
            headers += (("X-Bapi-Limit-Reset-Timestamp", reset),)
        name, query = request.path.removeprefix(ROOT), request.query
        if name == "time":
            now = self.venue.now_ms
            return self._reply({"timeSecond": str(now // 1000), "timeNano": str(now * 10**6)}, headers)
        if name not in self._answers:
            return absent(request, [ROOT + known for known in (*self._answers, "time")])
        if query.get("category") in ("linear", "inverse", "option"):
            return absent(request, {"category": ["spot"]})
        try:
            if query.get("category", "spot" if name == "kline" else None) != "spot":
                raise BybitError("Illegal category")
            if name == "kline" and query.get("interval") in KNOWN_INTERVALS and query["interval"] not in INTERVALS:
                return absent(request, {"interval": list(INTERVALS)})
            return self._reply(self._answers[name](query), headers)
        except BybitError as error:
            return self._reply({}, headers, 10001, str(error))

    def _reply(self, result: Any, headers: tuple = (), code: int = 0, message: str = "OK") -> Reply:
        body = {"retCode": code, "retMsg": message, "result": result, "retExtInfo": {}, "time": self.venue.now_ms}
        return json_reply(body, headers=headers)

    def _name(self, query: Mapping[str, str]) -> str:
        if query.get("symbol") not in self.names:
            raise BybitError("Not supported symbols")
        return self.names[query["symbol"]]

    def _instruments(self, query: Mapping[str, str]) -> dict:
        names = [self._name(query)] if "symbol" in query else list(self.names.values())
        return {"category": "spot", "list": [instrument(self.venue.pairs[name]) for name in names]}

    def _klines(self, query: Mapping[str, str]) -> dict:
        """Newest first, `start` and `end` inclusive on the opening."""
        name = self._name(query)
        if query.get("interval") not in INTERVALS:
            raise BybitError("Invalid period!")
        bars = self.venue.bars(name, INTERVALS[query["interval"]])
        start, end = integer(query, "start"), integer(query, "end")
        limit = min(integer(query, "limit") or 200, KLINES)
        rows = []
        if bars is not None:
            last = len(bars.times_ms) if end is None else int(np.searchsorted(bars.times_ms, end, "right"))
            first = 0 if start is None else int(np.searchsorted(bars.times_ms, start))
            # With a start and no end the page counts from the start.
            if start is not None and end is None:
                last = min(last, first + limit)
            rows = [kline(bars, i) for i in range(max(first, last - limit), last)]
        return {"symbol": query["symbol"], "category": "spot", "list": rows[::-1]}

    def _trades(self, query: Mapping[str, str]) -> dict:
        found = self.venue.newest(self._name(query), min(integer(query, "limit") or TRADES, TRADES))
        columns = (found.ids, found.times_us, found.price, found.size, found.labelled_buys)
        rows = [
            {
                "execId": str(FIRST_EXECUTION + trade_id),
                "symbol": query["symbol"],
                "price": short(price, found.price_decimals),
                "size": short(size, found.base_decimals),
                "side": "Buy" if buys else "Sell",
                "time": str(time_us // 1000),
                "isBlockTrade": False,
            }
            for trade_id, time_us, price, size, buys in zip(*(c.tolist() for c in columns), strict=True)
        ]
        return {"category": "spot", "list": rows[::-1]}

    def _book(self, query: Mapping[str, str]) -> dict:
        name = self._name(query)
        limit = min(integer(query, "limit") or 1, BOOK)
        listing, book, now = self.venue.pairs[name], self.venue.book(name, limit), self.venue.now_ms
        sides = {
            side: [[short(p, listing.price_decimals), short(s, listing.base_decimals)] for p, s in rows]
            for side, rows in (("b", book.bids), ("a", book.asks))
        }
        return {"s": query["symbol"], **sides, "ts": now, "u": now // 1000, "seq": now}


def instrument(listing: Listing) -> dict:
    return {
        "symbol": listing.base + listing.quote,
        "baseCoin": listing.base,
        "quoteCoin": listing.quote,
        "status": "Trading",
        "marginTrading": "utaOnly",
        "stTag": "0",
        "lotSizeFilter": {
            "basePrecision": step(listing.base_decimals),
            "quotePrecision": "0.00000001",
            "minOrderQty": step(listing.base_decimals),
            "maxOrderQty": "1000000",
            "minOrderAmt": "1",
            "maxOrderAmt": "2000000",
        },
        "priceFilter": {"tickSize": step(listing.price_decimals)},
        "riskParameters": {"priceLimitRatioX": "0.01", "priceLimitRatioY": "0.02"},
    }


def kline(bars: Bars, i: int) -> list[str]:
    prices = [short(int(c[i]), bars.price_decimals) for c in (bars.open, bars.high, bars.low, bars.close)]
    base, quote = short(int(bars.volume_base[i]), bars.base_decimals), int(bars.volume_quote[i])
    return [str(bars.times_ms[i]), *prices, base, short(quote, bars.quote_decimals)]


def integer(query: Mapping[str, str], name: str) -> int | None:
    if not query.get(name):
        return None
    if not re.fullmatch("[0-9]{1,18}", query[name]):
        raise BybitError("params error: " + name + " invalid")
    return int(query[name])
