"""A generated market: deterministic, believable, and always flagged synthetic.

Day d depends on seed, size and d only: a later `now` adds days and restates none.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa

from .market import (
    DAY_MS,
    HOUR_MS,
    Bars,
    Body,
    Listing,
    MarketError,
    Rows,
    Symbol,
    Trades,
    bar_rows,
    decimal_text,
    midnight_ms,
)
from .paths import TETHER, Paths, wandering
from .recent import Recent
from .series import STABLECOINS, Series
from .trades import grid, words_of
from .universe import DAY_0, EXCHANGES, Asset, Pair, stream

INTERVALS = {"1h": HOUR_MS, "1d": DAY_MS}
ASSETS_WITH_CAPS = 38
EIGHT_HOURS_MS = 8 * HOUR_MS


class GeneratedMarket:
    """2020-01-01 to the day before `now` (default: today, UTC)."""

    kind = "sandbox"
    synthetic = True

    def __init__(
        self,
        now: date | None = None,
        seed: int = 1,
        size: int = 150,
        start: date = DAY_0,
        exchanges: Sequence[str] = tuple(EXCHANGES),
    ) -> None:
        self.now = now or datetime.now(UTC).date()
        self.start = start
        if self.now <= max(start, DAY_0):
            raise MarketError(f"the generated market begins on {max(start, DAY_0)}; --now must be later")
        if start < DAY_0:
            raise MarketError(f"the generated market begins on {DAY_0}; it cannot start on {start}")
        if size < 12:
            raise MarketError(f"--size {size}: a generated market has at least 12 assets")
        unknown = [name for name in exchanges if name not in EXCHANGES]
        if unknown or "binance" not in exchanges:
            raise MarketError(f"exchanges {', '.join(exchanges)}: binance and any of {', '.join(EXCHANGES)}")
        self.name = f"generated market, {size} assets, seed {seed}"
        self._exchanges = tuple(exchanges)
        self.paths = Paths(seed, size, (self.now - DAY_0).days, (start - DAY_0).days)
        self._bars = Recent(32_000_000)
        self._text = Recent(80_000_000)
        self._listings: dict[str, dict[str, Listing]] = {}

    def warm(self) -> None:
        self.symbols()

    def span(self) -> tuple[date, date]:
        return self.start, self.now - timedelta(days=1)

    # --- exchanges -----------------------------------------------------------------------------

    def exchanges(self) -> Sequence[str]:
        return self._exchanges

    def listings(self, exchange: str) -> Mapping[str, Listing]:
        if exchange not in self._exchanges:
            return {}
        if exchange not in self._listings:
            listed = ((name, self._listing(pair)) for name, pair in self.paths.pairs(exchange).items())
            self._listings[exchange] = {name: listing for name, listing in listed if listing is not None}
        return self._listings[exchange]

    def _listing(self, pair: Pair) -> Listing | None:
        spans = self.paths.spans(pair)
        if not spans:
            return None
        end = DAY_0 + timedelta(days=spans[-1][1]) if self.paths.ends(pair) else None
        return Listing(pair.base, pair.quote, DAY_0 + timedelta(days=spans[0][0]), end, *self.paths.decimals(pair))

    def pair(self, exchange: str, name: str) -> Pair:
        """KeyError: the exchange never lists it before now."""
        return self.paths.pairs(exchange)[self.listings(exchange)[name].name]

    def trades_a_day(self, exchange: str, name: str) -> int:
        """Trades on every day on which the pair trades; trade ids are (day - first day) x this + 1 and on."""
        return self.paths.count(self.pair(exchange, name))

    def trades(self, exchange: str, name: str, start_ms: int, end_ms: int) -> Trades:
        pair, paths = self.pair(exchange, name), self.paths
        table, count = paths.days_of(pair), paths.count(pair)
        zero = midnight_ms(DAY_0)
        first, last = np.searchsorted(table.days, [(start_ms - zero) // DAY_MS, -((zero - end_ms) // DAY_MS)])
        part = table.part(int(first), int(last))
        found = grid(part, count, words_of(part.days, count, paths.source(pair)))
        opens = (zero + part.days * DAY_MS) * 1000
        times = (opens[:, None] + found.times_us).ravel()
        since = table.days[0] if len(table.days) else 0
        ids = ((part.days - since)[:, None] * count + np.arange(1, count + 1)).ravel()
        labelled = (found.is_buy ^ part.is_flipped[:, None]).ravel()
        a, b = (int(i) for i in np.searchsorted(times, [start_ms * 1000, end_ms * 1000]))
        places, base_places = paths.decimals(pair)
        return Trades(
            ids=ids[a:b],
            times_us=times[a:b],
            price=found.price.ravel()[a:b],
            size=found.size.ravel()[a:b],
            taker_buys=found.is_buy.ravel()[a:b],
            labelled_buys=labelled[a:b],
            price_decimals=places,
            base_decimals=base_places,
        )

    def bars(self, exchange: str, name: str, interval: str) -> Bars | None:
        if interval not in INTERVALS or name not in self.listings(exchange):
            return None

        def make() -> tuple[Bars, int]:
            bars = self.paths.bars(self.pair(exchange, name), INTERVALS[interval])
            return bars, 10 * bars.times_ms.nbytes

        return self._bars.get((exchange, name, interval), make)

    def funding(self, name: str) -> tuple[np.ndarray, np.ndarray] | None:
        """Rises and falls with the week's return; one basis point in calm."""
        if name not in self.listings("binance_usdm"):
            return None
        pair, paths = self.pair("binance_usdm", name), self.paths
        days = paths.days_of(pair).days
        log = np.log(paths.usd(pair.base))
        week = log - log[np.maximum(paths.days - 7, 0)]
        noise = stream(paths.seed, "funding", pair.key).standard_normal((paths.padded, 3))
        rate = 1e-4 + np.clip(0.004 * week[:, None], -0.002, 0.002) + 4e-5 * noise
        times = midnight_ms(DAY_0) + days[:, None] * DAY_MS + np.arange(3) * EIGHT_HOURS_MS
        return times.ravel(), np.rint(np.clip(rate[days], -0.0075, 0.0075) * 1e8).astype(np.int64).ravel()

    def open_interest(self, name: str) -> tuple[np.ndarray, np.ndarray] | None:
        """Some tenth of a slow mean of the days' volume."""
        if name not in self.listings("binance_usdm"):
            return None
        pair, paths = self.pair("binance_usdm", name), self.paths
        table = paths.days_of(pair)
        slow = np.exp(wandering(0.03 * paths.normal("interest", pair.key), 0.98))
        busy = paths.volume_norm(pair) * slow * 10.0 ** paths.decimals(pair)[1] / paths.usd(pair.base)
        epoch = (DAY_0 - date(1970, 1, 1)).days
        return epoch + table.days, np.maximum(np.rint(0.25 * busy), 1).astype(np.int64)[table.days]

    # --- Binance as its REST interface words it ---------------------------------------------------

    @cached_property
    def _symbols(self) -> dict[str, Symbol]:
        found = {}
        for name, listing in self.listings("binance").items():
            pair = self.pair("binance", name)
            kind = self.paths.assets[pair.base].kind if pair.base in self.paths.assets else "stablecoin"
            permissions = (
                ("LEVERAGED",) if kind == "leveraged" else ("SPOT", "MARGIN") if pair.share == 1 else ("SPOT",)
            )
            # Where a coin pauses, before it comes back under its ticker, the pair does not trade either.
            is_trading = listing.end is None and self.paths.spans(pair)[-1][1] == self.paths.day_count
            tick, step = (f"{10.0**-places:.8f}" for places in (listing.price_decimals, listing.base_decimals))
            found[pair.symbol] = Symbol(pair.symbol, pair.base, pair.quote, is_trading, permissions, tick, step)
        return found

    def symbols(self) -> Mapping[str, Symbol]:
        return self._symbols

    def intervals(self) -> Mapping[str, Sequence[str] | None]:
        return dict.fromkeys(INTERVALS)

    def klines(self, symbol: str, interval: str) -> Rows | None:
        if interval not in INTERVALS:
            return None

        def make() -> tuple[Rows, int]:
            rows = self._kline_rows(symbol, INTERVALS[interval])
            return rows, rows.text.nbytes + rows.times.nbytes + rows.offsets.nbytes

        return self._text.get((symbol, interval), make)

    def _kline_rows(self, symbol: str, interval_ms: int) -> Rows:
        listed = self.symbols()[symbol]
        bars = self.paths.bars(self.pair("binance", f"{listed.base}/{listed.quote}"), interval_ms)
        return bar_rows(bars, interval_ms)

    # --- caps and snapshots -----------------------------------------------------------------------

    def _priced(self, asset: Asset) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
        """Days listed, closes against USDT in ticks, coins in circulation, places of a tick."""
        paths = self.paths
        if asset.name == "USDT":
            days = np.arange(paths.first_day, paths.day_count)
            return days, np.full(len(days), 100), np.zeros(len(days)), 2
        pair = paths.pairs("binance")[f"{asset.name}/USDT"]
        supply = paths.supply(asset)
        for era in asset.eras[1:]:
            supply = np.where(paths.days >= era.first, paths.supply(era), supply)
        days = np.concatenate([np.arange(*span) for span in paths.spans(pair)] or [np.arange(0)])
        return days, paths.ticks(pair)[days], supply[days], paths.decimals(pair)[0]

    def caps(self) -> pa.Table:
        """Cap = close x supply of the same day; stablecoins: their supply x their price. A coin that took over
        a ticker has a name of its own (luna2), as at CoinMetrics."""
        coins = [asset for asset in self.paths.assets.values() if asset.kind == "coin"][:ASSETS_WITH_CAPS]
        tables = []
        for asset in sorted(coins + self._dollars(), key=lambda asset: asset.name.lower()):
            days, ticks, supply, decimals = self._priced(asset)
            if asset.kind == "stablecoin":
                days, ticks, supply = self._stable(asset, days, ticks)
            if not len(days):
                continue
            cap = np.rint(ticks * supply * 10.0 ** (2 - decimals)).astype(np.int64)
            others = [era.first for era in asset.eras if era.coin_id != asset.coin_id]
            first_life = days < min(others, default=np.inf)
            columns = {
                "asset": pa.array(np.where(first_life, asset.name.lower(), asset.name.lower() + "2")),
                "time": pa.array(np.datetime64(DAY_0) + days).cast(pa.string()),
                "CapMrktEstUSD": decimal_text(cap, 2, 2),
                "ReferenceRateUSD": decimal_text(ticks, decimals),
            }
            tables.append(pa.table(columns))
        return pa.concat_tables(tables)

    def _dollars(self) -> list[Asset]:
        """Stablecoins that have not failed."""
        stable = [asset for asset in self.paths.assets.values() if asset.kind == "stablecoin"]
        return [TETHER, *(a for a in stable if a.end is None and a.origin is None)]

    @cached_property
    def _series(self) -> Series:
        return Series(self.paths, self.now)

    def _stable(self, asset: Asset, days: np.ndarray, ticks: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Days on which both a price and a supply are there."""
        coin = next(c for c in STABLECOINS if c.gecko_id == asset.coin_id)
        if not self._series.has(coin):
            return days[:0], ticks[:0], np.zeros(0)
        first, cents = self._series.coin_cents(coin)
        kept = days >= first
        return days[kept], ticks[kept], cents[days[kept] - first] / 100

    def coins(self) -> Sequence[Mapping[str, Any]]:
        """As of the last closed day; coins that still trade."""
        rows = []
        for asset in [TETHER, *self.paths.assets.values()]:
            ended = asset.eras[-1].end
            if not asset.coin_id or (ended is not None and ended <= self.paths.day_count):
                continue
            days, ticks, supply, decimals = self._priced(asset)
            if asset.kind == "stablecoin":
                days, ticks, supply = self._stable(asset, days, ticks)
            if len(days) > 1:
                row = self._coin(asset.eras[-1], ticks / 10.0**decimals, supply)
                rows.append(row | self._last_day(asset))
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

    def _last_day(self, asset: Asset) -> dict[str, float]:
        """High and low of the last day's bar against USDT."""
        if asset.name == "USDT":
            return {"high_24h": 1.0, "low_24h": 1.0}
        end = midnight_ms(self.now)
        last = self.trades("binance", f"{asset.name}/USDT", end - DAY_MS, end)
        unit = 10.0**last.price_decimals
        return {"high_24h": float(last.price.max() / unit), "low_24h": float(last.price.min() / unit)}

    def bodies(self) -> Sequence[Body]:
        return self._series.bodies()
