"""Binance's archive as a second source: the files of a month whose bars came from the API, to compare.

The files and what may be wrong with them: binance_vision.py.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

import pyarrow as pa

from orchestration.records import ARCHIVE_FLOWS, SPOT_FLOWS
from orchestration.sources.binance_vision import BUCKET, HOST, LISTING, SPOT, Tree, checked, page
from orchestration.sources.body import Absent, Body, Parsed, Window
from orchestration.sources.bucket import list_bucket
from orchestration.sources.daily_bars import flows
from orchestration.sources.exchange import SecondSource
from orchestration.sources.http import Http

TREE = Tree(SPOT.root, SPOT.upstream, ARCHIVE_FLOWS.table)


def fetch_files(http: Http, symbol: str, grain: str, window: Window, now: datetime) -> Iterator[Body]:
    """Yield the file of the month [start, end) of `symbol` (`grain` monthly), or those of its days (daily).

    Raises Absent where none is listed, SourceError where one is not what its checksum says, twice."""
    context = {
        "symbol": symbol,
        "start": window.start.isoformat(),
        "end": window.end.isoformat(),
        "now": now.isoformat(),
        "grain": grain,
    }
    prefix = f"{TREE.root}{grain}/klines/{symbol}/1d/{symbol}-1d-{window.start:%Y-%m}"
    keys = [listed.key for listed in list_bucket(http, LISTING, BUCKET, prefix) if listed.key.endswith(".zip")]
    if not keys:
        message = f"{HOST.name} {symbol}: no {grain} file of {window.start:%Y-%m}, whose bars the API has"
        raise Absent(message, "file_missing")
    for key in keys:
        yield checked(http, key, context, TREE)


def parse_files(*bodies: Body) -> Parsed:
    """Rows of records.ARCHIVE_FLOWS from files of months and days, in any mixture; see daily_bars.flows for what is
    left out and what is refused. Raises SourceError where a body is no file of daily klines."""
    parsed = flows(bodies, [body.once(page) for body in bodies])
    table = parsed.tables[SPOT_FLOWS.table]
    grains = {body.sha256: body.context["grain"] for body in bodies}
    column = pa.array([grains[sha256] for sha256 in table["body_sha256"].to_pylist()], pa.string())
    table = table.append_column("file_grain", column).select(ARCHIVE_FLOWS.schema.names).cast(ARCHIVE_FLOWS.schema)
    refused = [replace(row, table=ARCHIVE_FLOWS.table) for row in parsed.refused]
    return Parsed({ARCHIVE_FLOWS.table: table}, parsed.rounded_count, refused)


# A month's file comes on the first Monday of the next month.
SECOND = SecondSource(HOST, fetch_files, parse_files, month_is_late_days=7)
