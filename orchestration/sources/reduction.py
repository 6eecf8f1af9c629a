"""Reduced trades as a body: what is archived in the place of trade files, and rows of flows from it.

A trade file is too large to keep. What is kept is what it came to, with the address, SHA-256 and size of every
file it came from, so that anybody can fetch the files and get the same figures.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc

from orchestration.records import SCREENED, SPOT_FLOWS, SPOT_TRADE_SCREENS, SPOT_TRADE_SIZES
from orchestration.sources.body import Body, Parsed, Refused, SourceError, Window
from orchestration.sources.exact import amounts, prices

Split = Callable[[str], tuple[str, str] | None]
SIZE_NAMES = ("below_1k", "from_1k", "from_10k", "from_100k")
DOLLARS = frozenset(
    ["USD", "USDT", "USDC", "BUSD", "TUSD", "FDUSD", "DAI", "USDP", "USD1", "PYUSD", "RLUSD", "USDG", "USDE"]
)
"""quote assets in whose units a bound of a size bucket is a bound in dollars, to the precision that a bucket needs"""
AMOUNTS = ("volume_base", "volume_quote", "taker_buy_base", "taker_buy_quote")
PRICES = ("open_price", "high_price", "low_price", "close_price")
COLUMNS = ("symbol", "utc_date", "trade_count", *PRICES, *AMOUNTS)
_FOREIGN = (LookupError, TypeError, ValueError, AttributeError, OverflowError, RecursionError, pa.ArrowException)
"""What reading a body of another shape raises."""
SIZED = ("count", "volume_quote", "taker_buy_quote")
WRITTEN = [*COLUMNS, "sizes", "screens"]


@dataclass(frozen=True)
class Origin:
    """A file (or the pages of one answer, joined) that was reduced. `etag`: what the listing said of it."""

    url: str
    sha256: str
    byte_count: int
    etag: str | None = None


@dataclass(frozen=True)
class Row:
    """One symbol and day: plain decimal text; `sized` has count, quote and taker-bought quote of each size bucket,
    `screens` the counts of records.SCREENED; empty where trades were not screened."""

    symbol: str
    day: date
    count: int
    prices: tuple[Decimal, Decimal, Decimal, Decimal]
    amounts: tuple[Decimal, Decimal, Decimal, Decimal]
    sized: Sequence[tuple[int, Decimal, Decimal]]
    screens: Sequence[int] = ()


def reduction(
    upstream: str,
    scope: str,
    window: Window,
    now: datetime,
    fetched_at: datetime,
    rows: Sequence[Row],
    origins: Sequence[Origin],
    refused: Sequence[tuple[str, str, date | None]] = (),
    refused_count: int = 0,
    repeated_count: int = 0,
    kind: str = "trades",
) -> Body:
    """The body that stands for the files of `scope` (a symbol, `*` for all) over `window`; the same files give
    the same bytes."""
    content = {
        "kind": kind,
        "columns": WRITTEN,
        "rows": [_written(row) for row in sorted(rows, key=lambda row: (row.symbol, row.day))],
        "repeated_count": repeated_count,
        "refused_count": refused_count,
        "refused": [[text, why, day and day.isoformat()] for text, why, day in refused],
    }
    context = {
        "symbol": scope,
        "start": window.start.isoformat(),
        "end": window.end.isoformat(),
        "now": now.isoformat(),
        "files": json.dumps([asdict(origin) for origin in origins], sort_keys=True),
    }
    raw = json.dumps(content, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "replace")
    url = origins[0].url if origins else ""
    return Body(upstream, "spot_flows", url, 200, fetched_at, raw, context)


def origins(context: Mapping[str, str]) -> list[Origin]:
    """The files behind a reduction, by the context of its body."""
    return [Origin(**file) for file in json.loads(context.get("files", "[]"))]


def _written(row: Row) -> list:
    plain = [f"{value:f}" for value in (*row.prices, *row.amounts)]
    sizes = [[count, f"{quote:f}", f"{bought:f}"] for count, quote, bought in row.sized]
    return [row.symbol, row.day.isoformat(), row.count, *plain, sizes, list(row.screens)]


def parser(pair_of: Split) -> Callable[..., Parsed]:
    """`parse_flows` of an exchange whose trades are reduced: flows and trade sizes."""

    def parse_flows(*bodies: Body) -> Parsed:
        return _parsed(bodies, pair_of)

    return parse_flows


def _parsed(bodies: Sequence[Body], pair_of: Split) -> Parsed:
    rows: list[list] = []
    cited: list[str] = []
    kinds: list[str] = []
    refused: list[Refused] = []
    for body in bodies:
        try:
            content = body.data
            # Bodies of before trades were screened end with the sizes.
            is_screened = content["columns"] == WRITTEN
            if not is_screened and content["columns"] != WRITTEN[:-1]:
                raise ValueError(f"columns {content['columns']}")
            if type(content["kind"]) is not str:
                raise TypeError(f"kind {content['kind']!r}")
            if not all(type(row) is list and len(row) == len(content["columns"]) for row in content["rows"]):
                raise ValueError("a row has other cells than columns")
            rows += content["rows"] if is_screened else [[*row, []] for row in content["rows"]]
            cited += [body.sha256] * len(content["rows"])
            kinds += [content["kind"]] * len(content["rows"])
            refused += _refused(body, content)
        except _FOREIGN as error:
            raise _foreign(body, error) from None
    try:
        return _tables(bodies[0].upstream, rows, cited, kinds, refused, pair_of)
    except _FOREIGN as error:
        raise _foreign(bodies[0], error) from None


def _foreign(body: Body, error: Exception) -> SourceError:
    return SourceError(f"{body.url}: not reduced trades ({str(error)[:120]})", content=body.content)


def _tables(
    upstream: str, rows: list[list], cited: list[str], kinds: list[str], refused: list[Refused], pair_of: Split
) -> Parsed:
    cells = dict(zip(WRITTEN, zip(*rows, strict=True) if rows else [()] * len(WRITTEN), strict=True))
    exact = {name: amounts(cells[name]) for name in AMOUNTS}
    rates = {name: prices(cells[name]) for name in PRICES}
    bad = {i: f"{name} {why}" for name, read in (exact | rates).items() for i, why in read.bad.items()}
    bad |= {i: "volume_quote is missing" for i, text in enumerate(cells["volume_quote"]) if text is None}
    for i, why in bad.items():
        key = f"{upstream} {rows[i][0]} {rows[i][1]}"
        text = json.dumps(rows[i])
        refused.append(Refused(SPOT_FLOWS.table, key, why, text, cited[i], date.fromisoformat(rows[i][1])))
    common = {
        "exchange": pa.array([upstream] * len(rows), pa.string()),
        "symbol": pa.array(cells["symbol"], pa.string()),
        "utc_date": pa.array([date.fromisoformat(day) for day in cells["utc_date"]], pa.date32()),
        "body_sha256": pa.array(cited, pa.string()),
    }
    flows = {
        **common,
        **{name: rate.values for name, rate in rates.items()},
        **{f"{name}_text": pa.array(cells[name], pa.string()) for name in PRICES},
        **{name: amount.values for name, amount in exact.items()},
        "trade_count": pa.array(cells["trade_count"], pa.int64()),
        "source_kind": pa.array(kinds, pa.string()),
    }
    keep = pa.array([i not in bad for i in range(len(rows))], pa.bool_())
    table = pa.table({name: flows[name] for name in SPOT_FLOWS.schema.names}, schema=SPOT_FLOWS.schema)
    tables = {
        SPOT_FLOWS.table: table.filter(keep),
        SPOT_TRADE_SIZES.table: _sizes(common, cells["sizes"], pair_of).filter(keep),
        SPOT_TRADE_SCREENS.table: _screens(common, cells["screens"], keep),
    }
    return Parsed(tables, sum(amount.rounded_count for amount in exact.values()), refused)


def _refused(body: Body, content: dict) -> list[Refused]:
    scope = body.context["symbol"]
    if not all(isinstance(text, str) for row in content["refused"] for text in row[:2]):
        raise TypeError("a refused row is no text")
    found = [
        Refused(
            SPOT_FLOWS.table, f"{body.upstream} {scope} trade", why, text, body.sha256, date.fromisoformat(day or "")
        )
        if day
        else Refused(SPOT_FLOWS.table, f"{body.upstream} {scope} trade", why, text, body.sha256)
        for text, why, day in content["refused"]
    ]
    more = content["refused_count"] - len(found)
    if more > 0:
        why = f"{more} more rows of this file are no trades; only the first are kept with their text"
        found.append(Refused(SPOT_FLOWS.table, f"{body.upstream} {scope} trade", why, "", body.sha256))
    return found


def _sizes(common: Mapping[str, pa.Array], sizes: Sequence[list], pair_of: Split) -> pa.Table:
    """NULL where the quote asset is no dollar: what a bucket is in dollars is not known while trades are read."""
    symbols = common["symbol"].to_pylist()
    is_dollar = {symbol: (pair_of(symbol) or ("", ""))[1] in DOLLARS for symbol in set(symbols)}
    columns: dict[str, pa.Array] = dict(common)
    for bucket, name in enumerate(SIZE_NAMES):
        for place, measure in enumerate(SIZED):
            cells = [row[bucket][place] if is_dollar[s] else None for s, row in zip(symbols, sizes, strict=True)]
            kind = pa.array(cells, pa.int64()) if measure == "count" else amounts(pa.array(cells, pa.string())).values
            columns[f"{name}_{measure}"] = kind
    return pa.table({name: columns[name] for name in SPOT_TRADE_SIZES.schema.names}, schema=SPOT_TRADE_SIZES.schema)


def _screens(common: Mapping[str, pa.Array], screens: Sequence[list[int]], keep: pa.Array) -> pa.Table:
    """No row of a day that was not screened."""
    counts = zip(*(row or [0] * len(SCREENED) for row in screens), strict=True) if screens else [[]] * len(SCREENED)
    columns = dict(common)
    columns |= {name: pa.array(list(each), pa.int64()) for name, each in zip(SCREENED, counts, strict=True)}
    table = pa.table({name: columns[name] for name in SPOT_TRADE_SCREENS.schema.names}, SPOT_TRADE_SCREENS.schema)
    return table.filter(pc.and_(keep, pc.greater(table[SCREENED[0]], 0)))
