"""What a market is to the upstream servers, and how its rows become JSON text.

A server knows this protocol and nothing of where the data comes from.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import cache
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

HOUR_MS, DAY_MS = 3_600_000, 86_400_000


def midnight_ms(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() * 1000)


def day_of(ms: int) -> date:
    return datetime.fromtimestamp(ms / 1000, UTC).date()


class MarketError(ValueError):
    """A market that cannot be served; the message names it and says what is needed."""


@dataclass(frozen=True)
class Symbol:
    """One pair as exchangeInfo lists it."""

    symbol: str
    base: str
    quote: str
    is_trading: bool
    permissions: tuple[str, ...] = ("SPOT",)
    tick_size: str = "0.00000001"
    step_size: str = "0.00000001"


@dataclass(frozen=True)
class Listing:
    """One pair of one exchange, traded on the days [first, end); `end` None: it still trades."""

    base: str
    quote: str
    first: date
    end: date | None
    price_decimals: int
    base_decimals: int

    @property
    def name(self) -> str:
        return f"{self.base}/{self.quote}"


@dataclass(frozen=True)
class Trades:
    """Trades of one pair in ascending time, as arrays of one length and exact integers.

    `times_us`: UTC microseconds; price x 10^-price_decimals in quote, size x 10^-base_decimals in base. `taker_buys`
    is the true side of the taker, `labelled_buys` what the exchange writes (another where its labels are flipped).
    """

    ids: np.ndarray
    times_us: np.ndarray
    price: np.ndarray
    size: np.ndarray
    taker_buys: np.ndarray
    labelled_buys: np.ndarray
    price_decimals: int
    base_decimals: int


@dataclass(frozen=True)
class Bars:
    """Bars of one pair in whole units, ascending; `times_ms` is when they open.

    Prices x 10^-price_decimals, base x 10^-base_decimals, quote x 10^-quote_decimals. What takers bought is what the
    exchange labels so. A bar without trades stands at the close before it.
    """

    times_ms: np.ndarray
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
    quote_decimals: int = 8


@dataclass(frozen=True)
class Rows:
    """Rows of one series as JSON text, each with its comma, so that a page is a slice.

    Row i is `text[offsets[i]:offsets[i + 1]]` and belongs to `times[i]`, ascending.
    """

    times: np.ndarray
    offsets: np.ndarray
    text: memoryview

    def slice(self, first: int, last: int) -> memoryview:
        """Rows first..last-1 with commas between, none at the end."""
        return self.text[int(self.offsets[first]) : int(self.offsets[last]) - 1] if last > first else self.text[:0]


@dataclass(frozen=True)
class Body:
    """A whole answer of an upstream; `read` makes or loads it when it is first asked for."""

    host: str
    path: str
    query: Mapping[str, str]
    read: Callable[[], bytes] = field(repr=False)
    content_type: str = "application/json"


class Market(Protocol):
    """Data of one market up to `now` (00:00 UTC of that day, excluded)."""

    name: str
    kind: str
    synthetic: bool
    now: date

    def warm(self) -> None:
        """Load in the background what the first requests will need."""
        ...

    def span(self) -> tuple[date, date]:
        """First and last day with daily bars before now."""
        ...

    def symbols(self) -> Mapping[str, Symbol]: ...

    def intervals(self) -> Mapping[str, Sequence[str] | None]:
        """Kline intervals: the symbols that have them, None for all."""
        ...

    def klines(self, symbol: str, interval: str) -> Rows | None:
        """All bars, also those at or after now; None where the interval is not there."""
        ...

    def caps(self) -> pa.Table:
        """asset, time (YYYY-MM-DD), then one text column per metric; sorted by asset and time."""
        ...

    def coins(self) -> Sequence[Mapping[str, Any]]:
        """Rows of CoinGecko's /coins/markets, greatest cap first."""
        ...

    def bodies(self) -> Sequence[Body]: ...

    def exchanges(self) -> Sequence[str]:
        """Keys of the exchanges that there is anything of."""
        ...

    def listings(self, exchange: str) -> Mapping[str, Listing]:
        """By "BASE/QUOTE": pairs that traded before now."""
        ...

    def trades(self, exchange: str, name: str, start_ms: int, end_ms: int) -> Trades | None:
        """Trades in [start_ms, end_ms) before now; None where only bars are known."""
        ...

    def bars(self, exchange: str, name: str, interval: str) -> Bars | None:
        """The whole history before now in bars of "1h" or "1d"; None where the interval is not there."""
        ...

    def funding(self, name: str) -> tuple[np.ndarray, np.ndarray] | None:
        """Of a perpetual of binance_usdm, every eight hours: UTC milliseconds, rate x 10^-8."""
        ...

    def open_interest(self, name: str) -> tuple[np.ndarray, np.ndarray] | None:
        """Of a perpetual of binance_usdm: days since 1970-01-01, contracts open at its end x 10^-base_decimals."""
        ...


def json_rows(parts: Sequence[pa.Array | str]) -> pa.Array:
    """Rows of text, joined from columns (as text) and the literal text between them."""
    pieces = [pa.scalar(part) if isinstance(part, str) else part.cast(pa.string()) for part in parts]
    return pc.binary_join_element_wise(*pieces, "")


def kline_rows(columns: Mapping[str, pa.Array]) -> pa.Array:
    """Binance's twelve fields, `[openTime,"open",…,"0"],`, from columns named as in the recording."""
    texts = ("open", "high", "low", "close", "volume")
    parts: list[pa.Array | str] = ["[", columns["open_time"], ',"']
    for name in texts:
        parts += [columns[name], '","']
    parts[-1] = '",'
    parts += [columns["close_time"], ',"', columns["quote_volume"], '",', columns["trades"], ',"']
    parts += [columns["taker_buy_base"], '","', columns["taker_buy_quote"], '","0"],']
    return json_rows(parts)


def text_of(rows: pa.Array) -> tuple[np.ndarray, memoryview]:
    """Offsets and bytes of a string array that is neither sliced nor null."""
    _, offsets, data = rows.buffers()
    return np.frombuffer(offsets, np.int32, len(rows) + 1).astype(np.int64), memoryview(data or b"")


def ranges(names: pa.ChunkedArray) -> dict[str, tuple[int, int]]:
    """Where the rows of each name stand in a column that is sorted by name."""
    encoded = names.unify_dictionaries().combine_chunks()
    if not isinstance(encoded, pa.DictionaryArray):
        encoded = encoded.dictionary_encode()
    codes = encoded.indices.to_numpy()
    bounds = np.concatenate([[0], np.flatnonzero(np.diff(codes)) + 1, [len(codes)]])
    known = encoded.dictionary.to_pylist()
    found = {known[int(codes[a])]: (int(a), int(b)) for a, b in zip(bounds[:-1], bounds[1:], strict=True)}
    if len(found) != len(bounds) - 1:
        raise MarketError("rows are not sorted by name")
    return found


def decimal_text(units: np.ndarray, decimals: int = 8, pad: int = 8) -> pa.Array:
    """`units` (none negative) x 10^-decimals as decimal text with `pad` places; exact: it stays integer.

    At most eight of the places may be other than zero.
    """
    whole, part = np.divmod(units, 10**decimals)
    count = len(whole)
    digits = np.empty((count, 2), np.uint32)
    digits[:, 0], digits[:, 1] = (_four_digits()[half] for half in np.divmod(part * 10 ** (8 - decimals), 10_000))
    point = np.full((count, 1 + pad), ord("0"), np.uint8)
    point[:, 0], point[:, 1:9] = ord("."), digits.view(np.uint8)[:, :pad]
    offsets = np.arange(count + 1, dtype=np.int32) * (1 + pad)
    places = pa.Array.from_buffers(pa.string(), count, [None, pa.py_buffer(offsets), pa.py_buffer(point)])
    return pc.binary_join_element_wise(pa.array(whole).cast(pa.string()), places, "")


@cache
def _four_digits() -> np.ndarray:
    """ "0000" to "9999", each in the four bytes of an integer."""
    return np.frombuffer("".join(f"{i:04d}" for i in range(10_000)).encode(), np.uint32)


def bar_rows(bars: Bars, interval_ms: int) -> Rows:
    """Bars of one pair as Binance's klines."""
    prices = {name: getattr(bars, name) for name in ("open", "high", "low", "close")}
    columns = {name: decimal_text(units, bars.price_decimals) for name, units in prices.items()}
    columns |= {
        "open_time": pa.array(bars.times_ms),
        "close_time": pa.array(bars.times_ms + interval_ms - 1),
        "volume": decimal_text(bars.volume_base, bars.base_decimals),
        "quote_volume": decimal_text(bars.volume_quote, bars.quote_decimals),
        "trades": pa.array(bars.trades),
        "taker_buy_base": decimal_text(bars.taker_buy_base, bars.base_decimals),
        "taker_buy_quote": decimal_text(bars.taker_buy_quote, bars.quote_decimals),
    }
    return Rows(bars.times_ms, *text_of(kline_rows(columns)))
