"""How upstreams write trades: the words for a side, the columns of a file, what a file covers.

Plain data, and what it means. `reduce` turns trades into daily flows by it; nothing here reads or asks.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

import pyarrow as pa

TRADES = pa.schema(
    [
        pa.field("id", pa.int64(), metadata={"description": "NULL: the upstream numbers no trades"}),
        pa.field("time_us", pa.int64(), False, metadata={"description": "UTC microseconds"}),
        pa.field("price", pa.string(), False, metadata={"description": "quote per base, as received"}),
        pa.field("size", pa.string(), False, metadata={"description": "base, as received"}),
        pa.field("side", pa.string(), False, metadata={"description": "the upstream's word, see Side"}),
    ]
)
"""Trades of one symbol from an API, as `parse_trades` of a source gives them."""


@dataclass(frozen=True)
class Side:
    """Whose side an upstream names, and with which words, in lower case; case does not count.

    `of` "taker": `buy` means that the aggressor bought; "maker": that the resting order bought, so the taker sold."""

    buy: tuple[str, ...]
    sell: tuple[str, ...]
    of: Literal["taker", "maker"]
    source: str
    """where the upstream says so"""

    @property
    def taker_buys(self) -> tuple[str, ...]:
        return self.buy if self.of == "taker" else self.sell

    @property
    def taker_sells(self) -> tuple[str, ...]:
        return self.sell if self.of == "taker" else self.buy


@dataclass(frozen=True)
class Reported:
    """An upstream that sums takers' purchases itself: no side is to be read."""

    column: str
    source: str


ROLES = ("symbol", "id", "time", "price", "size", "side")


@dataclass(frozen=True)
class Layout:
    """The columns of a trade file.

    `positions`: the role of each column, in order, where a file has no header ("" for a column of no use);
    `names`: role of each header cell, by the lower-case text before a slash (old files have other scripts behind it).
    A file may have more columns than are known; they are passed over. `clock_hours`: how far the clock by which
    files are cut into days is ahead of UTC."""

    positions: tuple[str, ...]
    names: Mapping[str, str]
    time_unit: Literal["us", "ms", "s"]
    side: Side
    encoding: str = "utf-8"
    clock_hours: int = 0
    renamed: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class TradeFile:
    """One file of an upstream's archive. `symbol` None: trades of all symbols, named in each row.

    It covers the trades of [start, end), naive UTC. It is expected to be there from `due` on. `etag` and
    `byte_count`: where a listing tells; `checksum`: what the upstream publishes beside it, `md5:…` or `sha256:…`,
    or the path to fetch it from."""

    url: str
    symbol: str | None
    start: datetime
    end: datetime
    due: datetime
    etag: str | None = None
    byte_count: int | None = None
    checksum_url: str | None = None
    also: tuple[str, ...] = ()
    """addresses to try where there is nothing at `url`"""
