"""Binance.US: Binance's dialect over its own pairs (https://docs.binance.us)."""

from collections.abc import Mapping, Sequence

import pyarrow as pa

from .binance import Binance
from .market import DAY_MS, HOUR_MS, Market, Rows, Symbol, decimal_text, kline_rows, text_of
from .venue import Venue

HOSTS = ("api.binance.us",)
WEIGHT_LIMIT = 1200
LENGTHS = {"1h": HOUR_MS, "1d": DAY_MS}


class AmericanPairs:
    """Pairs and klines, made of the bars of the market."""

    def __init__(self, venue: Venue) -> None:
        self.venue = venue
        self._symbols = {
            listing.base + listing.quote: Symbol(
                listing.base + listing.quote, listing.base, listing.quote, not venue.has_ended(listing)
            )
            for listing in venue.pairs.values()
        }

    def symbols(self) -> Mapping[str, Symbol]:
        return self._symbols

    def intervals(self) -> Mapping[str, Sequence[str] | None]:
        return dict.fromkeys(LENGTHS) if self._symbols else {}

    def klines(self, symbol: str, interval: str) -> Rows | None:
        listed = self._symbols[symbol]
        bars = self.venue.bars(f"{listed.base}/{listed.quote}", interval) if interval in LENGTHS else None
        if bars is None:
            return None
        prices = {name: getattr(bars, name) for name in ("open", "high", "low", "close")}
        columns = {name: decimal_text(units, bars.price_decimals) for name, units in prices.items()}
        columns |= {
            "open_time": pa.array(bars.times_ms),
            "close_time": pa.array(bars.times_ms + LENGTHS[interval] - 1),
            "volume": decimal_text(bars.volume_base, bars.base_decimals),
            "quote_volume": decimal_text(bars.volume_quote, bars.quote_decimals),
            "trades": pa.array(bars.trades),
            "taker_buy_base": decimal_text(bars.taker_buy_base, bars.base_decimals),
            "taker_buy_quote": decimal_text(bars.taker_buy_quote, bars.quote_decimals),
        }
        return Rows(bars.times_ms, *text_of(kline_rows(columns)))


def server(market: Market, is_limited: bool = True) -> Binance:
    pairs = AmericanPairs(Venue(market, "binance_us"))
    return Binance(market, WEIGHT_LIMIT if is_limited else 0, "binance_us", pairs)
