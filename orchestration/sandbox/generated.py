"""A generated market: deterministic, believable, and always flagged synthetic.

Day d depends on seed, size and d only: a later `now` adds days and restates none.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import pyarrow as pa

from .market import DAY_MS, Body, MarketError, Rows, Symbol, decimal_text, kline_rows, midnight_ms, text_of
from .paths import Bars, Paths
from .series import STABLECOINS, Series
from .universe import DAY_0, Asset

# Pairs whose text is kept: some 160 MB for histories of ten years.
CACHED_PAIRS = 256
ASSETS_WITH_CAPS = 38


class GeneratedMarket:
    """2020-01-01 to the day before `now` (default: today, UTC)."""

    kind = "sandbox"
    synthetic = True

    def __init__(self, now: date | None = None, seed: int = 1, size: int = 150) -> None:
        self.now = now or datetime.now(UTC).date()
        if self.now <= DAY_0:
            raise MarketError(f"the generated market begins on {DAY_0}; --now must be later")
        if size < 12:
            raise MarketError(f"--size {size}: a generated market has at least 12 assets")
        self.name = f"generated market, {size} assets, seed {seed}"
        self.paths = Paths(seed, size, (self.now - DAY_0).days)
        self.klines_1d = lru_cache(maxsize=CACHED_PAIRS)(self._klines_1d)

    def warm(self) -> None:
        self.symbols()

    def span(self) -> tuple[date, date]:
        return DAY_0, self.now - timedelta(days=1)

    @cached_property
    def _listed(self) -> dict[str, Symbol]:
        found = {}
        for name, pair in self.paths.pairs.items():
            spans = self.paths.life(pair)
            if not spans:
                continue
            kind = self.paths.assets[pair.base].kind if pair.base in self.paths.assets else "stablecoin"
            permissions = (
                ("LEVERAGED",) if kind == "leveraged" else ("SPOT", "MARGIN") if pair.share == 1 else ("SPOT",)
            )
            is_trading = spans[-1][1] == self.paths.day_count and not self._ends(pair.base)
            found[name] = Symbol(name, pair.base, pair.quote, is_trading, permissions)
        return found

    def _ends(self, base: str) -> bool:
        """True where the last era is over before now."""
        asset = self.paths.assets.get(base)
        return asset is not None and (asset.eras[-1].end or self.paths.day_count + 1) <= self.paths.day_count

    def symbols(self) -> Mapping[str, Symbol]:
        return self._listed

    def intervals(self) -> Mapping[str, Sequence[str] | None]:
        return {"1d": None}

    def bars(self, symbol: str) -> Bars:
        """The truth behind the klines, in exact integers."""
        return self.paths.bars(self.paths.pairs[symbol])

    def klines(self, symbol: str, interval: str) -> Rows | None:
        return self.klines_1d(symbol) if interval == "1d" else None

    def _klines_1d(self, symbol: str) -> Rows:
        bars = self.bars(symbol)
        times = midnight_ms(DAY_0) + bars.days.astype(np.int64) * DAY_MS
        prices = {name: getattr(bars, name) for name in ("open", "high", "low", "close")}
        columns = {name: decimal_text(units, bars.price_decimals) for name, units in prices.items()}
        columns |= {
            "open_time": pa.array(times),
            "close_time": pa.array(times + DAY_MS - 1),
            "volume": decimal_text(bars.volume_base, bars.base_decimals),
            "quote_volume": decimal_text(bars.volume_quote),
            "trades": pa.array(bars.trades),
            "taker_buy_base": decimal_text(bars.taker_buy_base, bars.base_decimals),
            "taker_buy_quote": decimal_text(bars.taker_buy_quote),
        }
        return Rows(times, *text_of(kline_rows(columns)))

    def _priced(self, asset: Asset) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
        """Days listed, closes against USDT in ticks, coins in circulation, places of a tick."""
        if asset.name == "USDT":
            days = np.arange(self.paths.day_count)
            return days, np.full(len(days), 100), np.zeros(len(days)), 2
        bars = self.bars(asset.name + "USDT")
        supply = self.paths.supply(asset)
        for era in asset.eras[1:]:
            supply = np.where(self.paths.days >= era.first, self.paths.supply(era), supply)
        return bars.days, bars.close, supply[bars.days], bars.price_decimals

    def caps(self) -> pa.Table:
        """Cap = close x supply of the same day; stablecoins: their supply x their price."""
        coins = [asset for asset in self.paths.assets.values() if asset.kind == "coin"][:ASSETS_WITH_CAPS]
        dollars = [a for a in self.paths.assets.values() if a.kind == "stablecoin"] + [TETHER]
        tables = []
        for asset in sorted(coins + dollars, key=lambda asset: asset.name.lower()):
            days, ticks, supply, decimals = self._priced(asset)
            if asset.kind == "stablecoin":
                days, ticks, supply = self._stable(asset.name, days, ticks)
            if not len(days):
                continue
            cap = np.rint(ticks * supply * 10.0 ** (2 - decimals)).astype(np.int64)
            columns = {
                "asset": pa.array([asset.name.lower()] * len(days)),
                "time": pa.array(np.datetime64(DAY_0) + days).cast(pa.string()),
                "CapMrktEstUSD": decimal_text(cap, 2, 2),
                "ReferenceRateUSD": decimal_text(ticks, decimals),
            }
            tables.append(pa.table(columns))
        return pa.concat_tables(tables)

    @cached_property
    def _series(self) -> Series:
        return Series(self.paths, self.now)

    def _stable(self, name: str, days: np.ndarray, ticks: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Days on which both a price and a supply are there."""
        coin = next(c for c in STABLECOINS if c.symbol == name)
        if not self._series.has(coin):
            return days[:0], ticks[:0], np.zeros(0)
        first, cents = self._series.coin_cents(coin)
        kept = days >= first
        return days[kept], ticks[kept], cents[days[kept] - first] / 100

    def coins(self) -> Sequence[Mapping[str, Any]]:
        """As of the last closed day; coins that still trade."""
        rows = []
        for asset in [TETHER, *self.paths.assets.values()]:
            if not asset.coin_id or self._ends(asset.name) or asset.first >= self.paths.day_count - 1:
                continue
            days, ticks, supply, decimals = self._priced(asset)
            if asset.kind == "stablecoin":
                days, ticks, supply = self._stable(asset.name, days, ticks)
            if len(days) > 1:
                rows.append(self._coin(asset.eras[-1], ticks / 10.0**decimals, supply))
        rows.sort(key=lambda row: -row["market_cap"])
        for rank, row in enumerate(rows, 1):
            row["market_cap_rank"] = rank
        return rows

    def _coin(self, asset: Asset, price: np.ndarray, supply: np.ndarray) -> dict[str, Any]:
        caps, circulating = price * supply, round(float(supply[-1]), 2)
        now, before = float(price[-1]), float(price[-2])
        peak, trough = int(price.argmax()), int(price.argmin())
        last = self.now - timedelta(days=1)
        days = len(price) - 1
        return {
            "id": asset.coin_id,
            "symbol": asset.name.lower(),
            "name": asset.title,
            "image": "",
            "current_price": now,
            "market_cap": round(float(caps[-1])),
            "market_cap_rank": 0,
            "fully_diluted_valuation": round(float(caps[-1])),
            "total_volume": round(asset.volume_usd * 2.5),
            "high_24h": max(now, before),
            "low_24h": min(now, before),
            "price_change_24h": round(now - before, 8),
            "price_change_percentage_24h": round(100 * (now / before - 1), 5),
            "market_cap_change_24h": round(float(caps[-1] - caps[-2])),
            "market_cap_change_percentage_24h": round(100 * float(caps[-1] / caps[-2] - 1), 5),
            "circulating_supply": circulating,
            "total_supply": circulating,
            "max_supply": 21_000_000.0 if asset.name == "BTC" else None,
            "ath": float(price.max()),
            "ath_change_percentage": round(100 * (now / float(price.max()) - 1), 5),
            "ath_date": f"{last - timedelta(days=days - peak)}T12:00:00.000Z",
            "atl": float(price.min()),
            "atl_change_percentage": round(100 * (now / float(price.min()) - 1), 5),
            "atl_date": f"{last - timedelta(days=days - trough)}T12:00:00.000Z",
            "roi": None,
            "last_updated": f"{last}T23:59:59.000Z",
        }

    def bodies(self) -> Sequence[Body]:
        return self._series.bodies()


TETHER = Asset("USDT", "stablecoin", 1.0, 2e10, "tether", "Tether")
