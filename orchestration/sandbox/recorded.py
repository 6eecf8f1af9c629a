"""A recorded market folder (its README describes the layout), served as it was recorded."""

import gzip
import json
import threading
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from .market import Body, Listing, MarketError, Rows, Symbol, day_of, kline_rows, midnight_ms, ranges, text_of

KLINES = "binance/spot/klines_{}.parquet"


class BarFile:
    """All bars of one parquet file as one block of JSON text; rows are sorted by symbol and time."""

    def __init__(self, path: Path) -> None:
        file = pq.ParquetFile(path, read_dictionary=["symbol"])
        wanted = [name for name in file.schema_arrow.names if name != "recording"]
        text = bytearray()
        offsets, times, symbols = [np.zeros(1, np.int64)], [], []
        # In batches, so that the columns of the whole file never stand in memory beside its text.
        for batch in file.iter_batches(65_536, columns=wanted):
            columns = {name: batch.column(name) for name in wanted}
            ends, data = text_of(kline_rows(columns))
            offsets.append(ends[1:] + len(text))
            text += data[: int(ends[-1])]
            times.append(columns["open_time"].to_numpy())
            symbols.append(columns["symbol"])
        self.text = memoryview(text)
        self.offsets = np.concatenate(offsets)
        self.times = np.concatenate(times)
        self.ranges = ranges(pa.chunked_array(symbols))
        pa.default_memory_pool().release_unused()

    def rows(self, symbol: str) -> Rows | None:
        if symbol not in self.ranges:
            return None
        first, last = self.ranges[symbol]
        return Rows(self.times[first:last], self.offsets[first : last + 1], self.text)


class RecordedMarket:
    """`folder` up to `now`; by default now is the day after the last daily bar."""

    kind = "recorded"
    synthetic = False

    def __init__(self, folder: Path, now: date | None = None) -> None:
        self.folder = folder
        self.name = str(folder)
        path = folder / KLINES.format("1d")
        if not path.is_file():
            raise MarketError(f"{folder}: no {KLINES.format('1d')} here; --market wants a recorded market folder")
        self._lock = threading.RLock()
        self.now = now or self._last_bar() + timedelta(days=1)

    def _last_bar(self) -> date:
        # The footer's statistics answer without reading a row.
        footer = pq.ParquetFile(self.folder / KLINES.format("1d")).metadata
        column = footer.schema.names.index("open_time")
        groups = [footer.row_group(i).column(column).statistics for i in range(footer.num_row_groups)]
        if any(group is None or not group.has_min_max for group in groups):
            return day_of(int(self._daily.times.max()))
        return day_of(max(group.max for group in groups))

    @cached_property
    def _daily_bars(self) -> BarFile:
        return BarFile(self.folder / KLINES.format("1d"))

    @property
    def _daily(self) -> BarFile:
        with self._lock:
            return self._daily_bars

    @cached_property
    def _hourly(self) -> BarFile | None:
        path = self.folder / KLINES.format("1h")
        return BarFile(path) if path.is_file() else None

    def warm(self) -> None:
        _ = self._daily

    def span(self) -> tuple[date, date]:
        times = self._daily.times
        seen = times[times < midnight_ms(self.now)]
        if not len(seen):
            raise MarketError(f"{self.folder}: no daily bar before {self.now}")
        return day_of(int(seen.min())), day_of(int(seen.max()))

    @cached_property
    def _listed(self) -> dict[str, Symbol]:
        """Pairs with a bar before now. TRADING where bars go on to the last wide day, or to now."""
        known, quotes = self._recorded_info
        bars, now = self._daily, midnight_ms(self.now)
        days, counts = np.unique(bars.times, return_counts=True)
        # The last day that has at least half as many pairs as the fullest: what stops later was not recorded on.
        alive_ms = min(int(days[counts * 2 >= counts.max()].max()), now - 86_400_000)
        listed = {}
        for name, (first, last) in bars.ranges.items():
            if bars.times[first] >= now:
                continue
            info = known.get(name)
            base, quote = (info["baseAsset"], info["quoteAsset"]) if info else split(name, quotes)
            filters = {f["filterType"]: f for f in info["filters"]} if info else {}
            listed[name] = Symbol(
                name,
                base,
                quote,
                is_trading=bool(bars.times[last - 1] >= alive_ms),
                permissions=tuple(info["permissions"]) if info else ("SPOT",),
                tick_size=filters.get("PRICE_FILTER", {}).get("tickSize", Symbol.tick_size),
                step_size=filters.get("LOT_SIZE", {}).get("stepSize", Symbol.step_size),
            )
        return listed

    @property
    def _recorded_info(self) -> tuple[dict[str, Any], list[str]]:
        paths = sorted((self.folder / "binance/spot").glob("exchangeInfo_*.json.gz"))
        known = (
            {s["symbol"]: s for s in json.loads(gzip.decompress(paths[-1].read_bytes()))["symbols"]} if paths else {}
        )
        quotes = {s["quoteAsset"] for s in known.values()} | {"USDT", "USDC", "BTC", "ETH", "BNB", "EUR", "TRY"}
        return known, sorted(quotes, key=len, reverse=True)

    def symbols(self) -> Mapping[str, Symbol]:
        with self._lock:
            return self._listed

    def exchanges(self) -> Sequence[str]:
        return ("binance",)

    def listings(self, exchange: str) -> Mapping[str, Listing]:
        """From the first recorded bar to the last, of pairs that trade to now; eight places, as REST may write."""
        found = {}
        for symbol in self.symbols().values() if exchange == "binance" else ():
            first, last = self._daily.ranges[symbol.symbol]
            end = None if symbol.is_trading else day_of(int(self._daily.times[last - 1])) + timedelta(days=1)
            pair = Listing(symbol.base, symbol.quote, day_of(int(self._daily.times[first])), end, 8, 8)
            found[pair.name] = pair
        return found

    def trades(self, exchange: str, name: str, start_ms: int, end_ms: int) -> None:
        return None

    def bars(self, exchange: str, name: str, interval: str) -> None:
        """The recording's text is all there is: amounts of the cheapest coins do not fit whole units."""
        return None

    def funding(self, name: str) -> None:
        return None

    def open_interest(self, name: str) -> None:
        return None

    def intervals(self) -> Mapping[str, Sequence[str] | None]:
        return {"1d": None} | ({"1h": sorted(self._hourly.ranges)} if self._hourly else {})

    def klines(self, symbol: str, interval: str) -> Rows | None:
        bars = {"1d": self._daily, "1h": self._hourly if interval == "1h" else None}.get(interval)
        return bars.rows(symbol) if bars else None

    def caps(self) -> pa.Table:
        path = self.folder / "coinmetrics/asset_metrics.parquet"
        return pq.read_table(path) if path.is_file() else pa.table({"asset": pa.array([], pa.string())})

    def coins(self) -> Sequence[Mapping[str, Any]]:
        paths = sorted((self.folder / "coingecko").glob("coins_markets_*.json.gz"))
        rows = json.loads(gzip.decompress(paths[-1].read_bytes())) if paths else []
        return sorted(rows, key=lambda row: -(row["market_cap"] or 0))

    def bodies(self) -> Sequence[Body]:
        """`http/<host>/<path>[__<query>].gz`; a path that ends in a slash leaves an empty name."""
        root = self.folder / "http"
        found = []
        for file in sorted(root.rglob("*.gz")):
            host, *parts = file.relative_to(root).parts
            path, _, query = "/".join(parts).removesuffix(".gz").partition("__")
            content_type = "text/csv" if path.endswith(".csv") else "application/json"
            found.append(Body(host, "/" + path, dict(parse_qsl(query)), _reader(file), content_type))
        return found


def _reader(file: Path):
    return lambda: gzip.decompress(file.read_bytes())


def split(symbol: str, quotes: Sequence[str]) -> tuple[str, str]:
    """Base and quote of a pair that no recorded listing names; `quotes` longest first."""
    for quote in quotes:
        if symbol.endswith(quote) and len(symbol) > len(quote):
            return symbol[: -len(quote)], quote
    return ("USDT", symbol[4:]) if symbol.startswith("USDT") else (symbol[:-3], symbol[-3:])
