"""Coinbase Exchange REST: https://docs.cdp.coinbase.com/exchange/reference (public part).

A trade's `side` is that of the maker: `sell` where the taker bought.
"""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime

import numpy as np

from .amounts import fixed, short, step
from .limits import SlidingWindow
from .market import Bars, Listing, Market, Trades
from .venue import BOOK_LEVELS, Venue
from .wire import Reply, Request, absent, json_reply

HOSTS = ("api.exchange.coinbase.com",)
SERVED = ["/products", "/products/{id}", "/products/{id}/{trades,candles,book,ticker}", "/time"]
GRANULARITIES = {60: None, 300: None, 900: None, 3600: "1h", 21600: None, 86400: "1d"}
PAGE, CANDLES = 1000, 300
# Ten requests a second with bursts of fifteen.
BURST, BURST_SECONDS = 15, 1.5


class CoinbaseError(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


class Coinbase:
    def __init__(self, market: Market, is_limited: bool = True) -> None:
        self.venue = Venue(market, "coinbase")
        self.window = SlidingWindow(BURST if is_limited else 0, BURST_SECONDS)
        self.names = {listing.base + "-" + listing.quote: name for name, listing in self.venue.pairs.items()}

    def __call__(self, request: Request) -> Reply:
        if not self.venue.pairs:
            return absent(request, [])
        if self.window.charge().retry_after is not None:
            return json_reply({"message": "Public rate limit exceeded"}, 429)
        try:
            return self._answer(request)
        except CoinbaseError as error:
            return json_reply({"message": error.message}, error.status)

    def _answer(self, request: Request) -> Reply:
        match request.path.strip("/").split("/"):
            case ["time"]:
                now = datetime.fromtimestamp(self.venue.now_ms / 1000, UTC)
                return json_reply({"iso": f"{now:%Y-%m-%dT%H:%M:%S}.000Z", "epoch": self.venue.now_ms // 1000})
            case ["products"]:
                return json_reply([self._product(product) for product in self.names])
            case ["products", product]:
                self._name(product)
                return json_reply(self._product(product))
            case ["products", product, "trades"]:
                return self._trades(self._name(product), request.query)
            case ["products", product, "candles"]:
                return self._candles(self._name(product), request)
            case ["products", product, "book"]:
                return self._book(self._name(product), request.query)
            case ["products", product, "ticker"]:
                return self._ticker(self._name(product))
        return absent(request, SERVED)

    def _name(self, product: str) -> str:
        if product not in self.names:
            raise CoinbaseError(404, "NotFound")
        return self.names[product]

    def _product(self, product: str) -> dict:
        listing = self.venue.pairs[self.names[product]]
        has_ended = self.venue.has_ended(listing)
        return {
            "id": product,
            "base_currency": listing.base,
            "quote_currency": listing.quote,
            "quote_increment": step(listing.price_decimals),
            "base_increment": step(listing.base_decimals),
            "display_name": product,
            "min_market_funds": "1",
            "margin_enabled": False,
            "post_only": False,
            "limit_only": False,
            "cancel_only": False,
            "status": "delisted" if has_ended else "online",
            "status_message": "",
            "trading_disabled": has_ended,
            "fx_stablecoin": {listing.base, listing.quote} <= {"USD", "EUR", "USDC", "USDT"},
            "max_slippage_percentage": "0.03000000",
            "auction_mode": False,
            "high_bid_limit_percentage": "",
        }

    def _trades(self, name: str, query: Mapping[str, str]) -> Reply:
        """Newest first; `after`: older than that id, `before`: newer, and then the newest there are."""
        limit = integer(query, "limit")
        after, before = integer(query, "after"), integer(query, "before")
        count = min(PAGE if limit is None else limit, PAGE)
        found = self.venue.newest(name, count, before_id=after, after_id=before or 0)
        headers = ()
        if len(found.ids):
            headers = (("CB-BEFORE", str(found.ids[-1])), ("CB-AFTER", str(found.ids[0])))
        return json_reply(trade_rows(found)[::-1], headers=headers)

    def _candles(self, name: str, request: Request) -> Reply:
        query = request.query
        granularity = integer(query, "granularity")
        if (granularity or 60) not in GRANULARITIES:
            raise CoinbaseError(400, "Unsupported granularity")
        interval = GRANULARITIES[granularity or 60]
        bars = self.venue.bars(name, interval) if interval else None
        if bars is None or granularity is None:
            return absent(request, {"granularity": [86400, 3600]})
        start, end = instant(query, "start"), instant(query, "end")
        if start is None or end is None:
            start, end = self.venue.now_ms - CANDLES * granularity * 1000, self.venue.now_ms
        elif (end - start) // (granularity * 1000) > CANDLES:
            message = "granularity too small for the requested time range. "
            raise CoinbaseError(400, message + f"Count of aggregations requested exceeds {CANDLES}")
        first, last = (int(i) for i in np.searchsorted(bars.times_ms, (start, end + 1)))
        rows = [candle(bars, i) for i in range(max(first, last - CANDLES), last) if bars.trades[i]]
        return Reply(f"[{','.join(rows[::-1])}]".encode())

    def _book(self, name: str, query: Mapping[str, str]) -> Reply:
        level = query.get("level", "1")
        if level not in ("1", "2", "3"):
            raise CoinbaseError(400, "Invalid level")
        listing, book = self.venue.pairs[name], self.venue.book(name, 1 if level == "1" else BOOK_LEVELS)
        last = self.venue.last_trade(name)
        sides = {}
        for place, (side, rows) in enumerate((("bids", book.bids), ("asks", book.asks)), 1):
            texts = [levels_text(row, listing) for row in rows]
            third = [1] * len(texts)
            if level == "3":
                third = [f"{place}0000000-0000-4000-8000-{i:012}" for i in range(len(texts))]
            sides[side] = [[*text, extra] for text, extra in zip(texts, third, strict=True)]
        body = sides | {"sequence": int(last.ids.sum()) * 100, "auction_mode": False, "auction": None}
        return json_reply(body | {"time": iso(self.venue.now_ms * 1000) + "000Z"})

    def _ticker(self, name: str) -> Reply:
        listing, book, last = self.venue.pairs[name], self.venue.book(name), self.venue.last_trade(name)
        if not len(last.ids) or not book.bids:
            raise CoinbaseError(404, "NotFound")
        bars = self.venue.day(name)
        return json_reply(
            {
                "ask": levels_text(book.asks[0], listing)[0],
                "bid": levels_text(book.bids[0], listing)[0],
                "volume": short(int(bars.volume_base[0]), listing.base_decimals) if bars else "0",
                "trade_id": int(last.ids[0]),
                "price": short(int(last.price[0]), listing.price_decimals),
                "size": short(int(last.size[0]), listing.base_decimals),
                "time": iso(int(last.times_us[0])) + "000Z",
                "rfq_volume": "0",
            }
        )


def trade_rows(trades: Trades) -> list[dict]:
    columns = (trades.ids, trades.times_us, trades.price, trades.size, trades.labelled_buys)
    return [
        {
            "trade_id": trade_id,
            "side": "sell" if taker_buys else "buy",
            "size": fixed(size, trades.base_decimals, 8),
            "price": fixed(price, trades.price_decimals, 8),
            "time": iso(time_us) + "Z",
        }
        for trade_id, time_us, price, size, taker_buys in zip(*(c.tolist() for c in columns), strict=True)
    ]


def candle(bars: Bars, i: int) -> str:
    prices = [short(int(column[i]), bars.price_decimals) for column in (bars.low, bars.high, bars.open, bars.close)]
    volume = short(int(bars.volume_base[i]), bars.base_decimals)
    return f"[{bars.times_ms[i] // 1000},{','.join(prices)},{volume}]"


def levels_text(row: tuple[int, int], listing: Listing) -> list[str]:
    return [short(row[0], listing.price_decimals), short(row[1], listing.base_decimals)]


def iso(time_us: int) -> str:
    seconds, micros = divmod(time_us, 1_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{micros:06}"


def integer(query: Mapping[str, str], name: str) -> int | None:
    if name not in query:
        return None
    if not re.fullmatch("[0-9]{1,18}", query[name]):
        raise CoinbaseError(400, f"Invalid {name}")
    return int(query[name])


def instant(query: Mapping[str, str], name: str) -> int | None:
    """Milliseconds of an ISO 8601 time or of unix seconds."""
    text = query.get(name)
    if text is None:
        return None
    if re.fullmatch("[0-9]{1,11}", text):
        return int(text) * 1000
    try:
        moment = datetime.fromisoformat(text.replace(" ", "+"))
    except ValueError:
        raise CoinbaseError(400, f"Invalid {name} {json.dumps(text)}") from None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
