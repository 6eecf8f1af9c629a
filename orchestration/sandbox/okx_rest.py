"""OKX REST v5: https://www.okx.com/docs-v5/en/ (public and market data, and the trading statistics called rubik).

Everything is a string. An error is a `code` other than "0". Days are those of UTC+8 unless the bar is called `…utc`.
"""

import re
from collections.abc import Mapping

import numpy as np

from .amounts import fixed, rounded, short, step
from .limits import SlidingWindow
from .market import DAY_MS, HOUR_MS, Bars, Listing, Market, Trades, midnight_ms
from .venue import Venue
from .wire import Reply, Request, absent, json_reply

HOSTS = ("www.okx.com", "us.okx.com", "eea.okx.com")
ROOT = "/api/v5/"
# Requests in two seconds, each endpoint for itself.
LIMITS = {
    "public/time": 10,
    "public/instruments": 20,
    "market/tickers": 20,
    "market/ticker": 20,
    "market/trades": 100,
    "market/history-trades": 20,
    "market/candles": 40,
    "market/history-candles": 20,
    "market/books": 40,
    "rubik/stat/trading-data/support-coin": 5,
    "rubik/stat/taker-volume": 5,
}
SERVED = [ROOT + name for name in LIMITS]
SECONDS = 2.0
BARS = {"1H": "1h", "1Hutc": "1h", "1D": "1d+8", "1Dutc": "1d"}
LENGTHS = {"1h": HOUR_MS, "1d": DAY_MS, "1d+8": DAY_MS}
TRADE_DAYS, TRADE_PAGE, RECENT_TRADES, BOOK = 90, 100, 500, 400
CANDLE_PAGE, RECENT_CANDLE_PAGE, RECENT_CANDLES = 100, 300, 1440
# How far back rubik reaches.
RUBIK = {"1D": ("1d+8", 180 * DAY_MS), "1H": ("1h", 30 * DAY_MS)}


class OkxError(Exception):
    def __init__(self, code: str, message: str, status: int = 200) -> None:
        super().__init__(message)
        self.code, self.message, self.status = code, message, status


class Okx:
    def __init__(self, market: Market, is_limited: bool = True) -> None:
        self.venue = Venue(market, "okx")
        self.windows = {name: SlidingWindow(n if is_limited else 0, SECONDS) for name, n in LIMITS.items()}
        self.names = {f"{listing.base}-{listing.quote}": name for name, listing in self.venue.live.items()}
        self._answers = {
            "public/time": lambda query: [{"ts": str(self.venue.now_ms)}],
            "public/instruments": self._instruments,
            "market/tickers": self._tickers,
            "market/ticker": lambda query: [self._ticker(self._name(query))],
            "market/trades": self._recent_trades,
            "market/history-trades": self._history_trades,
            "market/books": self._book,
            "rubik/stat/trading-data/support-coin": self._coins,
        }

    def __call__(self, request: Request) -> Reply:
        name = request.path.removeprefix(ROOT)
        if not self.venue.pairs or name not in LIMITS:
            return absent(request, SERVED if self.venue.pairs else [])
        if self.windows[name].charge().retry_after is not None:
            return json_reply({"msg": "Too Many Requests", "code": "50011"}, 429)
        try:
            if name in ("market/candles", "market/history-candles"):
                return self._candles(request, name == "market/history-candles")
            if name == "rubik/stat/taker-volume":
                return self._taker_volume(request)
            return json_reply({"code": "0", "msg": "", "data": self._answers[name](request.query)})
        except OkxError as error:
            return json_reply({"code": error.code, "msg": error.message, "data": []}, error.status)

    def _name(self, query: Mapping[str, str]) -> str:
        inst_id = mandatory(query, "instId")
        if inst_id not in self.names:
            raise OkxError("51001", "Instrument ID doesn't exist.")
        return self.names[inst_id]

    def _listed(self, query: Mapping[str, str]) -> list[str]:
        """Names of the pairs asked for; this market of OKX is all spot."""
        kind = mandatory(query, "instType")
        if kind not in ("SPOT", "MARGIN", "SWAP", "FUTURES", "OPTION"):
            raise OkxError("51000", "Parameter instType error", 400)
        return list(self.names.values()) if kind == "SPOT" else []

    def _instruments(self, query: Mapping[str, str]) -> list[dict]:
        names = self._listed(query)
        if "instId" in query:
            names = [name for name in [self._name(query)] if name in names]
        return [instrument(self.venue.pairs[name]) for name in names]

    def _tickers(self, query: Mapping[str, str]) -> list[dict]:
        return [self._ticker(name) for name in self._listed(query)]

    def _ticker(self, name: str) -> dict:
        listing, book, last = self.venue.pairs[name], self.venue.book(name), self.venue.last_trade(name)
        day = self.venue.day(name)
        eight = self.venue.oldest(name, 1, from_us=(self.venue.now_ms - 8 * HOUR_MS) * 1000)

        def price(units: int) -> str:
            return short(int(units), listing.price_decimals)

        def size(units: int) -> str:
            return short(int(units), listing.base_decimals)

        ask, bid = next(iter(book.asks), None), next(iter(book.bids), None)
        return {
            "instType": "SPOT",
            "instId": f"{listing.base}-{listing.quote}",
            "last": price(last.price[0]) if len(last.ids) else "",
            "lastSz": size(last.size[0]) if len(last.ids) else "",
            "askPx": price(ask[0]) if ask else "",
            "askSz": size(ask[1]) if ask else "",
            "bidPx": price(bid[0]) if bid else "",
            "bidSz": size(bid[1]) if bid else "",
            "open24h": price(day.open[0]) if day else "",
            "high24h": price(day.high[0]) if day else "",
            "low24h": price(day.low[0]) if day else "",
            "volCcy24h": short(int(day.volume_quote[0]), day.quote_decimals) if day else "0",
            "vol24h": size(day.volume_base[0]) if day else "0",
            # A new UTC day has just begun; the day of UTC+8 is eight hours old.
            "sodUtc0": price(day.close[0]) if day else "",
            "sodUtc8": price(eight.price[0]) if len(eight.ids) else "",
            "ts": str(self.venue.now_ms),
        }

    # --- trades ------------------------------------------------------------------------------

    def _recent_trades(self, query: Mapping[str, str]) -> list[dict]:
        limit = integer(query, "limit")
        return trade_rows(
            self.venue.newest(self._name(query), min(limit or TRADE_PAGE, RECENT_TRADES)), query["instId"]
        )

    def _history_trades(self, query: Mapping[str, str]) -> list[dict]:
        """Newest first, of the last three months. `after`: older than that trade id (type 1) or time (type 2)."""
        name, kind = self._name(query), query.get("type", "1")
        if kind not in ("1", "2"):
            raise OkxError("51000", "Parameter type error", 400)
        after, before = integer(query, "after"), integer(query, "before")
        count = min(integer(query, "limit") or TRADE_PAGE, TRADE_PAGE)
        bounds = {"before_id": after} if kind == "1" else {"before_us": None if after is None else after * 1000}
        oldest = (self.venue.now_ms - TRADE_DAYS * DAY_MS) * 1000
        # Newer than an id only: times are no bound from below.
        newer = before or 0 if kind == "1" else 0
        found = self.venue.newest(name, count, **bounds, after_us=oldest, after_id=newer)
        return trade_rows(found, query["instId"])

    # --- candles and books ---------------------------------------------------------------------

    def _candles(self, request: Request, is_history: bool) -> Reply:
        """Newest first; `after`: opened before that time, `before`: after it. Both excluded."""
        query, name = request.query, self._name(request.query)
        if query.get("bar", "1m") not in BARS:
            return absent(request, {"bar": list(BARS)})
        interval = BARS[query.get("bar", "1m")]
        bars = self.venue.bars(name, interval)
        if bars is None:
            return absent(request, {"bar": []})
        after, before = integer(query, "after"), integer(query, "before")
        last = int(np.searchsorted(bars.times_ms, self.venue.now_ms if after is None else after))
        first = 0 if before is None else int(np.searchsorted(bars.times_ms, before, "right"))
        page = CANDLE_PAGE if is_history else RECENT_CANDLE_PAGE
        if is_history:
            closed = np.searchsorted(bars.times_ms, self.venue.now_ms - LENGTHS[interval], "right")
            last = min(last, int(closed))
        else:
            first = max(first, len(bars.times_ms) - RECENT_CANDLES)
        first = max(first, last - min(integer(query, "limit") or 100, page))
        rows = []
        for i in range(first, last):
            is_closed = bars.times_ms[i] + LENGTHS[interval] <= self.venue.now_ms
            rows.append([*candle(bars, i), "1" if is_closed else "0"])
        return json_reply({"code": "0", "msg": "", "data": rows[::-1]})

    def _book(self, query: Mapping[str, str]) -> list[dict]:
        name = self._name(query)
        count = min(integer(query, "sz") or 1, BOOK)
        listing, book = self.venue.pairs[name], self.venue.book(name, count)
        sides = {
            side: [[*levels_text(row, listing), "0", str(i % 7 + 1)] for i, row in enumerate(rows)]
            for side, rows in (("asks", book.asks), ("bids", book.bids))
        }
        return [sides | {"ts": str(self.venue.now_ms)}]

    # --- rubik ---------------------------------------------------------------------------------

    def _coins(self, query: Mapping[str, str]) -> dict:
        return {"contract": [], "option": [], "spot": sorted({listing.base for listing in self.venue.live.values()})}

    def _taker_volume(self, request: Request) -> Reply:
        """Rows [time, sold, bought] of one currency against all others, in that currency, newest first."""
        query = request.query
        ccy, kind, period = mandatory(query, "ccy"), mandatory(query, "instType"), query.get("period", "5m")
        if kind not in ("SPOT", "CONTRACTS"):
            raise OkxError("51000", "Parameter instType error", 400)
        if kind == "CONTRACTS" or period not in RUBIK:
            return absent(request, {"instType": ["SPOT"], "period": list(RUBIK)})
        names = [name for name, listing in self.venue.live.items() if listing.base == ccy]
        if not names:
            raise OkxError("51000", "Parameter ccy error", 400)
        interval, reach = RUBIK[period]
        begin = max(integer(query, "begin") or 0, self.venue.now_ms - reach)
        end = integer(query, "end")
        rows = [(time, *volumes) for time, volumes in self._volumes(names, interval).items() if time >= begin]
        rows = [
            [str(time), rounded(sold, PLACES, 4), rounded(bought, PLACES, 4)]
            for time, sold, bought in sorted(rows, reverse=True)
            if end is None or time <= end
        ]
        return json_reply({"code": "0", "data": rows, "msg": ""})

    def _volumes(self, names: list[str], interval: str) -> dict[int, tuple[int, int]]:
        """Sold and bought per bar over all pairs, in units of 10^-PLACES."""
        found: dict[int, tuple[int, int]] = {}
        for name in names:
            bars = self.venue.bars(name, interval)
            if bars is None:
                continue
            unit = 10 ** (PLACES - bars.base_decimals)
            columns = (bars.times_ms, bars.volume_base, bars.taker_buy_base)
            for time, volume, buy in zip(*(c.tolist() for c in columns), strict=True):
                sold, bought = found.get(time, (0, 0))
                found[time] = (sold + (volume - buy) * unit, bought + buy * unit)
        return found


PLACES = 12


def instrument(listing: Listing) -> dict[str, str]:
    """Fields and order as in the recorded answer."""
    return {
        "alias": "",
        "baseCcy": listing.base,
        "category": "1",
        "ctMult": "",
        "ctType": "",
        "ctVal": "",
        "ctValCcy": "",
        "expTime": "",
        "instFamily": "",
        "instId": f"{listing.base}-{listing.quote}",
        "instType": "SPOT",
        "lever": "10",
        "listTime": str(midnight_ms(listing.first)),
        "lotSz": step(listing.base_decimals),
        "maxIcebergSz": "9999999999.0000000000000000",
        "maxLmtAmt": "1000000",
        "maxLmtSz": "9999999999",
        "maxMktAmt": "1000000",
        "maxMktSz": "",
        "maxStopSz": "",
        "maxTriggerSz": "9999999999.0000000000000000",
        "maxTwapSz": "9999999999.0000000000000000",
        "minSz": fixed(1, listing.base_decimals, listing.base_decimals),
        "optType": "",
        "quoteCcy": listing.quote,
        "settleCcy": "",
        "state": "live",
        "stk": "",
        "tickSz": step(listing.price_decimals),
        "uly": "",
    }


def trade_rows(trades: Trades, inst_id: str) -> list[dict[str, str]]:
    columns = (trades.ids, trades.times_us, trades.price, trades.size, trades.labelled_buys)
    rows = [
        {
            "instId": inst_id,
            "side": "buy" if buys else "sell",
            "sz": short(size, trades.base_decimals),
            "px": short(price, trades.price_decimals),
            "tradeId": str(trade_id),
            "ts": str(time_us // 1000),
        }
        for trade_id, time_us, price, size, buys in zip(*(c.tolist() for c in columns), strict=True)
    ]
    return rows[::-1]


def candle(bars: Bars, i: int) -> list[str]:
    """Time, four prices, base, and twice quote: of a spot pair both are that."""
    prices = [short(int(c[i]), bars.price_decimals) for c in (bars.open, bars.high, bars.low, bars.close)]
    quote = short(int(bars.volume_quote[i]), bars.quote_decimals)
    return [str(bars.times_ms[i]), *prices, short(int(bars.volume_base[i]), bars.base_decimals), quote, quote]


def levels_text(row: tuple[int, int], listing: Listing) -> list[str]:
    return [short(row[0], listing.price_decimals), short(row[1], listing.base_decimals)]


def mandatory(query: Mapping[str, str], name: str) -> str:
    if not query.get(name):
        raise OkxError("50014", f"Parameter {name} can not be empty.", 400)
    return query[name]


def integer(query: Mapping[str, str], name: str) -> int | None:
    if not query.get(name):
        return None
    if not re.fullmatch("[0-9]{1,18}", query[name]):
        raise OkxError("51000", f"Parameter {name} error", 400)
    return int(query[name])
