"""Everything that was traded in a generated market, in dollars: what the truths of the flow marts are summed from.

Amounts are integers of 10^-8. A converted amount is an exact fraction, rounded once.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction
from functools import cached_property

import numpy as np
import pyarrow as pa

from .events import events
from .generated import GeneratedMarket
from .market import DAY_MS, Bars, Listing, midnight_ms
from .universe import DAY_0

ONE = 10**8  # one dollar, or one unit of a quote asset
# The exchanges of this market that Bitwise found to report real volume (report to the SEC of 2019-03).
TRUSTED = frozenset({"binance", "coinbase", "kraken", "bitstamp", "poloniex"})
CLASSES = {"coin": "altcoin", "wrapped": "wrapped_or_staked"}
GROUPS = {"bitcoin": "BTC", "ether": "ETH", "altcoin": "ALT", "stablecoin": "STABLE"}
# How an exchange writes a pair; Binance and its like write base and quote together.
SPELLINGS = {"okx": "{0}-{1}", "kucoin": "{0}-{1}", "gate": "{0}_{1}", "poloniex": "{0}_{1}"}
SPELLINGS |= {"htx": "{0}-{1}", "coinbase": "{0}-{1}", "upbit": "{1}-{0}", "crypto_com": "{0}_{1}"}
TICKERS = {"kraken": {"BTC": "XBT", "DOGE": "XDG"}}
LOWER_CASE = frozenset({"bitstamp"})


def spelled(exchange: str, base: str, quote: str) -> str:
    """The symbol of a pair, as the exchange calls it."""
    own = TICKERS.get(exchange, {})
    symbol = SPELLINGS.get(exchange, "{0}{1}").format(own.get(base, base), own.get(quote, quote))
    return symbol.lower() if exchange in LOWER_CASE else symbol


def books_of(market: GeneratedMarket, exchanges: Iterable[str] | None) -> Iterator[tuple[str, Listing, Bars]]:
    """Exchange, pair and whole history of daily bars of everything spot; `exchanges`: None for all."""
    for exchange in market.exchanges() if exchanges is None else exchanges:
        for listing in market.listings(exchange).values() if exchange != "binance_usdm" else ():
            bars = market.bars(exchange, listing.name, "1d")
            if bars is not None:
                yield exchange, listing, bars


def class_of(market: GeneratedMarket, name: str) -> str:
    """What the generator made the asset as, in the words of the marts."""
    if name in ("BTC", "ETH", "USDT"):
        return {"BTC": "bitcoin", "ETH": "ether", "USDT": "stablecoin"}[name]
    asset = market.paths.assets.get(name)
    # Money that nothing but quotes is counted in (TRY) is no asset of its own.
    return CLASSES.get(asset.kind, asset.kind) if asset else "fiat"


@dataclass(frozen=True)
class Book:
    """One pair of one exchange. Arrays have one element per day of the ledger, zero where nothing traded.

    `expected`: listed on that day; `present`: it traded; `close`: in quote; `volume_base` x 10^-base_decimals;
    `volume_quote`, `buy_quote` (both sides, and what takers bought) x 10^-8, objects because wons are many.
    """

    exchange: str
    symbol: str
    base: str
    quote: str
    expected: np.ndarray
    present: np.ndarray
    close: np.ndarray
    trades: np.ndarray
    volume_base: np.ndarray
    volume_quote: np.ndarray
    buy_quote: np.ndarray
    base_decimals: int


@dataclass(frozen=True)
class Flow:
    """A book in dollars. `rates`: dollars per unit of the quote asset, None where unknown or nothing traded;
    `methods`: how each was found; `volume`, `buy`: 10^-8 dollars, int64; `counted`: traded and converted."""

    book: Book
    asset_class: str
    is_pegged_quote: bool
    is_trusted: bool
    rates: list[Fraction | None]
    methods: list[str | None]
    volume: np.ndarray
    buy: np.ndarray
    counted: np.ndarray

    @property
    def group(self) -> str:
        return GROUPS.get(self.asset_class, "OTHER")

    @property
    def net(self) -> np.ndarray:
        return 2 * self.buy - self.volume

    @cached_property
    def close_usd(self) -> np.ndarray:
        """NaN where nothing traded or nothing was converted."""
        rates = np.array([np.nan if rate is None else float(rate) for rate in self.rates])
        return np.where(self.counted, self.book.close * rates, np.nan)

    @property
    def flags(self) -> np.ndarray:
        """Where the price of the quote asset rests on an assumption or is missing."""
        return np.array([method in (None, "pegged", "through_btc") for method in self.methods])


class Ledger:
    """All books over the days [start, now).

    `start`: None for the market's own; `exchanges`: None for all; `as_labelled`: the sides of the takers as the
    exchanges write them, also where that is wrong."""

    def __init__(
        self,
        market: GeneratedMarket,
        exchanges: Iterable[str] | None = None,
        start: date | None = None,
        trusted: Iterable[str] = TRUSTED,
        as_labelled: bool = True,
    ) -> None:
        self.market, self.as_labelled = market, as_labelled
        self.start = start = start or market.start
        self.days = [start + timedelta(days=i) for i in range((market.now - start).days)]
        self.dates = pa.array(self.days, pa.date32())
        self.offset = (start - DAY_0).days
        self.trusted = frozenset(trusted)
        self.books = [
            book
            for exchange, listing, bars in books_of(market, exchanges)
            if (book := self._book(exchange, listing, bars))
        ]
        self.flows = self._converted()

    def _book(self, exchange: str, listing: Listing, bars: Bars) -> Book | None:
        """None where the pair did not trade on any day of the ledger."""
        at = (bars.times_ms - midnight_ms(self.start)) // DAY_MS
        kept = (at >= 0) & (at < len(self.days))
        if not kept.any():
            return None
        at = at[kept]
        unit = ONE // 10**bars.quote_decimals

        def spread(values: np.ndarray, kind: type) -> np.ndarray:
            found = np.zeros(len(self.days), kind)
            found[at] = values[kept] if kind is not object else [int(v) for v in values[kept]]
            return found

        expected = np.zeros(len(self.days), bool)
        end = len(self.days) if listing.end is None else (listing.end - self.start).days
        expected[max((listing.first - self.start).days, 0) : max(end, 0)] = True
        volume, buy = (unit * spread(units, object) for units in (bars.volume_quote, bars.taker_buy_quote))
        if not self.as_labelled:
            is_flipped = self._is_flipped(exchange, listing.base)
            buy = np.where(is_flipped, volume - buy, buy)
        # Whole numbers through true division: the double nearest to the decimal price.
        closes = np.array([int(tick) / 10**bars.price_decimals for tick in bars.close])
        return Book(
            exchange=exchange,
            symbol=spelled(exchange, listing.base, listing.quote),
            base=listing.base,
            quote=listing.quote,
            expected=expected,
            present=spread(np.ones(len(bars.times_ms)), bool),
            close=spread(closes, float),
            trades=spread(bars.trades, np.int64),
            volume_base=spread(bars.volume_base, object),
            volume_quote=volume,
            buy_quote=buy,
            base_decimals=bars.base_decimals,
        )

    def _is_flipped(self, exchange: str, base: str) -> np.ndarray:
        """On which days every side is labelled the wrong way round."""
        found = np.zeros(len(self.days), bool)
        for event in events("flipped_labels", exchange, base):
            first, end = (event.first - self.start).days, ((event.end or self.market.now) - self.start).days
            found[max(first, 0) : max(end, 0)] = True
        return found

    def _converted(self) -> list[Flow]:
        prices = Prices(self.books, len(self.days), lambda name: class_of(self.market, name))
        found = []
        for book in self.books:
            rates, methods = prices.of(book)
            volume = [_dollars(units, rate) for units, rate in zip(book.volume_quote, rates, strict=True)]
            buy = [_dollars(units, rate) for units, rate in zip(book.buy_quote, rates, strict=True)]
            flow = Flow(
                book=book,
                asset_class=class_of(self.market, book.base),
                is_pegged_quote=class_of(self.market, book.quote) == "stablecoin",
                is_trusted=book.exchange in self.trusted,
                rates=rates,
                methods=methods,
                volume=np.array(volume, np.int64),
                buy=np.array(buy, np.int64),
                counted=book.present & np.array([rate is not None for rate in rates]),
            )
            found.append(flow)
        return found

    def era(self, name: str) -> np.ndarray:
        """0 until the ticker is re-used by another coin for the first time, then 1, …; by day."""
        asset = self.market.paths.assets.get(name)
        days = np.arange(len(self.days)) + self.offset
        eras = asset.eras[1:] if asset else []
        return sum((days >= era.first).astype(int) for era in eras) + np.zeros(len(days), int)

    def by_asset(self) -> dict[str, list[Flow]]:
        found: dict[str, list[Flow]] = {}
        for flow in self.flows:
            found.setdefault(flow.book.base, []).append(flow)
        return found

    @cached_property
    def closes(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Per asset: close in dollars of the day's deepest pair (those in a pegged dollar first), and its simple
        return from the day before on the same pair; NaN where there is none."""
        found = {}
        for name, flows in self.by_asset().items():
            flows = sorted(flows, key=lambda flow: (not flow.is_pegged_quote, flow.book.exchange, flow.book.symbol))
            close, change = np.full(len(self.days), np.nan), np.full(len(self.days), np.nan)
            era = self.era(name)
            for t in range(len(self.days)):
                best = max(
                    (flow for flow in flows if flow.counted[t]),
                    key=lambda flow: (flow.is_pegged_quote, flow.volume[t]),
                    default=None,
                )
                if best is not None:
                    close[t] = best.close_usd[t]
                    if t and best.counted[t - 1] and era[t] == era[t - 1]:
                        change[t] = close[t] / best.close_usd[t - 1] - 1
            found[name] = close, change
        return found


class Prices:
    """Dollars per unit of every quote asset, by exchange and day.

    The exchange's own X/USDT, its own USDT/X turned round, the same of the exchange where it is traded most that
    day; one dollar for what is pegged to it; money without any such pair through Bitcoin. Volume-weighted.
    """

    def __init__(self, books: Sequence[Book], day_count: int, class_of_asset: Callable[[str], str]) -> None:
        self.class_of, self.day_count = class_of_asset, day_count
        asked = {book.quote for book in books} | {"BTC"}
        self.own: dict[tuple[str, str], list[tuple[Fraction, Fraction, str] | None]] = {}
        self.bitcoins: dict[tuple[str, str], list[Fraction | None]] = {}
        for book in sorted(books, key=lambda book: book.quote != "USDT"):  # X/USDT before USDT/X
            if book.base == "BTC":
                self.bitcoins[book.exchange, book.quote] = [pair and pair[0] / pair[1] for pair in _amounts(book)]
            if book.quote == "USDT" and book.base in asked:
                turned, asset, method = False, book.base, "direct"
            elif book.base == "USDT":
                turned, asset, method = True, book.quote, "inverse"
            else:
                continue
            known = self.own.setdefault((book.exchange, asset), [None] * day_count)
            for t, pair in enumerate(_amounts(book)):
                if pair and known[t] is None:
                    quote, base = pair
                    known[t] = (base / quote, base, method) if turned else (quote / base, quote, method)

    def of(self, book: Book) -> tuple[list[Fraction | None], list[str | None]]:
        """Per day the price of the pair's quote asset and how it was found; None where it did not trade."""
        found = [self._on(book, t) if book.present[t] else (None, None) for t in range(self.day_count)]
        return [price for price, _ in found], [method for _, method in found]

    def _on(self, book: Book, t: int) -> tuple[Fraction | None, str | None]:
        exchange, asset = book.exchange, book.quote
        if asset == "USDT":
            return Fraction(1), "usdt"
        if (own := self._own(exchange, asset, t)) is not None:
            return own[0], own[2]
        if (price := self._deepest(asset, t)) is not None:
            return price, "other_exchange"
        if self.class_of(asset) == "stablecoin":
            return Fraction(1), "pegged"
        bitcoins = self.bitcoins.get((exchange, asset))
        if self.class_of(asset) == "fiat" and bitcoins and (in_quote := bitcoins[t]):
            own = self._own(exchange, "BTC", t)
            in_dollars = own[0] if own else self._deepest("BTC", t)
            if in_dollars is not None:
                return in_dollars / in_quote, "through_btc"
        return None, None

    def _own(self, exchange: str, asset: str, t: int) -> tuple[Fraction, Fraction, str] | None:
        known = self.own.get((exchange, asset))
        return known[t] if known else None

    def _deepest(self, asset: str, t: int) -> Fraction | None:
        offers = [(exchange, known[t]) for (exchange, name), known in self.own.items() if name == asset]
        known = [(-offer[1], exchange, offer[0]) for exchange, offer in offers if offer is not None]
        return min(known)[2] if known else None


def _amounts(book: Book) -> list[tuple[Fraction, Fraction] | None]:
    """Quote and base volume per day in whole units; None where one of them is zero."""
    return [
        (Fraction(int(quote), ONE), Fraction(int(base), 10**book.base_decimals)) if quote and base else None
        for quote, base in zip(book.volume_quote, book.volume_base, strict=True)
    ]


def _dollars(units: int, rate: Fraction | None) -> int:
    """`units` x rate, rounded half up to a whole 10^-8."""
    if rate is None or not units:
        return 0
    if rate == 1:
        return units
    return (2 * units * rate.numerator + rate.denominator) // (2 * rate.denominator)


def decimals(units: Sequence[int | None] | np.ndarray, mask: np.ndarray | None = None) -> pa.Array:
    """DECIMAL(38,8) of integers of 10^-8, exactly; NULL where None, or where `mask` is true."""
    if isinstance(units, np.ndarray) and units.dtype == np.int64:
        halves = np.stack([units, units >> 63], axis=1).tobytes()
        known = np.ones(len(units), bool) if mask is None else ~mask
    else:
        listed = [None if mask is not None and mask[i] else unit for i, unit in enumerate(units)]
        halves = b"".join(int(unit or 0).to_bytes(16, "little", signed=True) for unit in listed)
        known = np.array([unit is not None for unit in listed], bool)
    # One array more than needed holds the bits in the form that Arrow wants them in.
    bits = pa.array(known).buffers()[1]
    return pa.Array.from_buffers(pa.decimal128(38, 8), len(known), [bits, pa.py_buffer(halves)])


def ratio(part: int | None, whole: int | None) -> float | None:
    """The double nearest to the quotient of two exact numbers; None where either is missing or the whole is zero."""
    return int(part) / int(whole) if part is not None and whole else None
