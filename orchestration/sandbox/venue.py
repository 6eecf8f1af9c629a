"""One exchange of a market as its REST server asks for it: pairs, pages of trades, bars, an order book."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property, lru_cache

import numpy as np

from .market import DAY_MS, HOUR_MS, Bars, Listing, Market, Trades, midnight_ms

DAY_US = DAY_MS * 1000
# Levels that a book can have on each side, and the mean distance of two of them as a share of the price.
BOOK_LEVELS = 5000
BOOK_STEP = 10_000


@dataclass(frozen=True)
class Book:
    """Levels as (price, size) in whole units, the best first; bids end where no price is left below."""

    bids: Sequence[tuple[int, int]]
    asks: Sequence[tuple[int, int]]


class Venue:
    def __init__(self, market: Market, exchange: str) -> None:
        self.market, self.exchange = market, exchange
        self.now_ms = midnight_ms(market.now)
        self.per_day = lru_cache(maxsize=None)(self._per_day)
        self._eight = lru_cache(maxsize=128)(self._days_from_eight)

    @cached_property
    def pairs(self) -> Mapping[str, Listing]:
        """By `BASE/QUOTE`, those ever listed before now; none where the market has nothing of this exchange."""
        if self.exchange not in self.market.exchanges():
            return {}
        found = self.market.listings(self.exchange)
        return {name: listing for name, listing in found.items() if listing.first < self.market.now}

    @cached_property
    def live(self) -> Mapping[str, Listing]:
        """The pairs that trade now."""
        return {name: listing for name, listing in self.pairs.items() if not self.has_ended(listing)}

    def has_ended(self, listing: Listing) -> bool:
        return listing.end is not None and listing.end <= self.market.now

    def has_trades(self, name: str) -> bool:
        return self.market.trades(self.exchange, name, self.now_ms - DAY_MS, self.now_ms) is not None

    # --- trades ------------------------------------------------------------------------------

    def between(self, name: str, start_us: int, end_us: int) -> Trades:
        """Trades with start <= time < end."""
        start, end = max(start_us, 0), max(start_us, end_us, 0)
        found = self.market.trades(self.exchange, name, start // 1000, -(-end // 1000))
        if found is None:
            raise LookupError(f"{self.market.name} has no trades of {self.exchange}")
        first, last = np.searchsorted(found.times_us, (start, end))
        return part(found, slice(int(first), int(last)))

    def newest(
        self,
        name: str,
        count: int,
        before_us: int | None = None,
        before_id: int | None = None,
        after_us: int = 0,
        after_id: int = 0,
    ) -> Trades:
        """The last `count` trades that are older than both `before` and newer than both `after`, ascending."""
        first, end = self._reach(name)
        if before_id is not None:
            end = min(end, self._day_after(name, before_id - 1))
        end = min(end, end if before_us is None else before_us)
        first = max(first, self._day_after(name, after_id + 1) - DAY_US, after_us)
        days, found, missing = count // self.per_day(name) + 1, [self.between(name, end, end)], count
        while missing > 0 and end > first:
            start = max(first, -(-end // DAY_US) * DAY_US - days * DAY_US)
            chunk = self.between(name, start, end)
            kept = (chunk.ids > after_id) & (chunk.times_us >= after_us)
            if before_id is not None:
                kept &= chunk.ids < before_id
            found.append(part(chunk, kept))
            missing -= int(kept.sum())
            end, days = start, days * 4
        whole = joined(found[::-1])
        return part(whole, slice(max(0, len(whole.ids) - count), None))

    def oldest(self, name: str, count: int, from_us: int = 0, from_id: int = 0, end_us: int | None = None) -> Trades:
        """The first `count` trades at or after `from`, before `end`, ascending."""
        start, end = self._reach(name)
        end = min(end, end if end_us is None else end_us)
        start = max(start, self._day_after(name, from_id) - DAY_US, from_us)
        days, found, missing = count // self.per_day(name) + 1, [self.between(name, start, start)], count
        while missing > 0 and start < end:
            until = min(end, start // DAY_US * DAY_US + days * DAY_US)
            chunk = self.between(name, start, until)
            kept = chunk.ids >= from_id
            found.append(part(chunk, kept))
            missing -= int(kept.sum())
            start, days = until, days * 4
        return part(joined(found), slice(count))

    def last_trade(self, name: str) -> Trades:
        return self.newest(name, 1)

    def _per_day(self, name: str) -> int:
        """Every pair has the same number of trades on every day that it trades."""
        first = midnight_ms(self.pairs[name].first) * 1000
        return max(1, len(self.between(name, first, first + DAY_US).ids))

    def _reach(self, name: str) -> tuple[int, int]:
        """First instant and end of a listing, up to now, in microseconds."""
        listing = self.pairs[name]
        end = self.market.now if listing.end is None else min(listing.end, self.market.now)
        return midnight_ms(listing.first) * 1000, midnight_ms(end) * 1000

    def _day_after(self, name: str, trade_id: int) -> int:
        """End of the day that holds a trade: ids count up from 1, so many a day."""
        day = max(trade_id - 1, 0) // self.per_day(name)
        return midnight_ms(self.pairs[name].first) * 1000 + (day + 1) * DAY_US

    # --- bars --------------------------------------------------------------------------------

    def bars(self, name: str, interval: str) -> Bars | None:
        """Closed bars, `1h`, `1d` or `1d+8`: days that begin at 16:00 UTC, made of hours, the last one not over."""
        if interval == "1d+8":
            return self._eight(name)
        return self.market.bars(self.exchange, name, interval)

    def _days_from_eight(self, name: str) -> Bars | None:
        hours = self.bars(name, "1h")
        return None if hours is None else days_of(hours, 8)

    def day(self, name: str, days_ago: int = 1) -> Bars | None:
        """The one bar of a day before now, made of its trades; None where nothing was traded."""
        open_ms = self.now_ms - days_ago * DAY_MS
        found = self.market.trades(self.exchange, name, open_ms, open_ms + DAY_MS)
        return day_of_trades(found, open_ms) if found is not None and len(found.ids) else None

    # --- order book --------------------------------------------------------------------------

    def book(self, name: str, levels: int = 1) -> Book:
        """Around the last close, of sizes like the day's trades; the same for everybody who asks on this day."""
        if self.has_ended(self.pairs[name]):
            return Book((), ())
        last = self.newest(name, 12)
        if not len(last.ids):
            return Book((), ())
        close, usual = int(last.price[-1]), max(1, int(last.size.sum()) // len(last.ids) // 4)
        widest = 2 * max(1, close // BOOK_STEP)
        sides = []
        for direction in (-1, 1):
            steps, sizes = (
                self._stream(name, direction, what).integers(1, most + 1, min(levels, BOOK_LEVELS))
                for what, most in (("steps", widest), ("sizes", 2 * usual))
            )
            prices = close + direction * np.cumsum(steps)
            sides.append([(p, s) for p, s in zip(prices.tolist(), sizes.tolist(), strict=True) if p > 0])
        return Book(*sides)

    def _stream(self, *key: object) -> np.random.Generator:
        """Level i is the same however many are asked for: each column has a stream of its own."""
        text = "/".join(map(str, (self.exchange, self.now_ms, *key)))
        return np.random.Generator(np.random.Philox(int.from_bytes(hashlib.blake2b(text.encode()).digest()[:8])))


# What of Trades is no column.
PLACES = ("price_decimals", "base_decimals")


def part(trades: Trades, rows: slice | np.ndarray) -> Trades:
    columns = {f.name: getattr(trades, f.name)[rows] for f in fields(trades) if f.name not in PLACES}
    return replace(trades, **columns)


def joined(parts: Sequence[Trades]) -> Trades:
    names = [f.name for f in fields(Trades) if f.name not in PLACES]
    return replace(parts[0], **{name: np.concatenate([getattr(p, name) for p in parts]) for name in names})


def day_of_trades(trades: Trades, open_ms: int) -> Bars:
    """One bar of trades, of which there is at least one. Sums in Python's integers, because they outgrow 64 bits."""
    price, size, buys = (column.tolist() for column in (trades.price, trades.size, trades.labelled_buys))
    bought = [(a, b) for a, b, buy in zip(price, size, buys, strict=True) if buy]

    def one(value: int) -> np.ndarray:
        return np.array([value], object)

    return Bars(
        times_ms=one(open_ms),
        open=one(price[0]),
        high=one(max(price)),
        low=one(min(price)),
        close=one(price[-1]),
        volume_base=one(sum(size)),
        volume_quote=one(sum(a * b for a, b in zip(price, size, strict=True))),
        taker_buy_base=one(sum(b for _, b in bought)),
        taker_buy_quote=one(sum(a * b for a, b in bought)),
        trades=one(len(price)),
        price_decimals=trades.price_decimals,
        base_decimals=trades.base_decimals,
        quote_decimals=trades.price_decimals + trades.base_decimals,
    )


def days_of(hours: Bars, offset: int) -> Bars:
    """Bars of days of a clock that is `offset` hours ahead of UTC; days without an hour are left out."""
    day = (hours.times_ms + offset * HOUR_MS) // DAY_MS
    starts = np.flatnonzero(np.diff(day, prepend=-1)) if len(day) else np.zeros(0, np.int64)
    ends = np.append(starts[1:], len(day))[: len(starts)]
    columns = {f.name: getattr(hours, f.name) for f in fields(hours)}
    arrays = {k: v for k, v in columns.items() if isinstance(v, np.ndarray)}
    found = {k: np.add.reduceat(v, starts) if len(starts) else v[:0] for k, v in arrays.items()}
    found |= {"open": hours.open[starts], "close": hours.close[ends - 1]}
    found["times_ms"] = day[starts] * DAY_MS - offset * HOUR_MS
    if len(starts):
        found |= {"high": np.maximum.reduceat(hours.high, starts), "low": np.minimum.reduceat(hours.low, starts)}
    return replace(hours, **found)
