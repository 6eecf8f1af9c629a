"""Prices and flows of the generated market, as exact integers.

A day's figures are functions of the seed and the day: every random number has its stream and its
place, levels are interpolated between dated anchors, sums run forward from day 0.
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from .universe import Asset, Pair, assets, day_index, pairs, stream

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


@dataclass(frozen=True)
class Bars:
    """Daily bars of one pair in whole units: prices x 10^-price_decimals, base x 10^-base_decimals, quote x 10^-8."""

    days: np.ndarray
    open: np.ndarray
    high: np.ndarray
    low: np.ndarray
    close: np.ndarray
    volume_base: np.ndarray
    volume_quote: np.ndarray
    taker_buy_base: np.ndarray
    taker_buy_quote: np.ndarray
    trades: np.ndarray
    price_decimals: int
    base_decimals: int


class Paths:
    """All paths of one seed and size over the days 0..day_count-1."""

    def __init__(self, seed: int, size: int, day_count: int) -> None:
        self.seed, self.day_count = seed, day_count
        self.padded = -(-max(day_count, 1) // BLOCK) * BLOCK
        self.days = np.arange(self.padded)
        self.assets = assets(seed, size)
        self.pairs = pairs(self.assets)
        self.usd = lru_cache(maxsize=4096)(self._usd)

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
        if name == "TRY":
            return 1 / (level(TRY_PER_USD, self.days, True) * np.exp(0.003 * self.normal("try")))
        asset = self.assets[name]
        price = self._era_usd(asset)
        for era in asset.eras[1:]:
            price = np.where(self.days >= era.first, self._era_usd(era), price)
        # A price never falls below a hundred ticks, so that a bar has room for its low and its average.
        return np.maximum(price, 100 * 10.0 ** -price_decimals(asset.price))

    def _era_usd(self, asset: Asset) -> np.ndarray:
        name, days = asset.name, self.days
        if name == "BTC":
            return level(BTC_USD, days, True) * np.exp(self._common - self._common[0])
        if name == "ETH":
            own = wandering(0.014 * self.fat("own", name), 0.97)
            return level(ETH_USD, days, True) * np.exp(1.1 * (self._common - self._common[0]) + own - own[0])
        if asset.kind == "stablecoin":
            return np.exp(wandering(0.0003 * self.fat("peg", name), 0.8))
        if asset.kind == "fiat":
            return level(EUR_USD, days, True) * np.exp(0.003 * self.normal(name))
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
        if asset.reborn is not None and asset.end is not None:
            # The last five days of a coin that collapses.
            log = log - 1.9 * np.clip(days - (asset.end - 6), 0, 5)
        return asset.price * np.exp(log - log[since])

    def life(self, pair: Pair) -> list[tuple[int, int]]:
        """Days [first, end) on which the pair trades, era by era."""
        if pair.base == "USDT":
            return [(min(pair.first, self.day_count), self.day_count)]
        quote = self.assets[pair.quote].first if pair.quote in self.assets else 0
        spans = []
        for era in self.assets[pair.base].eras:
            first = max(era.first, pair.first, quote)
            end = self.day_count if era.end is None else min(era.end, self.day_count)
            spans += [(first, end)] if first < end else []
        return spans

    def bars(self, pair: Pair) -> Bars:
        symbol, usd, quote_usd = pair.symbol, self.usd(pair.base), self.usd(pair.quote)
        decimals = price_decimals(float((usd / quote_usd)[min(self._listed_on(pair), self.padded - 1)]))
        base_decimals = min(5, max(0, 7 - decimals))
        unit = 10.0**decimals
        basis = 0.0 if pair.quote == "USDT" else 0.0004 * self.normal("basis", symbol)
        close = np.maximum(np.rint(usd / quote_usd * np.exp(basis) * unit), 20).astype(np.int64)
        opened = np.concatenate([close[:1], close[:-1]])
        for first, _ in self.life(pair):
            opened[first] = close[first]  # an era opens at its own price
        change = np.log(close / opened)
        quiet = 0.0006 if self._is_quiet(pair.base) else 0.014
        upper, lower = np.maximum(opened, close), np.minimum(opened, close)
        high = upper + 2 + (upper * quiet * np.abs(self.normal("high", symbol))).astype(np.int64)
        low = np.maximum(lower - 2 - (lower * quiet * np.abs(self.normal("low", symbol))).astype(np.int64), 1)
        # Between 30 and 70 % of the range, so that rounding cannot carry the average price out of it.
        average = low + (high - low) * (0.3 + 0.4 * stream(self.seed, "average", symbol).random(self.padded))
        volume = self._volume_usd(pair, change)
        base = np.maximum(np.rint(volume / usd * 10.0**base_decimals), 10).astype(np.int64)
        scale = 10.0 ** (8 - decimals - base_decimals)
        buy = np.rint(base * (0.5 + 0.5 * self._imbalance(pair, change))).astype(np.int64)
        size = 150.0 * np.exp(0.15 * self.normal("size", symbol))
        kept = np.concatenate([np.arange(*span) for span in self.life(pair)] or [np.arange(0)])
        return Bars(
            days=kept,
            open=opened[kept],
            high=high[kept],
            low=low[kept],
            close=close[kept],
            volume_base=base[kept],
            volume_quote=np.rint(base * average * scale).astype(np.int64)[kept],
            taker_buy_base=buy[kept],
            taker_buy_quote=np.rint(buy * average * scale).astype(np.int64)[kept],
            trades=np.maximum(1, volume / size).astype(np.int64)[kept],
            price_decimals=decimals,
            base_decimals=base_decimals,
        )

    def _listed_on(self, pair: Pair) -> int:
        bases = [self.assets[name].first for name in (pair.base, pair.quote) if name in self.assets]
        return max([pair.first, *bases])

    def _is_quiet(self, name: str) -> bool:
        return name == "USDT" or self.assets[name].kind in ("stablecoin", "fiat")

    def _volume_usd(self, pair: Pair, change: np.ndarray) -> np.ndarray:
        base = 2e7 if pair.base == "USDT" else self.assets[pair.base].volume_usd
        slow = wandering(0.06 * self.normal("busy", pair.base), 0.97)
        fast = 0.25 * self.normal("busy", pair.symbol)
        excited = 1 + np.minimum(8 * np.abs(change), 3)
        return base * pair.share * self._volume_level * np.exp(slow + fast) * excited

    def _imbalance(self, pair: Pair, change: np.ndarray) -> np.ndarray:
        """Net taker share of volume, between -0.8 and 0.8."""
        if self._is_quiet(pair.base):
            bias = np.full(self.padded, -0.01)
        elif pair.base in ("BTC", "WBTC"):
            bias = level(BTC_BIAS, self.days)
        else:
            bias = level(ALT_BIAS, self.days) * (0.6 if pair.base == "ETH" else 1.0)
        own = 0.004 * float(stream(self.seed, "taste", pair.base).standard_normal())
        noise = 0.018 * self.normal("takers", pair.symbol)
        return np.clip(bias + own + 0.3 * np.clip(change, -0.5, 0.5) + noise, -0.8, 0.8)

    def supply(self, asset: Asset) -> np.ndarray:
        """Coins in circulation on every day, whole coins."""
        days = self.days
        if asset.name == "BTC":
            mined = np.cumsum(np.select([days < 132, days < 1571], [1800, 900], 450))
            return asset.supply + mined
        yearly = 0.004 if asset.name == "ETH" else float(stream(self.seed, "issue", asset.name).uniform(0.01, 0.12))
        return np.rint(asset.supply * (1 + yearly * np.maximum(days - asset.first, 0) / 365))


def price_decimals(price: float) -> int:
    """Six digits at listing, like the exchange's tick sizes; at least two places, at most eight."""
    return int(min(8, max(2, 5 - np.floor(np.log10(price)))))
