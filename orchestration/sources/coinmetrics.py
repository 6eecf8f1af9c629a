"""CoinMetrics community: daily market caps and reference rates. Licence CC BY-NC 4.0: asked only where
ALTFLOW_ALLOW_NONCOMMERCIAL allows it.

https://docs.coinmetrics.io/api/v4/#tag/Timeseries. 10 requests in 6 s per address.
"""

from collections.abc import Iterator
from datetime import date

import pyarrow as pa

from orchestration.records import ASSET_CAPS
from orchestration.sources.body import Body, Parsed, Refused, SourceError, distinct, lacking
from orchestration.sources.exact import amounts, prices
from orchestration.sources.http import Host, Http

HOST = Host("coinmetrics", ("community-api.coinmetrics.io",), per_minute=20, burst=8, connections=2)
CAP, PRICE = "CapMrktEstUSD", "ReferenceRateUSD"
PAGE = 10_000


def fetch_caps(http: Http, scope: str = "") -> Iterator[Body]:
    """Yield the pages of all assets that have an estimated cap, by the upstream's own catalog."""
    answer = http.get(HOST, "/v4/catalog-v2/asset-metrics", {"metrics": CAP, "page_size": PAGE})
    listing = Body("coinmetrics", "catalog", answer.url, answer.status, answer.fetched_at, answer.content)
    try:
        assets = ",".join(sorted({entry["asset"] for entry in listing.data["data"]}))
    except (KeyError, TypeError) as error:
        raise SourceError(f"{answer.url}: not a catalog ({error!r})") from None
    if not assets:
        raise SourceError(f"{answer.url}: names no asset with {CAP}")
    params = {
        "assets": assets,
        "metrics": f"{CAP},{PRICE}",
        "frequency": "1d",
        "start_time": "2010-01-01",
        "page_size": PAGE,
        "paging_from": "start",
        "ignore_forbidden_errors": "true",
        "ignore_unsupported_errors": "true",
    }
    seen: set[str] = set()
    token: str | None = ""
    while token is not None:
        answer = http.get(HOST, "/v4/timeseries/asset-metrics", params | ({"next_page_token": token} if token else {}))
        body = Body("coinmetrics", "asset_caps", answer.url, answer.status, answer.fetched_at, answer.content)
        yield body
        if not isinstance(body.data, dict):
            raise SourceError(f"{answer.url}: {str(body.data)[:120]} instead of a page", content=answer.content)
        token = body.data.get("next_page_token") or None
        if not isinstance(token, str | None) or token in seen:
            raise SourceError(f"{answer.url}: page token {token!r} is no text or came twice; paging would never end")
        seen.add(token or "")


def parse_caps(body: Body) -> Parsed:
    """Rows of records.ASSET_CAPS from one page; the day is that of the row's time (UTC)."""
    try:
        rows = distinct(body.data["data"])
        days = [date.fromisoformat(row["time"][:10]) for row in rows]
        caps, rates = amounts([row.get(CAP) for row in rows]), prices([row.get(PRICE) for row in rows])
        table = pa.table(
            {
                "upstream": ["coinmetrics"] * len(rows),
                "asset": [row["asset"] for row in rows],
                "utc_date": days,
                "cap_usd": caps.values,
                "price_usd": rates.values,
                "body_sha256": [body.sha256] * len(rows),
            },
            schema=ASSET_CAPS.schema,
        )
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError, pa.ArrowException) as error:
        raise SourceError(f"{body.url}: not asset metrics ({error!r})") from None
    bad = rates.bad | caps.bad
    refused = [
        Refused(ASSET_CAPS.table, f"{rows[i]['asset']} {rows[i]['time'][:10]}", why, str(rows[i]), body.sha256, days[i])
        for i, why in sorted(bad.items())
    ]
    if refused:
        table = table.filter(pa.array([i not in bad for i in range(len(rows))], pa.bool_()))
    if lacks := lacking(table):
        raise SourceError(f"{body.url}: rows without {lacks}", content=body.content)
    return Parsed({ASSET_CAPS.table: table}, caps.rounded_count, refused)
