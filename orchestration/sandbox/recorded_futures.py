"""Binance USD-M futures of a recorded market: daily klines and funding, as far as its folder has them.

`binance/um/klines_1d.parquet` has the columns of the recording of spot, `binance/um/fundingRate/*.json.gz` holds
whole answers. The listing is made from the bars: a contract trades where they go on to the last recorded day.
"""

import gzip
import json
import re
from collections.abc import Mapping
from functools import cached_property

import numpy as np

from .binance import INTERVALS, BinanceError, integer, mandatory
from .binance_futures import FUNDING, KLINE_WEIGHTS, WEIGHTS, BinanceFutures, page
from .market import Market, Rows, midnight_ms
from .recorded import BarFile, RecordedMarket
from .wire import JSON, Reply, Request, absent, json_reply

QUOTES = ("USDT", "USDC", "BTC")


class RecordedFutures(BinanceFutures):
    def __init__(self, market: Market, is_limited: bool = True) -> None:
        super().__init__(market, is_limited)
        assert isinstance(market, RecordedMarket)
        self.folder, self.now_ms = market.folder / "binance" / "um", midnight_ms(market.now)

    @property
    def paths(self) -> list[str]:
        return [*WEIGHTS, *([FUNDING] if self._has_funding else [])] if self._has_bars else []

    @property
    def tables(self) -> list[str]:
        if not self._has_bars:
            return []
        return ["perpetual_symbols", "perpetual_flows", *(["funding_rates"] if self._has_funding else [])]

    @cached_property
    def _has_bars(self) -> bool:
        return (self.folder / "klines_1d.parquet").is_file() and bool(self._listed)

    @cached_property
    def _has_funding(self) -> bool:
        return any((self.folder / "fundingRate").glob("*.json.gz"))

    @cached_property
    def _bars(self) -> BarFile:
        return BarFile(self.folder / "klines_1d.parquet")

    @cached_property
    def _listed(self) -> dict[str, bool]:
        """Contracts with a bar before now, and whether they trade."""
        times = self._bars.times[self._bars.times < self.now_ms]
        last = int(times.max()) if len(times) else 0
        found = {}
        for symbol, (first, end) in self._bars.ranges.items():
            own = self._bars.times[first:end]
            own = own[own < self.now_ms]
            if len(own):
                found[symbol] = bool(own[-1] == last)
        return found

    def _rows(self, query: Mapping[str, str]) -> Rows:
        rows = self._bars.rows(mandatory(query, "symbol"))
        if rows is None or query["symbol"] not in self._listed:
            raise BinanceError(-1121, "Invalid symbol.")
        return rows

    def _exchange_info(self) -> Reply:
        return self._info([contract(symbol) for symbol, trades in self._listed.items() if trades])

    def _klines(self, request: Request) -> Reply:
        query, rows = request.query, self._rows(request.query)
        interval = mandatory(query, "interval")
        if interval not in INTERVALS.split():
            raise BinanceError(-1120, "Invalid interval.")
        if interval != "1d":
            return absent(request, ["1d"])
        limit = min(integer(query, "limit") or 500, KLINE_WEIGHTS[-1][0])
        times = rows.times[: np.searchsorted(rows.times, self.now_ms)]
        first, last = page(times, integer(query, "startTime"), integer(query, "endTime"), limit)
        return Reply(b"[" + bytes(rows.slice(first, last)) + b"]", content_type=JSON)

    def _tickers(self, query: Mapping[str, str]) -> Reply:
        """Of the last recorded day, with the fields that a bar tells."""
        names = (
            [mandatory(query, "symbol")] if "symbol" in query else [s for s, trades in self._listed.items() if trades]
        )
        found = [ticker(name, self._rows({"symbol": name}), self.now_ms) for name in names]
        return json_reply(found[0] if "symbol" in query else found)

    def _funding(self, query: Mapping[str, str]) -> Reply:
        """Ascending; nothing of a contract that was not recorded."""
        symbol = mandatory(query, "symbol")
        limit = min(integer(query, "limit") or 100, 1000)
        start, end = integer(query, "startTime"), integer(query, "endTime")
        rows = self._payments(symbol)
        times = np.array([row["fundingTime"] for row in rows], np.int64)
        first, last = page(times, start, end, limit)
        return json_reply(rows[first:last])

    def _payments(self, symbol: str) -> list[dict]:
        if symbol not in self._paid:
            path = self.folder / "fundingRate" / f"{symbol.lower()}.json.gz"
            rows = json.loads(gzip.decompress(path.read_bytes())) if path.is_file() else []
            self._paid[symbol] = [row for row in rows if row["fundingTime"] < self.now_ms]
        return self._paid[symbol]

    @cached_property
    def _paid(self) -> dict[str, list[dict]]:
        return {}


def contract(symbol: str) -> dict:
    """One element of `symbols`, with the fields that a name tells: BTCUSDT, ETHUSDT_250926."""
    pair, _, delivered = symbol.partition("_")
    quote = next((quote for quote in QUOTES if pair.endswith(quote) and pair != quote), "USDT")
    return {
        "symbol": symbol,
        "pair": pair,
        "contractType": "CURRENT_QUARTER" if re.fullmatch(r"\d{6}", delivered) else "PERPETUAL",
        "status": "TRADING",
        "baseAsset": pair.removesuffix(quote),
        "quoteAsset": quote,
        "marginAsset": quote,
        "underlyingType": "COIN",
    }


def ticker(symbol: str, rows: Rows, now_ms: int) -> dict:
    at = int(np.searchsorted(rows.times, now_ms)) - 1
    opened, first, high, low, close, base, closed, quote, count, *_ = json.loads(bytes(rows.slice(at, at + 1)))
    return {
        "symbol": symbol,
        "lastPrice": close,
        "openPrice": first,
        "highPrice": high,
        "lowPrice": low,
        "volume": base,
        "quoteVolume": quote,
        "openTime": opened,
        "closeTime": closed,
        "count": count,
    }
