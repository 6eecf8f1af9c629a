"""Pairs: rows of a listing, and names that are written in one word."""

from collections.abc import Collection, Iterable

import pyarrow as pa

from orchestration.records import SPOT_SYMBOLS
from orchestration.sources.body import Body, Parsed


def listed(body: Body, pairs: Iterable[tuple[str, str, str, str, bool]]) -> Parsed:
    """Rows of records.SPOT_SYMBOLS from (symbol, base, quote, status, whether it trades now).

    Raises KeyError, TypeError, AttributeError or ValueError where a cell is not of its kind."""
    rows = list(pairs)
    if not all(type(text) is str for row in rows for text in row[:4]):
        raise ValueError("a name or status that is no text")
    columns = {
        "exchange": [body.upstream] * len(rows),
        "symbol": [row[0] for row in rows],
        "base_asset": [row[1].upper() for row in rows],
        "quote_asset": [row[2].upper() for row in rows],
        "status": [row[3] for row in rows],
        "is_trading": [row[4] for row in rows],
        "is_listed": [True] * len(rows),
        "body_sha256": [body.sha256] * len(rows),
    }
    return Parsed({SPOT_SYMBOLS.table: pa.table(columns, schema=SPOT_SYMBOLS.schema)})


def split(name: str, quotes: Collection[str]) -> tuple[str, str] | None:
    """Base and quote asset of a name such as BTCUSDT, by the longest of `quotes` that it ends in; None for no pair."""
    for quote in sorted(quotes, key=len, reverse=True):
        if name.endswith(quote) and len(name) > len(quote):
            return name.removesuffix(quote), quote
    return None
