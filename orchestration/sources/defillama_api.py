"""DefiLlama's other host: value locked per chain, volume of decentralised exchanges. Whole history in each answer.

https://api-docs.defillama.com/ (sections TVL and volumes). Numbers are floats on the wire; their text is kept. A chain
that DefiLlama renames is asked for by both names and stored under the one that stands in CHAINS.
"""

from collections.abc import Iterator
from datetime import date, timedelta
from urllib.parse import quote

import pyarrow as pa

from orchestration.records import CHAIN_TVL, DEX_VOLUMES, Record
from orchestration.sources.body import Body, Parsed, Refused, SourceError
from orchestration.sources.exact import amounts
from orchestration.sources.http import Answer, Host, Http

HOST = Host("defillama_api", ("api.llama.fi",), per_minute=60, burst=40, connections=2)
ALL = "all"
# The largest by value locked or by volume in some year since 2020, and the four roll-ups of the claims.
CHAINS = (
    ALL,
    "Ethereum",
    "Solana",
    "BSC",
    "Tron",
    "Bitcoin",
    "Arbitrum",
    "Base",
    "Optimism",
    "zkSync Era",
    "Polygon",
    "Avalanche",
    "Terra",
    "Fantom",
    "Sui",
    "Hyperliquid L1",
)
TRADED = tuple(chain for chain in CHAINS if chain not in ("Bitcoin", "Terra"))
"""chains with decentralised exchanges whose volume is told"""
RENAMED = {"Optimism": "OP Mainnet", "zkSync Era": "ZKsync Era"}
_NO_SUCH_CHAIN = (400, 404)


def fetch_tvl(http: Http, scope: str) -> Iterator[Body]:
    """Yield the value locked on one chain, one point a day. `scope`: the chain, ALL for the total."""
    answer = _of_chain(http, "/v2/historicalChainTvl", scope, {})
    yield Body(HOST.name, CHAIN_TVL.table, answer.url, answer.status, answer.fetched_at, answer.content, _of(scope))


def fetch_volumes(http: Http, scope: str) -> Iterator[Body]:
    """Yield the volume of the exchanges on one chain, one point a day, without its parts by protocol, which are tens
    of megabytes. `scope`: the chain, ALL for the total."""
    query = {"excludeTotalDataChart": "false", "excludeTotalDataChartBreakdown": "true"}
    answer = _of_chain(http, "/overview/dexs", scope, query)
    yield Body(HOST.name, DEX_VOLUMES.table, answer.url, answer.status, answer.fetched_at, answer.content, _of(scope))


def _of(scope: str) -> dict[str, str]:
    return {"chain": scope}


def _of_chain(http: Http, path: str, chain: str, query: dict[str, str]) -> Answer:
    if chain == ALL:
        return http.get(HOST, path, query)
    try:
        return http.get(HOST, f"{path}/{quote(chain)}", query)
    except SourceError as error:
        if chain not in RENAMED or error.status not in _NO_SUCH_CHAIN:
            raise
    return http.get(HOST, f"{path}/{quote(RENAMED[chain])}", query)


def parse_tvl(body: Body) -> Parsed:
    """Rows of records.CHAIN_TVL. Of several points of a day the first counts: the others are taken while it lasts."""
    points = body.data_as_text
    if not isinstance(points, list):
        raise SourceError(f"{body.url}: {str(points)[:120]} instead of a list of points", content=body.content)
    try:
        return _rows(CHAIN_TVL, body, [(point["date"], point["tvl"]) for point in points])
    except (KeyError, TypeError, ValueError, OverflowError, pa.ArrowException) as error:
        raise SourceError(f"{body.url}: not the value locked on a chain ({error!r})") from None


def parse_volumes(body: Body) -> Parsed:
    """Rows of records.DEX_VOLUMES."""
    overview = body.data_as_text
    points = overview.get("totalDataChart") if isinstance(overview, dict) else None
    if not isinstance(points, list):
        raise SourceError(f"{body.url}: {str(overview)[:120]} without totalDataChart", content=body.content)
    try:
        return _rows(DEX_VOLUMES, body, [(second, value) for second, value in points])
    except (KeyError, TypeError, ValueError, OverflowError, pa.ArrowException) as error:
        raise SourceError(f"{body.url}: not a chart of volumes ({error!r})") from None


def _rows(record: Record, body: Body, points: list[tuple[str, str | None]]) -> Parsed:
    """One row a day; a point without a value is absent, not 0."""
    chain = body.context["chain"]
    if not points and chain == ALL:
        raise SourceError(f"{body.url}: no point at all", content=body.content)
    days: dict[date, str] = {}
    for second, value in sorted(points, key=lambda point: int(point[0])):
        if value is not None:
            days.setdefault(date(1970, 1, 1) + timedelta(days=int(second) // 86_400), value)
    cells = amounts(list(days.values()))
    measure = next(name for name in record.schema.names if name.endswith("_usd"))
    columns = {
        "chain": [chain] * len(days),
        "utc_date": list(days),
        measure: cells.values,
        "body_sha256": [body.sha256] * len(days),
    }
    keep = pa.array([i not in cells.bad for i in range(len(days))], pa.bool_())
    # A column that is never NULL takes no unusable cell, not even for a moment.
    whole = pa.table(columns).filter(keep).select(record.schema.names).cast(record.schema)
    refused = [
        Refused(record.table, f"{chain} {day}", cells.bad[i], f"{day} {value}", body.sha256, day)
        for i, (day, value) in enumerate(days.items())
        if i in cells.bad
    ]
    return Parsed({record.table: whole}, cells.rounded_count, refused)
