"""What a market is to the upstream servers, and how its rows become JSON text.

A server knows this protocol and nothing of where the data comes from.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

DAY_MS = 86_400_000


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
    """`units` x 10^-decimals as decimal text with `pad` places; exact, because it stays integer."""
    whole, part = np.divmod(units, 10**decimals)
    places = pc.utf8_lpad(pa.array(part).cast(pa.string()), decimals, "0") if decimals else ""
    return json_rows([pa.array(whole), ".", places, "0" * (pad - decimals)])
