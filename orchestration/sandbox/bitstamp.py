"""Bitstamp REST: https://www.bitstamp.net/api/ (public part).

Trades and pairs are as recorded, tickers as documented; the texts of errors and the limit of requests in a second
are from memory.
"""

import re

from .amounts import fixed
from .limits import SlidingWindow
from .market import DAY_MS, Listing, Market, Trades
from .venue import Venue
from .wire import Reply, Request, absent, json_reply

HOSTS = ("www.bitstamp.net",)
ROOT = "/api/v2"
SERVED = [f"{ROOT}/{name}/" for name in ("trading-pairs-info", "transactions/{pair}", "ticker/{pair}")]
SPANS_MS = {"minute": 60_000, "hour": 3_600_000, "day": DAY_MS}
# 8,000 requests in ten minutes, 400 in a second.
LIMITS = ((8000, 600.0), (400, 1.0))


class Bitstamp:
    def __init__(self, market: Market, is_limited: bool = True) -> None:
        self.venue = Venue(market, "bitstamp")
        self.windows = [SlidingWindow(limit if is_limited else 0, seconds) for limit, seconds in LIMITS]
        self.names = {name.replace("/", "").lower(): name for name in self.venue.pairs}

    def __call__(self, request: Request) -> Reply:
        if not self.venue.pairs:
            return absent(request, [])
        if any(window.charge().retry_after is not None for window in self.windows):
            return failed("Request rejected due to exceeded rate limit.", 429, "400.002")
        match request.path.removeprefix(ROOT).strip("/").split("/"):
            case ["trading-pairs-info"]:
                return json_reply([self._pair(url_symbol) for url_symbol in self.names])
            case ["transactions", pair] if pair in self.names:
                return self._transactions(self.names[pair], request.query.get("time", "hour"))
            case ["ticker", pair] if pair in self.names:
                return self._ticker(self.names[pair])
            case ["transactions" | "ticker", _]:
                return failed("Market not found.", 404, "404.001")
        return absent(request, SERVED)

    def _pair(self, url_symbol: str) -> dict:
        name = self.names[url_symbol]
        listing = self.venue.pairs[name]
        return {
            "base_decimals": listing.base_decimals,
            "counter_decimals": listing.price_decimals,
            "description": f"{listing.base} / {dollars(listing.quote)}",
            "minimum_order": f"10.0 {listing.quote}",
            "name": name,
            "trading": "Disabled" if self.venue.has_ended(listing) else "Enabled",
            "url_symbol": url_symbol,
        }

    def _transactions(self, name: str, span: str) -> Reply:
        """Newest first, of the last minute, hour or day."""
        if span not in SPANS_MS:
            return failed("Invalid time.", 400, "400.001")
        now_ms = self.venue.now_ms
        found = self.venue.between(name, (now_ms - SPANS_MS[span]) * 1000, now_ms * 1000)
        return json_reply(trade_rows(found, self.venue.pairs[name])[::-1])

    def _ticker(self, name: str) -> Reply:
        listing, bars = self.venue.pairs[name], self.venue.day(name)
        last = self.venue.last_trade(name)
        book = self.venue.book(name)

        def price(units: int) -> str:
            return fixed(units, listing.price_decimals, 2)

        close = int(last.price[-1]) if len(last.ids) else 0
        opened = int(bars.open[0]) if bars else close
        change = round(100 * (close / opened - 1), 2) if opened else 0
        return json_reply(
            {
                "timestamp": str(self.venue.now_ms // 1000),
                "open": price(opened),
                "high": price(int(bars.high[0]) if bars else close),
                "low": price(int(bars.low[0]) if bars else close),
                "last": price(close),
                "volume": fixed(int(bars.volume_base[0]) if bars else 0, listing.base_decimals, 8),
                "vwap": price(close),
                "bid": price(book.bids[0][0] if book.bids else close),
                "ask": price(book.asks[0][0] if book.asks else close),
                "side": "0" if len(last.ids) and bool(last.labelled_buys[-1]) else "1",
                "open_24": price(opened),
                "percent_change_24": f"{change:.2f}",
            }
        )


def trade_rows(trades: Trades, listing: Listing) -> list[dict]:
    """`type`: 0 where the taker bought. Whole seconds."""
    columns = (trades.ids, trades.times_us, trades.price, trades.size, trades.labelled_buys)
    return [
        {
            "date": str(time_us // 1_000_000),
            "tid": str(trade_id),
            "price": fixed(price, listing.price_decimals, 2),
            "type": "0" if buys else "1",
            "amount": fixed(size, listing.base_decimals, 8),
        }
        for trade_id, time_us, price, size, buys in zip(*(c.tolist() for c in columns), strict=True)
    ]


def dollars(asset: str) -> str:
    return re.sub("^USD$", "U.S. dollar", asset)


def failed(reason: str, status: int, code: str) -> Reply:
    return json_reply({"status": "error", "reason": reason, "response_code": code}, status)
