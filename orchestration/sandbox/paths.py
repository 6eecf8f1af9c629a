"""Daily prices, volumes and flows of the generated market, and what its trades add up to, as exact integers.

A day's figures are functions of the seed and the day: every random number has its stream and its
place, levels are interpolated between dated anchors, sums run forward from day 0.
"""

from functools import cached_property, lru_cache

import numpy as np

from .aggregation import daily_bars, hourly_bars
from .events import events
from .market import DAY_MS, Bars
from .trades import Days, swing_of, words_of
from .universe import DAY_0, EXCHANGES, Asset, Pair, assets, day_index, exchange_pairs, stream

# Vectorised exp may round the last few elements of an array otherwise than those in its middle; whole blocks only.
BLOCK = 64

# Levels as people remember 2020-2026. After the last anchor a level stays.
BTC_USD = """2020-01-01 7200 2020-02-14 10300 2020-03-13 5000 2020-07-20 9200 2020-10-20 12000 2021-01-08 40000
2021-04-14 63000 2021-07-20 30000 2021-11-10 67000 2022-01-24 36000 2022-04-05 46000 2022-06-18 19500 2022-11-21 16000
2023-04-14 30000 2023-09-11 25500 2024-03-13 72000 2024-08-05 55000 2024-12-17 105000 2025-04-08 77000
2025-10-06 124000 2025-11-21 86000 2026-02-06 66000 2026-07-01 71000 2026-12-31 74000"""
ETH_USD = """2020-01-01 130 2020-03-13 112 2020-09-01 430 2020-11-01 390 2021-05-11 4000 2021-07-20 1850 2021-11-10 4700
2022-06-18 1000 2023-04-14 2050 2023-10-12 1550 2024-03-13 3900 2024-08-05 2400 2024-12-05 3900 2025-04-08 1500
2025-08-24 4700 2025-11-21 2750 2026-02-06 1950 2026-12-31 2300"""
# e-folds of the average altcoin since day 0.
ALT_LOG = """2020-01-01 0 2020-02-14 0.6 2020-03-13 -0.4 2020-09-01 0.9 2020-11-01 0.5 2021-05-11 3.1 2021-07-20 2.0
2021-11-10 2.9 2022-01-24 2.1 2022-06-18 1.0 2022-12-30 0.7 2023-09-11 0.5 2024-03-13 1.7 2024-08-05 0.9
2024-12-05 1.8 2025-04-08 0.6 2025-09-12 1.0 2025-10-11 0.5 2026-02-06 -0.2 2026-07-01 -0.4 2026-12-31 -0.5"""
VOLUME_LEVEL = """2020-01-01 0.15 2020-08-15 0.45 2021-01-08 1.1 2021-05-15 2.3 2021-07-20 0.8 2021-11-10 1.5
2022-06-18 0.8 2022-12-30 0.3 2023-09-11 0.22 2024-03-13 1.2 2024-08-20 0.6 2024-12-05 1.6 2025-04-15 0.75
2025-10-11 1.1 2026-02-06 0.8 2026-12-31 0.55"""
# Net taker share of volume that does not come from the day's return.
ALT_BIAS = """2020-01-01 0.002 2021-03-01 0.006 2021-06-01 -0.008 2022-06-01 -0.013 2023-06-01 -0.017 2023-12-01 -0.004
2024-03-01 0.002 2024-12-10 0.006 2025-01-20 -0.012 2025-06-01 -0.022 2025-10-15 -0.034 2026-02-15 -0.038
2026-12-31 -0.03"""
BTC_BIAS = "2020-01-01 -0.004 2021-06-01 -0.012 2023-06-01 -0.018 2024-06-01 -0.012 2025-06-01 -0.014 2026-12-31 -0.012"
GOLD_USD = """2020-01-01 1520 2020-08-06 2050 2022-09-26 1630 2024-03-01 2080 2025-04-22 3400 2025-10-20 4300
2026-12-31 4600"""
EUR_USD = """2020-01-01 1.12 2021-01-05 1.23 2022-09-27 0.96 2023-07-18 1.12 2025-01-10 1.03 2025-09-16 1.18
2026-12-31 1.16"""
KRW_PER_USD = """2020-01-01 1157 2020-03-19 1280 2021-01-05 1085 2022-10-25 1440 2023-02-02 1220 2024-12-30 1475
2025-06-30 1355 2025-12-31 1440 2026-12-31 1420"""
# Stablecoins that lost their peg: dollars on these days, interpolated; before the first and after the last they stay.
LOST_PEGS = {
    "UST": """2022-05-08 1 2022-05-09 0.79 2022-05-10 0.68 2022-05-11 0.50 2022-05-12 0.38 2022-05-13 0.15
2022-05-25 0.06 2022-06-18 0.02 2022-12-31 0.021 2024-12-31 0.019 2026-12-31 0.008""",
    "USDC": "2023-03-10 1 2023-03-11 0.955 2023-03-12 0.965 2023-03-13 0.997 2023-03-14 1",
}
# No pair trades more dollars a day: the sums of a day stay below 2^63.
MOST_DOLLARS = 4e10
ZERO_FEE_FACTOR, ZERO_FEE_QUOTES = 4.0, ("USDT", "USDC", "EUR", "TRY")
UNWASHED = ("BTC", "ETH")
TRY_PER_USD = "2020-01-01 5.95 2021-09-01 8.3 2021-12-20 17 2023-05-28 20 2023-08-24 27 2025-03-19 37.5 2026-12-31 52"


def level(anchors: str, days: np.ndarray, is_log: bool = False) -> np.ndarray:
    words = anchors.split()
    at = [day_index(word) for word in words[::2]]
    values = np.array([float(word) for word in words[1::2]])
    return np.exp(np.interp(days, at, np.log(values))) if is_log else np.interp(days, at, values)


def wandering(shocks: np.ndarray, memory: float) -> np.ndarray:
    """First-order autoregression, summed forward from day 0."""
    found, last = np.empty_like(shocks), 0.0
    for i, shock in enumerate(shocks.tolist()):
        last = memory * last + shock
        found[i] = last
    return found


class Paths:
    """All paths of one seed and size over the days 0..day_count-1; pairs trade from `first_day` on."""

    def __init__(self, seed: int, size: int, day_count: int, first_day: int = 0) -> None:
        self.seed, self.day_count, self.first_day = seed, day_count, first_day
        self.padded = -(-max(day_count, 1) // BLOCK) * BLOCK
        self.days = np.arange(self.padded)
        self.assets = assets(seed, size)
        self.usd = lru_cache(maxsize=1024)(self._usd)
        self.pairs = lru_cache(maxsize=None)(self._pairs)
        # For ten years 30 KB each; 150 KB the last.
        self._busy = lru_cache(maxsize=256)(self._busy_of)
        self._venue_level = lru_cache(maxsize=16)(self._venue_level_of)
        self.days_of = lru_cache(maxsize=128)(self._days_of)

    def _pairs(self, exchange: str) -> dict[str, Pair]:
        return exchange_pairs(self.seed, self.assets, exchange)

    def normal(self, *key: object) -> np.ndarray:
        return stream(self.seed, *key).standard_normal(self.padded)

    def fat(self, *key: object) -> np.ndarray:
        """Student t with four degrees of freedom, scaled to a standard deviation of one."""
        return stream(self.seed, *key).standard_t(4, self.padded) / np.sqrt(2)

    @cached_property
    def _common(self) -> np.ndarray:
        return wandering(0.024 * self.fat("market"), 0.985)

    @cached_property
    def _alt_common(self) -> np.ndarray:
        own = wandering(0.018 * self.fat("alts"), 0.985)
        return level(ALT_LOG, self.days) + 1.2 * self._common + own

    @cached_property
    def _volume_level(self) -> np.ndarray:
        weekday = (self.days + 2) % 7  # DAY_0 is a Wednesday: 0 is Monday
        weekend = np.where(weekday >= 5, 0.78, 1.0)
        return level(VOLUME_LEVEL, self.days, True) * weekend * np.exp(0.2 * self.normal("volume"))

    def _usd(self, name: str) -> np.ndarray:
        """Dollar price of an asset on every day, listed or not."""
        if name == "USDT":
            return np.ones(self.padded)
        if name == "USD":
            # Dollars per tether differ from one by a few basis points.
            return np.exp(wandering(0.00012 * self.fat("dollar"), 0.9))
        if name in ("TRY", "KRW"):
            rate, noise = (TRY_PER_USD, 0.003) if name == "TRY" else (KRW_PER_USD, 0.002)
            return 1 / (level(rate, self.days, True) * np.exp(noise * self.normal(name.lower())))
        if name == "EUR":
            return level(EUR_USD, self.days, True) * np.exp(0.003 * self.normal(name))
        asset = self.assets[name]
        price = self._era_usd(asset)
        for era in asset.eras[1:]:
            price = np.where(self.days >= era.first, self._era_usd(era), price)
        # A price never falls below a hundred ticks: it must be able to move.
        return np.maximum(price, 100 * 10.0 ** -price_decimals(asset.price))

    def peg(self, name: str) -> np.ndarray:
        """Dollars per stablecoin, listed or not."""
        price = np.exp(wandering(0.0003 * self.fat("peg", name), 0.8))
        return price * level(LOST_PEGS[name], self.days, True) if name in LOST_PEGS else price

    def _era_usd(self, asset: Asset) -> np.ndarray:
        if asset.origin is not None:
            return asset.factor * self._era_usd(asset.origin)
        name, days = asset.name, self.days
        if name == "BTC":
            return level(BTC_USD, days, True) * np.exp(self._common - self._common[0])
        if name == "ETH":
            own = wandering(0.014 * self.fat("own", name), 0.97)
            return level(ETH_USD, days, True) * np.exp(1.1 * (self._common - self._common[0]) + own - own[0])
        if asset.kind == "stablecoin":
            return self.peg(name)
        if asset.kind == "fiat":
            return self.usd(name)
        if asset.kind == "gold":
            return level(GOLD_USD, days, True) * np.exp(wandering(0.007 * self.normal(name), 0.98))
        if asset.kind == "wrapped":
            return self.usd("BTC") * np.exp(0.0008 * self.normal(name))
        since = min(asset.first, self.padded - 1)
        if asset.kind == "leveraged":
            moves = np.log(self.usd("BTC"))
            decay = np.maximum(days - since, 0) * 0.0012
            return asset.price * np.exp(1.6 * (moves - moves[since]) - decay)
        beta = float(stream(self.seed, "beta", name).uniform(0.75, 1.25))
        drift = 0.0005 if name in ("BNB", "SOL", "XRP", "TRX") else -0.0002
        steps = drift + 0.012 * self.fat("walk", name, asset.first)
        own = np.cumsum(steps) + wandering(0.022 * self.fat("own", name, asset.first), 0.96)
        log = beta * self._alt_common + own
        if asset.end is not None and (events("reused_ticker", asset=name) or events("delisting", asset=name)):
            # The last five days of a coin that collapses.
            log = log - 1.9 * np.clip(days - (asset.end - 6), 0, 5)
        return asset.price * np.exp(log - log[since])

    def spans(self, pair: Pair) -> list[tuple[int, int]]:
        """Days [first, end) on which the pair trades, era by era, within the market's days."""
        lives = [(max(first, self.first_day), min(end, self.day_count)) for first, end in self._lives(pair)]
        return [(first, end) for first, end in lives if first < end]

    def _lives(self, pair: Pair) -> list[tuple[int, int]]:
        """The same whatever the market's first day is."""
        venue = EXCHANGES[pair.exchange]
        quote = self.assets[pair.quote].first if pair.quote in self.assets else 0
        found = []
        for era in self._eras(pair.base):
            first = max(era.first, pair.first, quote, venue.first)
            ends = [end for end in (era.end, pair.end, venue.end) if end is not None]
            found.append((first, min(ends, default=self.day_count)))
        return [(first, end) for first, end in found if first < end]

    def _eras(self, name: str) -> list[Asset]:
        return [TETHER] if name == "USDT" else self.assets[name].eras

    def ends(self, pair: Pair) -> bool:
        """True where the pair has traded for the last time before now."""
        ends = (self._eras(pair.base)[-1].end, pair.end, EXCHANGES[pair.exchange].end)
        return any(end is not None and end <= self.day_count for end in ends)

    def decimals(self, pair: Pair) -> tuple[int, int]:
        """Places of a price and of a size."""
        asset = TETHER if pair.base == "USDT" else self.assets[pair.base]
        quote = float(self.usd(pair.quote)[min(max(asset.first, pair.first), self.padded - 1)])
        price = asset.price / quote
        if pair.quote == "KRW":
            # A day's won fit into 63 bits only with fewer places.
            places = int(np.clip(5 - np.floor(np.log10(price)), 0, 5))
            return places, 5 - places
        places = price_decimals(price)
        return places, min(5, max(0, 7 - places))

    def count(self, pair: Pair) -> int:
        """Trades a day."""
        if pair.base in ("BTC", "ETH"):
            return 48
        return 12 + 4 * int(stream(0, "count", pair.key).integers(0, 4))

    def ticks(self, pair: Pair) -> np.ndarray:
        """Closes on every day, listed or not, x 10^-price_decimals in quote."""
        unit = 10.0 ** self.decimals(pair)[0]
        price = self.usd(pair.base) / self.usd(pair.quote)
        if pair.exchange != "binance":
            price = price * np.exp(0.0003 * self.normal("basis", pair.key))
        elif pair.quote != "USDT":
            price = price * np.exp(0.0004 * self.normal("basis", pair.key))
        return np.maximum(np.rint(price * unit), 20).astype(np.int64)

    def _days_of(self, pair: Pair) -> Days:
        close = self.ticks(pair)
        opened = np.concatenate([close[:1], close[:-1]])
        for first, _ in self._lives(pair):
            if first < self.padded:
                opened[first] = close[first]  # an era opens at its own price
        change = np.log(close / opened)
        quiet = 0.0004 if self._is_quiet(pair.base) else 0.009
        ratio = (quiet + 0.2 * np.abs(change)) * np.exp(0.3 * self.normal("swing", pair.key))
        volume = self._volume_usd(pair, change)
        lots = np.maximum(volume / self.usd(pair.base) * 10.0 ** self.decimals(pair)[1], 100)
        share = 0.5 + 0.5 * self._imbalance(pair, change)
        kept = np.concatenate([np.arange(*span) for span in self.spans(pair)] or [np.arange(0)])
        buys = np.rint(lots * share).astype(np.int64)
        is_washed = self._during("wash_trades", pair) & (pair.base not in UNWASHED)
        return Days(
            days=kept,
            open=opened[kept],
            close=close[kept],
            swing=swing_of(np.minimum(opened, close), np.minimum(ratio, 0.1), self.count(pair))[kept],
            buys=buys[kept],
            sells=(np.rint(lots).astype(np.int64) - buys)[kept],
            is_washed=is_washed[kept],
            is_flipped=self._during("flipped_labels", pair)[kept],
        )

    def _during(self, kind: str, pair: Pair) -> np.ndarray:
        """True on the days of an event that names the pair's exchange."""
        found = np.zeros(self.padded, bool)
        for event in events(kind, pair.exchange, pair.base):
            end = self.padded if event.end is None else (event.end - DAY_0).days
            found |= (self.days >= (event.first - DAY_0).days) & (self.days < end)
        return found

    def bars(self, pair: Pair, interval_ms: int) -> Bars:
        """Exact sums of the trades, per day or per hour."""
        places, base_places = self.decimals(pair)
        quote_places = places + base_places if pair.quote == "KRW" else 8
        table, count = self.days_of(pair), self.count(pair)
        words = words_of(table.days, count, self.source(pair))
        make = daily_bars if interval_ms == DAY_MS else hourly_bars
        columns = make(table, count, words, 10 ** (quote_places - places - base_places))
        return Bars(*columns, price_decimals=places, base_decimals=base_places, quote_decimals=quote_places)

    def source(self, pair: Pair) -> np.random.BitGenerator:
        return stream(self.seed, "trades", pair.key).bit_generator

    def _is_quiet(self, name: str) -> bool:
        return name == "USDT" or self.assets[name].kind in ("stablecoin", "fiat")

    def _busy_of(self, base: str) -> np.ndarray:
        """How much more or less than usual an asset trades anywhere."""
        return np.exp(wandering(0.06 * self.normal("busy", base), 0.97)) * self._volume_level

    def _venue_level_of(self, exchange: str) -> np.ndarray:
        return np.exp(wandering(0.02 * self.normal("venue", exchange), 0.99))

    def volume_norm(self, pair: Pair) -> np.ndarray:
        """Dollars of an ordinary day at that time."""
        base = 2e7 if pair.base == "USDT" else self.assets[pair.base].volume_usd
        return base * pair.share * self._busy(pair.base)

    def _volume_usd(self, pair: Pair, change: np.ndarray) -> np.ndarray:
        fast = 0.25 * self.normal("busy", pair.key)
        excited = 1 + np.minimum(8 * np.abs(change), 3)
        volume = self.volume_norm(pair) * np.exp(fast) * excited
        if pair.exchange != "binance":
            volume = volume * self._venue_level(pair.exchange)
        elif pair.quote in ZERO_FEE_QUOTES:
            volume = np.where(self._during("zero_fee", pair), ZERO_FEE_FACTOR, 1.0) * volume
        return np.minimum(volume, MOST_DOLLARS)

    def _imbalance(self, pair: Pair, change: np.ndarray) -> np.ndarray:
        """Net taker share of volume, between -0.8 and 0.8."""
        if self._is_quiet(pair.base):
            bias = np.full(self.padded, -0.01)
        elif pair.base in ("BTC", "WBTC"):
            bias = level(BTC_BIAS, self.days)
        else:
            bias = level(ALT_BIAS, self.days) * (0.6 if pair.base == "ETH" else 1.0)
        own = 0.004 * float(stream(self.seed, "taste", pair.base).standard_normal())
        noise = 0.018 * self.normal("takers", pair.key)
        return np.clip(bias + own + 0.3 * np.clip(change, -0.5, 0.5) + noise, -0.8, 0.8)

    def supply(self, asset: Asset) -> np.ndarray:
        """Coins in circulation on every day, whole coins."""
        if asset.origin is not None:
            return np.rint(self.supply(asset.origin) / asset.factor)
        days = self.days
        if asset.name == "BTC":
            mined = np.cumsum(np.select([days < 132, days < 1571], [1800, 900], 450))
            return asset.supply + mined
        yearly = 0.004 if asset.name == "ETH" else float(stream(self.seed, "issue", asset.name).uniform(0.01, 0.12))
        return np.rint(asset.supply * (1 + yearly * np.maximum(days - asset.first, 0) / 365))


TETHER = Asset("USDT", "stablecoin", 1.0, 2e10, "tether", "Tether")


def price_decimals(price: float) -> int:
    """Six digits at listing, like the exchange's tick sizes; at least two places, at most eight."""
    return int(min(8, max(2, 5 - np.floor(np.log10(price)))))
