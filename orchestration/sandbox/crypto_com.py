"""Crypto.com Exchange REST: https://exchange-docs.crypto.com/exchange/v1/rest-ws/index.html (public market data).

Trades are as recorded, instruments, tickers and candles as documented. What went wrong has a code other than zero;
the codes are documented, with which of them come with status 200 is from memory.
"""

import re
from collections.abc import Mapping

import numpy as np

from .amounts import fixed, step
from .limits import SlidingWindow
from .market import DAY_MS, HOUR_MS, Listing, Market, Trades
from .venue import Venue
from .wire import Reply, Request, absent, json_reply

HOSTS = ("api.crypto.com",)
ROOT = "/exchange/v1/"
PER_SECOND = 100  # of each method
PAGE, USUAL_PAGE, CANDLES, USUAL_CANDLES = 150, 25, 300, 25
LONGEST_MS = 7 * DAY_MS
TIMEFRAMES = {"1D": ("1d", DAY_MS), "D1": ("1d", DAY_MS), "1h": ("1h", HOUR_MS), "H1": ("1h", HOUR_MS)}


class CryptoComError(Exception):
    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


class CryptoCom:
    def __init__(self, market: Market, is_limited: bool = True) -> None:
        self.venue = Venue(market, "crypto_com")
        self.names = {name.replace("/", "_"): name for name in self.venue.live}
        self.methods = {
            "public/get-instruments": self._instruments,
            "public/get-trades": self._trades,
            "public/get-tickers": self._tickers,
            "public/get-candlestick": self._candles,
        }
        self.windows = {method: SlidingWindow(PER_SECOND if is_limited else 0, 1.0) for method in self.methods}

    def __call__(self, request: Request) -> Reply:
        method = request.path.removeprefix(ROOT)
        if not self.venue.pairs or method not in self.methods:
            return absent(request, [ROOT + method for method in self.methods] if self.venue.pairs else [])
        head = {"id": -1, "method": method}
        if self.windows[method].charge().retry_after is not None:
            return json_reply(head | {"code": 42901, "message": "RATE_LIMIT"}, 429)
        try:
            return json_reply(head | {"code": 0, "result": self.methods[method](request.query)})
        except CryptoComError as error:
            return json_reply(head | {"code": error.code, "message": error.message})

    def _name(self, query: Mapping[str, str]) -> str:
        if query.get("instrument_name") not in self.names:
            raise CryptoComError(40004, "Invalid instrument_name")
        return self.names[query["instrument_name"]]

    def _instruments(self, query: Mapping[str, str]) -> dict:
        return {"data": [instrument(self.venue.live[name]) for name in self.names.values()]}

    def _trades(self, query: Mapping[str, str]) -> dict:
        """The newest of [start_ts, end_ts), newest first; without a start those of a day."""
        name = self._name(query)
        end = nanoseconds(query, "end_ts", self.venue.now_ms * 10**6)
        start = nanoseconds(query, "start_ts", end - DAY_MS * 10**6)
        if end - start > LONGEST_MS * 10**6:
            raise CryptoComError(40005, "Invalid date: the time range is longer than 7 days")
        count = max(1, min(integer(query, "count", USUAL_PAGE), PAGE))
        # More of them, because some may lie in the microsecond of the end, and after it.
        found = self.venue.newest(name, count + 2, before_us=-(-end // 1000), after_us=max(0, start) // 1000)
        rows = [row for row in trade_rows(found, query["instrument_name"]) if start <= int(row["tn"]) < end]
        return {"data": rows[::-1][:count]}

    def _tickers(self, query: Mapping[str, str]) -> dict:
        names = [self._name(query)] if "instrument_name" in query else list(self.names.values())
        return {"data": [row for name in names if (row := self._ticker(name))]}

    def _ticker(self, name: str) -> dict | None:
        listing, bars = self.venue.live[name], self.venue.day(name)
        book = self.venue.book(name)
        if bars is None or not book.bids:
            return None
        close, opened = int(bars.close[0]), int(bars.open[0])
        quote_decimals = listing.price_decimals + listing.base_decimals
        return {
            "h": fixed(int(bars.high[0]), listing.price_decimals, listing.price_decimals),
            "l": fixed(int(bars.low[0]), listing.price_decimals, listing.price_decimals),
            "a": fixed(close, listing.price_decimals, listing.price_decimals),
            "i": name.replace("/", "_"),
            "v": fixed(int(bars.volume_base[0]), listing.base_decimals, listing.base_decimals),
            "vv": fixed(int(bars.volume_quote[0]), quote_decimals, quote_decimals),
            "c": f"{close / opened - 1:.4f}",
            "b": fixed(book.bids[0][0], listing.price_decimals, listing.price_decimals),
            "k": fixed(book.asks[0][0], listing.price_decimals, listing.price_decimals),
            "t": self.venue.now_ms,
        }

    def _candles(self, query: Mapping[str, str]) -> dict:
        """Ascending, the newest that open in [start_ts, end_ts)."""
        name, timeframe = self._name(query), query.get("timeframe", "M1")
        if timeframe not in TIMEFRAMES:
            raise CryptoComError(40004, f"the sandbox has the timeframes {', '.join(TIMEFRAMES)}")
        interval, length_ms = TIMEFRAMES[timeframe]
        bars, listing = self.venue.bars(name, interval), self.venue.live[name]
        count = max(1, min(integer(query, "count", USUAL_CANDLES), CANDLES))
        end = nanoseconds(query, "end_ts", self.venue.now_ms * 10**6) // 10**6
        start = nanoseconds(query, "start_ts", (end - count * length_ms) * 10**6) // 10**6
        rows = []
        if bars is not None:
            first, last = (int(i) for i in np.searchsorted(bars.times_ms, (start, end)))
            for i in range(max(first, last - count), last):
                columns = {"o": bars.open, "h": bars.high, "l": bars.low, "c": bars.close}
                row = {k: fixed(int(c[i]), bars.price_decimals, bars.price_decimals) for k, c in columns.items()}
                volume = fixed(int(bars.volume_base[i]), listing.base_decimals, listing.base_decimals)
                rows.append(row | {"v": volume, "t": int(bars.times_ms[i])})
        return {"interval": timeframe, "data": rows, "instrument_name": query["instrument_name"]}


def instrument(listing: Listing) -> dict:
    return {
        "symbol": f"{listing.base}_{listing.quote}",
        "inst_type": "CCY_PAIR",
        "display_name": listing.name,
        "base_ccy": listing.base,
        "quote_ccy": listing.quote,
        "quote_decimals": listing.price_decimals,
        "quantity_decimals": listing.base_decimals,
        "price_tick_size": step(listing.price_decimals),
        "qty_tick_size": step(listing.base_decimals),
        "max_leverage": "50",
        "tradable": True,
        "expiry_timestamp_ms": 0,
        "underlying_symbol": "",
    }


def trade_rows(trades: Trades, instrument_name: str) -> list[dict]:
    columns = (trades.ids, trades.times_us, trades.price, trades.size, trades.labelled_buys)
    return [
        {
            "d": str(trade_id),
            "t": time_us // 1000,
            "tn": str(time_us * 1000 + fraction(trade_id)),
            "q": fixed(size, trades.base_decimals, max(6, trades.base_decimals)),
            "p": fixed(price, trades.price_decimals, max(6, trades.price_decimals)),
            "s": "BUY" if buys else "SELL",
            "i": instrument_name,
        }
        for trade_id, time_us, price, size, buys in zip(*(c.tolist() for c in columns), strict=True)
    ]


def fraction(trade_id: int) -> int:
    """The nanoseconds below the microsecond."""
    return trade_id * 619 % 1000


def integer(query: Mapping[str, str], name: str, default: int) -> int:
    if name not in query:
        return default
    if not re.fullmatch("[0-9]{1,19}", query[name]):
        raise CryptoComError(40004, f"Missing or invalid argument: {name}")
    return int(query[name])


def nanoseconds(query: Mapping[str, str], name: str, default: int) -> int:
    """A time in milliseconds, microseconds or nanoseconds, told apart by its digits."""
    value = integer(query, name, default)
    return value * 10 ** (6 if value < 10**14 else 3 if value < 10**17 else 0)
