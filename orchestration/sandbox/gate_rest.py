"""Gate REST v4: https://www.gate.com/docs/developers/apiv4 (spot market data)."""

import re
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from .amounts import fixed, short
from .limits import SlidingWindow
from .market import Bars, Listing, Market, midnight_ms
from .venue import Venue, part
from .wire import Reply, Request, absent, json_reply

HOSTS = ("api.gateio.ws",)
ROOT = "/api/v4/spot/"
SERVED = [ROOT + name for name in ("currency_pairs", "trades", "candlesticks", "order_book", "time")]
# Requests per endpoint in ten seconds.
LIMIT, SECONDS = 200, 10.0
PAGE, REACH, BOOK = 1000, 100_000, 1000
INTERVALS = {"1d": "1d", "1h": "1h"}
KNOWN_INTERVALS = ["1s", "10s", "1m", "5m", "15m", "30m", "1h", "4h", "8h", "1d", "7d", "30d"]


class GateError(Exception):
    def __init__(self, label: str, message: str) -> None:
        super().__init__(message)
        self.label, self.message = label, message


class Gate:
    def __init__(self, market: Market, is_limited: bool = True) -> None:
        self.venue = Venue(market, "gate")
        self.windows = {name: SlidingWindow(LIMIT if is_limited else 0, SECONDS) for name in SERVED}
        self.names = {f"{listing.base}_{listing.quote}": name for name, listing in self.venue.live.items()}

    def __call__(self, request: Request) -> Reply:
        endpoint = ROOT + request.path.removeprefix(ROOT).split("/")[0]
        if not self.venue.pairs or endpoint not in self.windows:
            return absent(request, SERVED if self.venue.pairs else [])
        charge = self.windows[endpoint].charge()
        headers = (("X-Gate-RateLimit-Requests-Remain", str(max(0, LIMIT - charge.used))),)
        headers += (("X-Gate-RateLimit-Limit", str(LIMIT)),)
        headers += (("X-Gate-RateLimit-Reset-Timestamp", str(int(time.time() + (charge.retry_after or SECONDS)))),)
        if charge.retry_after is not None:
            return json_reply({"label": "TOO_MANY_REQUESTS", "message": "Request Rate limit Exceeded"}, 429, headers)
        interval = request.query.get("interval", "30m")
        if endpoint.endswith("candlesticks") and interval in KNOWN_INTERVALS and interval not in INTERVALS:
            return absent(request, {"interval": list(INTERVALS)})
        try:
            return json_reply(self._answer(endpoint.removeprefix(ROOT), request), headers=headers)
        except GateError as error:
            return json_reply({"label": error.label, "message": error.message}, 400, headers)

    def _answer(self, endpoint: str, request: Request) -> Any:
        query = request.query
        if endpoint == "time":
            return {"server_time": self.venue.now_ms}
        if endpoint == "currency_pairs":
            wanted = request.path.removeprefix(ROOT + endpoint).strip("/")
            if wanted:
                return entry(self.venue.pairs[self._name({"currency_pair": wanted})])
            return [entry(self.venue.pairs[name]) for name in self.names.values()]
        if endpoint == "trades":
            return self._trades(query)
        return self._candles(query) if endpoint == "candlesticks" else self._book(query)

    def _name(self, query: Mapping[str, str]) -> str:
        pair = query.get("currency_pair")
        if not pair:
            raise GateError("MISSING_REQUIRED_PARAM", "Missing required parameter: currency_pair")
        if pair not in self.names:
            raise GateError("INVALID_CURRENCY_PAIR", f"Invalid currency pair {pair}")
        return self.names[pair]

    def _trades(self, query: Mapping[str, str]) -> list[dict]:
        """Newest first, `from` and `to` (seconds) inclusive, in pages.

        `last_id` bounds from below; with `reverse` from above, which leads into the past.
        """
        name = self._name(query)
        limit, page = min(integer(query, "limit", 100), PAGE), integer(query, "page", 1)
        if limit * page > REACH:
            raise GateError("INVALID_PARAM_VALUE", f"limit * page should not be greater than {REACH}")
        bounds: dict[str, int] = {"after_us": integer(query, "from", 0, 0) * 1_000_000}
        if "to" in query:
            bounds["before_us"] = integer(query, "to") * 1_000_000 + 1
        if "last_id" in query:
            bounds["before_id" if query.get("reverse") == "true" else "after_id"] = integer(query, "last_id")
        found = self.venue.newest(name, limit * page, **bounds)
        last = max(0, len(found.ids) - limit * (page - 1))
        found = part(found, slice(max(0, last - limit), last))
        columns = (found.ids, found.times_us, found.price, found.size, found.labelled_buys)
        rows = [
            {
                "id": str(trade_id),
                "create_time": str(time_us // 1_000_000),
                "create_time_ms": f"{time_us // 1000}.{time_us % 1000:03}",
                "side": "buy" if buys else "sell",
                "amount": short(size, found.base_decimals),
                "price": short(price, found.price_decimals),
                "sequence_id": str(trade_id),
            }
            for trade_id, time_us, price, size, buys in zip(*(c.tolist() for c in columns), strict=True)
        ]
        return rows[::-1]

    def _candles(self, query: Mapping[str, str]) -> list[list[str]]:
        """Oldest first."""
        name = self._name(query)
        if query.get("interval") not in INTERVALS:
            raise GateError("INVALID_PARAM_VALUE", "Invalid interval")
        if "limit" in query and ("from" in query or "to" in query):
            raise GateError("INVALID_PARAM_VALUE", "limit conflicts with from and to")
        bars = self.venue.bars(name, INTERVALS[query["interval"]])
        if bars is None:
            return []
        last = len(bars.times_ms)
        if "to" in query:
            last = int(np.searchsorted(bars.times_ms, integer(query, "to") * 1000, "right"))
        first = max(0, last - min(integer(query, "limit", 100), PAGE))
        if "from" in query:
            first = int(np.searchsorted(bars.times_ms, integer(query, "from", 0, 0) * 1000))
        if last - first > PAGE:
            raise GateError("INVALID_PARAM_VALUE", f"Too many data points requested; at most {PAGE}")
        return [candle(bars, i) for i in range(first, last)]

    def _book(self, query: Mapping[str, str]) -> dict:
        name = self._name(query)
        limit = min(integer(query, "limit", 10), BOOK)
        listing, book = self.venue.pairs[name], self.venue.book(name, limit)
        sides = {
            side: [[short(p, listing.price_decimals), short(s, listing.base_decimals)] for p, s in rows]
            for side, rows in (("asks", book.asks), ("bids", book.bids))
        }
        number = {"id": int(self.venue.last_trade(name).ids.sum())} if query.get("with_id") == "true" else {}
        return number | sides


def entry(listing: Listing) -> dict:
    opened = midnight_ms(listing.first) // 1000
    return {
        "id": f"{listing.base}_{listing.quote}",
        "base": listing.base,
        "quote": listing.quote,
        "fee": "0.2",
        "min_base_amount": short(1, listing.base_decimals),
        "min_quote_amount": "1",
        "amount_precision": listing.base_decimals,
        "precision": listing.price_decimals,
        "trade_status": "tradable",
        "sell_start": opened,
        "buy_start": opened,
    }


def candle(bars: Bars, i: int) -> list[str]:
    """Seconds, quote amount, then close, high, low, open, base amount, and whether the bar is over."""
    prices = [short(int(c[i]), bars.price_decimals) for c in (bars.close, bars.high, bars.low, bars.open)]
    quote = fixed(int(bars.volume_quote[i]), bars.quote_decimals, 8)
    base = fixed(int(bars.volume_base[i]), bars.base_decimals, 8)
    return [str(int(bars.times_ms[i]) // 1000), quote, *prices, base, "true"]


def integer(query: Mapping[str, str], name: str, default: int = 0, least: int = 1) -> int:
    if not query.get(name):
        return default
    if not re.fullmatch("[0-9]{1,18}", query[name]) or int(query[name]) < least:
        raise GateError("INVALID_PARAM_VALUE", f"Invalid request parameter `{name}` value: {query[name]}")
    return int(query[name])
