"""Poloniex spot REST: https://api-docs.poloniex.com/spot/api/public/market-data (markets and candles)."""

import re
from collections.abc import Mapping

import numpy as np

from .amounts import fixed, quotient, short
from .limits import SlidingWindow
from .market import DAY_MS, HOUR_MS, Bars, Listing, Market, midnight_ms
from .venue import Venue
from .wire import Reply, Request, absent, json_reply

HOSTS = ("api.poloniex.com",)
SERVED = ["/markets", "/markets/{symbol}", "/markets/{symbol}/candles", "/timestamp"]
INTERVALS = {"HOUR_1": ("1h", HOUR_MS), "DAY_1": ("1d", DAY_MS)}
KNOWN_INTERVALS = "MINUTE_1 MINUTE_5 MINUTE_10 MINUTE_15 MINUTE_30 HOUR_1 HOUR_2 HOUR_4 HOUR_6 HOUR_12 DAY_1 DAY_3"
KNOWN_INTERVALS += " WEEK_1 MONTH_1"
CANDLES, PER_SECOND = 500, 200


class PoloniexError(Exception):
    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


class Poloniex:
    def __init__(self, market: Market, is_limited: bool = True) -> None:
        self.venue = Venue(market, "poloniex")
        self.window = SlidingWindow(PER_SECOND if is_limited else 0, 1.0)
        self.names = {f"{listing.base}_{listing.quote}": name for name, listing in self.venue.pairs.items()}

    def __call__(self, request: Request) -> Reply:
        if not self.venue.pairs:
            return absent(request, [])
        if self.window.charge().retry_after is not None:
            return json_reply({"code": 429, "message": "Too many requests"}, 429)
        try:
            match request.path.strip("/").split("/"):
                case ["timestamp"]:
                    return json_reply({"serverTime": self.venue.now_ms})
                case ["markets"]:
                    return json_reply([self._entry(self.venue.pairs[name]) for name in self.names.values()])
                case ["markets", symbol]:
                    return json_reply([self._entry(self.venue.pairs[self._name(symbol)])])
                case ["markets", symbol, "candles"]:
                    return self._candles(symbol, request)
        except PoloniexError as error:
            return json_reply({"code": error.code, "message": error.message}, 400)
        return absent(request, SERVED)

    def _name(self, symbol: str) -> str:
        if symbol not in self.names:
            raise PoloniexError(24101, "Invalid symbol")
        return self.names[symbol]

    def _entry(self, listing: Listing) -> dict:
        symbol, opened = f"{listing.base}_{listing.quote}", midnight_ms(listing.first)
        return {
            "symbol": symbol,
            "baseCurrencyName": listing.base,
            "quoteCurrencyName": listing.quote,
            "displayName": symbol.replace("_", "/"),
            "state": "PAUSE" if self.venue.has_ended(listing) else "NORMAL",
            "visibleStartTime": opened,
            "tradableStartTime": opened,
            "symbolTradeLimit": {
                "symbol": symbol,
                "priceScale": listing.price_decimals,
                "quantityScale": listing.base_decimals,
                "amountScale": listing.price_decimals,
                "minQuantity": short(1, listing.base_decimals),
                "minAmount": "1",
                "highestBid": "0",
                "lowestAsk": "0",
            },
            "crossMargin": {"supportCrossMargin": False, "maxLeverage": 1},
        }

    def _candles(self, symbol: str, request: Request) -> Reply:
        """Oldest first, the newest page; both bounds inclusive."""
        query, name = request.query, self._name(symbol)
        interval = query.get("interval", "")
        if interval not in KNOWN_INTERVALS.split():
            raise PoloniexError(400, "Invalid interval")
        if interval not in INTERVALS:
            return absent(request, {"interval": list(INTERVALS)})
        kind, length = INTERVALS[interval]
        bars = self.venue.bars(name, kind)
        if bars is None:
            return absent(request, {"interval": []})
        limit = min(integer(query, "limit") or 100, CANDLES)
        start, end = integer(query, "startTime"), integer(query, "endTime")
        last = len(bars.times_ms) if end is None else int(np.searchsorted(bars.times_ms, end, "right"))
        first = 0 if start is None else int(np.searchsorted(bars.times_ms, start))
        first = max(first, last - limit)
        return json_reply([candle(bars, i, interval, length) for i in range(first, last)])


def candle(bars: Bars, i: int, interval: str, length: int) -> list:
    """Low, high, open, close, quote, base, both again for takers that bought, trades, times."""
    prices = [short(int(c[i]), bars.price_decimals) for c in (bars.low, bars.high, bars.open, bars.close)]
    base, quote = int(bars.volume_base[i]), int(bars.volume_quote[i])
    mean = quotient(quote * 10**bars.base_decimals, base * 10**bars.quote_decimals, bars.price_decimals) if base else 0
    opens = int(bars.times_ms[i])
    return [
        *prices,
        short(quote, bars.quote_decimals),
        short(base, bars.base_decimals),
        short(int(bars.taker_buy_quote[i]), bars.quote_decimals),
        short(int(bars.taker_buy_base[i]), bars.base_decimals),
        int(bars.trades[i]),
        opens + length - 1,
        fixed(mean, bars.price_decimals, bars.price_decimals),
        interval,
        opens,
        opens + length - 1,
    ]


def integer(query: Mapping[str, str], name: str) -> int | None:
    if not query.get(name):
        return None
    if not re.fullmatch("[0-9]{1,18}", query[name]):
        raise PoloniexError(400, f"Invalid {name}")
    return int(query[name])
