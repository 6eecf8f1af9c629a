"""What stands in Binance's archives: the data sets of spot and of USD-M futures, as rows of CSV.

Columns and units: https://github.com/binance/binance-public-data and recorded files.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import lru_cache

import numpy as np
import pyarrow as pa

from .archive_text import chosen, csv, fixed
from .market import DAY_MS, HOUR_MS, Bars, Listing, Market, Rows, day_of, midnight_ms

# Files of spot data from this day on have microseconds; USD-M files never.
MICROSECONDS_SINCE = date(2025, 1, 1)
# USD-M klines have a header from some day on that differs by data set; this one is from memory.
HEADER_SINCE = date(2022, 1, 1)
METRICS_SINCE, DEPTH_SINCE = date(2021, 12, 1), date(2023, 1, 1)
NEAR_BANDS_SINCE = date(2025, 1, 1)  # of bookDepth at 0.2 %; before, percentages are whole numbers
# The exchange looks at the book about every 30 seconds; that would be 2 MB a day and pair.
DEPTH_STEP_S = 1800
METRICS_STEP_S = 300
# Percentage in hundredths: base within it, in parts per 10,000 of the day's volume.
DEPTH = {20: 30, 100: 135, 200: 320, 300: 520, 400: 590, 500: 640}
KLINES_HEADER = (
    "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,taker_buy_quote_volume,ignore"
)
METRICS_HEADER = (
    "create_time,symbol,sum_open_interest,sum_open_interest_value,count_toptrader_long_short_ratio,"
    "sum_toptrader_long_short_ratio,count_long_short_ratio,sum_taker_long_short_vol_ratio"
)


@dataclass(frozen=True)
class Dataset:
    """`times(symbol, interval)`: when its rows are, ascending milliseconds; `rows(symbol, interval, start_ms, end_ms)`:
    the CSV. Those without intervals are told ""."""

    grains: tuple[str, ...]
    times: Callable[[str, str], np.ndarray]
    rows: Callable[[str, str, int, int], bytes]
    intervals: Callable[[str], Iterable[str]] | None = None
    since: date = date.min


class Spot:
    def __init__(self, market: Market, pairs: Mapping[str, Listing]) -> None:
        self.market, self.pairs = market, pairs
        self.datasets = {"klines": Dataset(("daily", "monthly"), self._times, self._klines, self._intervals)}
        if any(market.trades("binance", pair.name, 0, 0) is not None for pair in [*pairs.values()][:1]):
            for kind, rows in (("trades", self._trades), ("aggTrades", self._agg_trades)):
                self.datasets[kind] = Dataset(("daily", "monthly"), lambda symbol, _: self._times(symbol, "1d"), rows)

    def _intervals(self, symbol: str) -> list[str]:
        return [i for i, symbols in self.market.intervals().items() if symbols is None or symbol in symbols]

    def _times(self, symbol: str, interval: str) -> np.ndarray:
        rows = self.market.klines(symbol, interval)
        times = rows.times if rows else np.zeros(0, np.int64)
        return times[: np.searchsorted(times, midnight_ms(self.market.now))]

    def _klines(self, symbol: str, interval: str, start: int, end: int) -> bytes:
        rows = self.market.klines(symbol, interval)
        assert rows is not None
        return klines_csv(rows, start, end)

    def _trades(self, symbol: str, _: str, start: int, end: int) -> bytes:
        found = self.market.trades("binance", self.pairs[symbol].name, start, end)
        assert found is not None
        price = fixed(found.price, found.price_decimals, 8)
        size = fixed(found.size, found.base_decimals, 8)
        quote = fixed(found.price * found.size, found.price_decimals + found.base_decimals, 8)
        times = pa.array(found.times_us // (1 if has_microseconds(start) else 1000))
        is_maker = chosen(found.labelled_buys, "False", "True")
        return csv([pa.array(found.ids), price, size, quote, times, is_maker, "True"])

    def _agg_trades(self, symbol: str, _: str, start: int, end: int) -> bytes:
        """Each of one trade: no order of this market is filled twice in one moment at one price."""
        found = self.market.trades("binance", self.pairs[symbol].name, start, end)
        assert found is not None
        price, size = fixed(found.price, found.price_decimals, 8), fixed(found.size, found.base_decimals, 8)
        times = pa.array(found.times_us // (1 if has_microseconds(start) else 1000))
        ids, is_maker = pa.array(found.ids), chosen(found.labelled_buys, "False", "True")
        return csv([ids, price, size, ids, ids, times, is_maker, "True"])


def has_microseconds(start_ms: int) -> bool:
    return start_ms >= midnight_ms(MICROSECONDS_SINCE)


def klines_csv(rows: Rows, start: int, end: int) -> bytes:
    """Rows of JSON text opened in [start, end), as they stand in a spot file."""
    first, last = (int(i) for i in np.searchsorted(rows.times, (start, end)))
    text = bytes(rows.slice(first, last)).replace(b"],[", b"\n").translate(None, b'[]"')
    if not has_microseconds(start):
        return text + b"\n"
    lines = []
    for line in text.decode().split("\n"):
        fields = line.split(",")
        fields[0], fields[6] = f"{fields[0]}000", f"{fields[6]}999"
        lines.append(",".join(fields) + "\n")
    return "".join(lines).encode()


class UsdM:
    def __init__(self, market: Market, pairs: Mapping[str, Listing]) -> None:
        # Of some contracts at a time: the hours of one are some megabytes.
        self.bars = lru_cache(24)(lambda symbol, interval: market.bars("binance_usdm", pairs[symbol].name, interval))
        self.funding = lru_cache(64)(lambda symbol: market.funding(pairs[symbol].name))
        self.interest = lru_cache(64)(lambda symbol: market.open_interest(pairs[symbol].name))
        self.datasets = {
            "klines": Dataset(("daily", "monthly"), self._times, self._klines, lambda symbol: ("1d", "1h")),
            "metrics": Dataset(("daily",), self._interest_times, self._metrics, since=METRICS_SINCE),
            "bookDepth": Dataset(
                ("daily",), lambda symbol, _: self._times(symbol, "1d"), self._depth, since=DEPTH_SINCE
            ),
            "fundingRate": Dataset(("monthly",), self._funding_times, self._funding),
        }

    def _times(self, symbol: str, interval: str) -> np.ndarray:
        bars = self.bars(symbol, interval)
        return bars.times_ms if bars else np.zeros(0, np.int64)

    def _klines(self, symbol: str, interval: str, start: int, end: int) -> bytes:
        """Prices and volumes with the places of the pair, quote amounts with those of both."""
        bars = self.bars(symbol, interval)
        assert bars is not None
        at = slice(*np.searchsorted(bars.times_ms, (start, end)))
        times, places = bars.times_ms[at], bars.price_decimals + bars.base_decimals
        unit = 10 ** (bars.quote_decimals - places)
        prices = [fixed(column[at], bars.price_decimals) for column in (bars.open, bars.high, bars.low, bars.close)]
        base = [fixed(column[at], bars.base_decimals) for column in (bars.volume_base, bars.taker_buy_base)]
        quote = [fixed(column[at] // unit, places) for column in (bars.volume_quote, bars.taker_buy_quote)]
        closes = pa.array(times + (HOUR_MS if interval == "1h" else DAY_MS) - 1)
        columns = [
            pa.array(times),
            *prices,
            base[0],
            closes,
            quote[0],
            pa.array(bars.trades[at]),
            base[1],
            quote[1],
            "0",
        ]
        return csv(columns, KLINES_HEADER if start >= midnight_ms(HEADER_SINCE) else "")

    def _funding_times(self, symbol: str, _: str) -> np.ndarray:
        found = self.funding(symbol)
        return found[0] if found else np.zeros(0, np.int64)

    def _funding(self, symbol: str, _: str, start: int, end: int) -> bytes:
        found = self.funding(symbol)
        assert found is not None
        at = slice(*np.searchsorted(found[0], (start, end)))
        # Recorded: 6.0E-7, as Java prints a decimal of eight places; Python prints it so too.
        rates = pa.array([str(Decimal(rate).scaleb(-8)) for rate in found[1][at].tolist()], pa.string())
        return csv([pa.array(found[0][at]), "8", rates], "calc_time,funding_interval_hours,last_funding_rate")

    def _interest_times(self, symbol: str, _: str) -> np.ndarray:
        found = self.interest(symbol)
        return found[0] * DAY_MS if found else np.zeros(0, np.int64)

    def _finest(self, symbol: str) -> Bars:
        bars = self.bars(symbol, "1h") or self.bars(symbol, "1d")
        assert bars is not None
        return bars

    def _metrics(self, symbol: str, _: str, start: int, end: int) -> bytes:
        """Open interest moves evenly from the end of the day before; its last row is that of the day's end."""
        found, bars = self.interest(symbol), self._finest(symbol)
        assert found is not None
        at, moments = int(np.searchsorted(found[0], start // DAY_MS)), np.arange(start, end, METRICS_STEP_S * 1000)
        last, count = int(found[1][at]), len(moments)
        before = int(found[1][at - 1]) if at else last
        interest = before + (last - before) * np.arange(1, count + 1) // count
        of = np.searchsorted(bars.times_ms, moments, "right") - 1
        bought = bars.taker_buy_base[of]
        sold = np.maximum(bars.volume_base[of] - bought, 1)
        noise = random("metrics", symbol, start)
        ratios = [np.cumsum(noise.integers(-200_000, 200_001, count)) + 170_000_000 for _ in range(3)]
        value = interest * bars.open[of]
        columns = [
            spaced(moments),
            symbol,
            fixed(interest, bars.base_decimals, 16),
            fixed(value, bars.base_decimals + bars.price_decimals, 16),
            fixed(ratios[0], 8),
            fixed(ratios[1] // 100, 6, 8),
            fixed(ratios[2], 8),
            fixed(bought * 1_000_000 // sold, 6, 8),
        ]
        return csv(columns, METRICS_HEADER)

    def _depth(self, symbol: str, _: str, start: int, end: int) -> bytes:
        """Base and quote that rest within so many percent of the price, below (negative) and above."""
        days, bars = self.bars(symbol, "1d"), self._finest(symbol)
        assert days is not None
        is_near = day_of(start) >= NEAR_BANDS_SINCE
        bands = [band for band in DEPTH if band >= 100 or is_near]
        signed = np.array([-band for band in bands[::-1]] + bands)
        noise = random("depth", symbol, start)
        moments = np.arange(start + 1000 * int(noise.integers(0, 10)), end, DEPTH_STEP_S * 1000)
        volume = int(days.volume_base[np.searchsorted(days.times_ms, start)])
        parts = np.array([DEPTH[abs(int(band))] for band in signed])
        # One factor for each side and moment, so that a wider band never holds less.
        thickness = noise.integers(70, 131, (len(moments), 2)).repeat(len(bands), axis=1)
        depth = volume * parts // 10_000 * thickness // 100
        opens = bars.open[np.searchsorted(bars.times_ms, moments, "right") - 1]
        price = opens[:, None] * (10_000 + signed // 2) // 10_000
        percent = fixed(np.abs(signed), 2).to_pylist() if is_near else [str(band // 100) for band in np.abs(signed)]
        texts = [("-" if band < 0 else "") + text for band, text in zip(signed.tolist(), percent, strict=True)]
        places = bars.base_decimals + bars.price_decimals
        columns = [
            spaced(moments.repeat(len(signed))),
            pa.array(texts * len(moments)),
            fixed(depth.ravel(), bars.base_decimals, 8),
            fixed((depth * price).ravel(), places, 8),
        ]
        return csv(columns, "timestamp,percentage,depth,notional")


def spaced(moments: np.ndarray) -> pa.Array:
    """`2026-07-29 00:05:00` from UTC milliseconds."""
    return pa.array(np.char.replace(moments.astype("datetime64[ms]").astype("datetime64[s]").astype(str), "T", " "))


def random(*key: object) -> np.random.Generator:
    digest = hashlib.blake2b("/".join(map(str, key)).encode(), digest_size=8).digest()
    return np.random.default_rng(int.from_bytes(digest, "big"))
