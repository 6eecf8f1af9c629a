"""Upbit REST: https://docs.upbit.com/kr/reference (market data part).

A market is called QUOTE-BASE. Numbers are JSON numbers; trades reach back seven days.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cached_property

import numpy as np

from .amounts import quotient, short
from .limits import SlidingWindow
from .market import DAY_MS, HOUR_MS, Bars, Market
from .venue import Venue
from .wire import Reply, Request, absent, json_reply

HOSTS = ("api.upbit.com",)
SERVED = ["/v1/market/all", "/v1/trades/ticks", "/v1/candles/days", "/v1/candles/minutes/60", "/v1/orderbook"]
# Each group of endpoints has ten requests a second of its own.
GROUPS = {"market": "market", "trades": "crix-trades", "candles": "candles", "orderbook": "orderbook"}
PER_SECOND = 10
TICKS, CANDLES, UNITS, DAYS = 500, 200, 15, 7
KOREAN = {
    "BTC": "비트코인",
    "ETH": "이더리움",
    "XRP": "리플",
    "LTC": "라이트코인",
    "ETC": "이더리움클래식",
    "GRT": "그래프",
    "SNX": "신세틱스",
    "AXS": "엑시인피니티",
}


class UpbitError(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


class Upbit:
    def __init__(self, market: Market, is_limited: bool = True) -> None:
        self.market, self.venue = market, Venue(market, "upbit")
        self.windows = {group: SlidingWindow(PER_SECOND if is_limited else 0, 1.0) for group in GROUPS.values()}
        self.names = {f"{listing.quote}-{listing.base}": name for name, listing in self.venue.live.items()}

    @cached_property
    def titles(self) -> Mapping[str, str]:
        """English names by ticker."""
        return {str(coin["symbol"]).upper(): str(coin["name"]) for coin in self.market.coins()}

    def __call__(self, request: Request) -> Reply:
        if not self.venue.pairs:
            return absent(request, [])
        path = request.path.rstrip("/")
        if path not in SERVED:
            return absent(request, SERVED)
        group = GROUPS[path.split("/")[2]]
        charge = self.windows[group].charge()
        left = max(0, PER_SECOND - charge.used) if self.windows[group].limit else PER_SECOND - 1
        headers = (("Remaining-Req", f"group={group}; min=600; sec={left}"),)
        if charge.retry_after is not None:
            error = {"name": "too_many_requests", "message": "Too many API requests."}
            return json_reply({"error": error}, 429, headers)
        try:
            reply = self._answer(path, request)
        except UpbitError as error:
            return json_reply({"error": {"name": error.status, "message": error.message}}, error.status, headers)
        return Reply(reply.body, reply.status, reply.content_type, headers)

    def _answer(self, path: str, request: Request) -> Reply:
        if path == "/v1/market/all":
            rows = []
            for market in self.names:
                base = market.partition("-")[2]
                english = self.titles.get(base, base)
                rows.append({"market": market, "korean_name": KOREAN.get(base, english), "english_name": english})
            return json_reply(rows)
        if path == "/v1/trades/ticks":
            return self._ticks(request.query)
        if path == "/v1/orderbook":
            return self._books(request.query)
        return self._candles(request.query, "1d" if path.endswith("days") else "1h")

    def _name(self, market: str | None) -> str:
        if not market:
            raise UpbitError(400, "Missing request parameter error. Check the required parameters!")
        if market not in self.names:
            raise UpbitError(404, "Code not found")
        return self.names[market]

    def _ticks(self, query: Mapping[str, str]) -> Reply:
        """Newest first: of the UTC day `days_ago`, without it of the last day on which there was a trade."""
        name = self._name(query.get("market"))
        count = min(max(1, integer(query, "count") or 1), TICKS)
        days_ago = integer(query, "days_ago")
        if days_ago is None:
            days_ago = integer(query, "daysAgo")
        if days_ago is not None and not 1 <= days_ago <= DAYS:
            raise UpbitError(400, f"days_ago must be between 1 and {DAYS}")
        if days_ago is None:
            last = self.venue.last_trade(name)
            if not len(last.ids):
                return Reply(b"[]")
            days_ago = -(-(self.venue.now_ms * 1000 - int(last.times_us[0])) // (DAY_MS * 1000))
        day_ms = self.venue.now_ms - days_ago * DAY_MS
        end_us = (day_ms + moment(query)) * 1000
        cursor = integer(query, "cursor")
        if cursor is not None:
            end_us = min(end_us, -(-cursor // 10))
        found = self.venue.newest(name, count, before_us=end_us, after_us=day_ms * 1000)
        before = self.venue.day(name, days_ago + 1)
        day = self.venue.day(name, days_ago)
        previous = int(before.close[0]) if before else int(day.open[0]) if day else 0
        rows = []
        columns = (found.times_us, found.price, found.size, found.labelled_buys)
        for time_us, price, size, buys in zip(*(c.tolist() for c in columns), strict=True):
            at = datetime.fromtimestamp(time_us // 1_000_000, UTC)
            rows.append(
                f'{{"market":"{query["market"]}","trade_date_utc":"{at:%Y-%m-%d}","trade_time_utc":"{at:%H:%M:%S}",'
                f'"timestamp":{time_us // 1000},"trade_price":{number(price, found.price_decimals)},'
                f'"trade_volume":{number(size, found.base_decimals)},'
                f'"prev_closing_price":{number(previous, found.price_decimals)},'
                f'"change_price":{number(price - previous, found.price_decimals)},'
                f'"ask_bid":"{"BID" if buys else "ASK"}","sequential_id":{time_us * 10}}}'
            )
        return Reply(f"[{','.join(rows[::-1])}]".encode())

    def _candles(self, query: Mapping[str, str], interval: str) -> Reply:
        """Newest first, those that open before `to`; hours without a trade are left out."""
        name = self._name(query.get("market"))
        bars = self.venue.bars(name, interval)
        if bars is None:
            raise UpbitError(404, "Code not found")
        count = min(max(1, integer(query, "count") or 1), CANDLES)
        traded = np.flatnonzero(bars.trades)
        last = int(np.searchsorted(bars.times_ms[traded], until(query, self.venue.now_ms)))
        rows = [self._candle(query["market"], bars, int(i), interval) for i in traded[max(0, last - count) : last]]
        return Reply(f"[{','.join(rows[::-1])}]".encode())

    def _candle(self, market: str, bars: Bars, i: int, interval: str) -> str:
        opens, seconds = int(bars.times_ms[i]), int(bars.times_ms[i]) // 1000
        utc, kst = (datetime.fromtimestamp(seconds + shift, UTC) for shift in (0, 9 * 3600))
        price = {name: number(int(getattr(bars, name)[i]), bars.price_decimals) for name in PRICES}
        length = DAY_MS if interval == "1d" else HOUR_MS
        text = (
            f'{{"market":"{market}","candle_date_time_utc":"{utc:%Y-%m-%dT%H:%M:%S}",'
            f'"candle_date_time_kst":"{kst:%Y-%m-%dT%H:%M:%S}","opening_price":{price["open"]},'
            f'"high_price":{price["high"]},"low_price":{price["low"]},"trade_price":{price["close"]},'
            f'"timestamp":{opens + length - 1},'
            f'"candle_acc_trade_price":{number(int(bars.volume_quote[i]), bars.quote_decimals)},'
            f'"candle_acc_trade_volume":{number(int(bars.volume_base[i]), bars.base_decimals)},'
        )
        if interval == "1h":
            return text + '"unit":60}'
        close, previous = int(bars.close[i]), int(bars.close[i - 1] if i else bars.open[i])
        rate = number(quotient(close - previous, previous, 10), 10)
        return text + (
            f'"prev_closing_price":{number(previous, bars.price_decimals)},'
            f'"change_price":{number(close - previous, bars.price_decimals)},"change_rate":{rate}}}'
        )

    def _books(self, query: Mapping[str, str]) -> Reply:
        found = []
        for market in (query.get("markets") or "").split(","):
            name = self._name(market)
            listing, book = self.venue.pairs[name], self.venue.book(name, UNITS)
            pairs = list(zip(book.asks, book.bids, strict=False))
            units = [
                f'{{"ask_price":{number(ask[0], listing.price_decimals)},'
                f'"bid_price":{number(bid[0], listing.price_decimals)},'
                f'"ask_size":{number(ask[1], listing.base_decimals)},'
                f'"bid_size":{number(bid[1], listing.base_decimals)}}}'
                for ask, bid in pairs
            ]
            asked, bidden = (sum(pair[side][1] for pair in pairs) for side in (0, 1))
            found.append(
                f'{{"market":"{market}","timestamp":{self.venue.now_ms},'
                f'"total_ask_size":{number(asked, listing.base_decimals)},'
                f'"total_bid_size":{number(bidden, listing.base_decimals)},'
                f'"orderbook_units":[{",".join(units)}],"level":0}}'
            )
        return Reply(f"[{','.join(found)}]".encode())


PRICES = ("open", "high", "low", "close")


def number(units: int, decimals: int) -> str:
    """A JSON number; below 0.0001 with an exponent, as in the recorded answer of 2025."""
    text = short(abs(units), decimals)
    sign = "-" if units < 0 else ""
    if not text.startswith("0.0000"):
        return sign + text
    digits = text[2:].lstrip("0")
    exponent = len(text) - 2 - len(digits) + 1
    return f"{sign}{digits[0]}{'.' + digits[1:] if digits[1:] else ''}e-{exponent:02}"


def integer(query: Mapping[str, str], name: str) -> int | None:
    if name not in query:
        return None
    if not re.fullmatch("[0-9]{1,18}", query[name]):
        raise UpbitError(400, f"Type mismatch error. Check the parameters type! ({name})")
    return int(query[name])


def moment(query: Mapping[str, str]) -> int:
    """Milliseconds into the day of `to` (HHmmss or HH:mm:ss); the whole day without it."""
    text = query.get("to", "").replace(":", "")
    if not text:
        return DAY_MS
    if not re.fullmatch("([01][0-9]|2[0-3])[0-5][0-9][0-5][0-9]", text):
        raise UpbitError(400, "Type mismatch error. Check the parameters type! (to)")
    return 1000 * (3600 * int(text[:2]) + 60 * int(text[2:4]) + int(text[4:]))


def until(query: Mapping[str, str], now_ms: int) -> int:
    if not query.get("to"):
        return now_ms
    try:
        at = datetime.fromisoformat(query["to"].replace(" ", "T"))
    except ValueError:
        raise UpbitError(400, "Type mismatch error. Check the parameters type! (to)") from None
    return min(now_ms, int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000))
