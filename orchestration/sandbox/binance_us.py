"""Binance.US: Binance's dialect over its own pairs (https://docs.binance.us)."""

from collections.abc import Mapping, Sequence

from .binance import Binance
from .market import DAY_MS, HOUR_MS, Market, Rows, Symbol, bar_rows
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
        return bar_rows(bars, LENGTHS[interval])


def server(market: Market, is_limited: bool = True) -> Binance:
    pairs = AmericanPairs(Venue(market, "binance_us"))
    return Binance(market, WEIGHT_LIMIT if is_limited else 0, "binance_us", pairs)
