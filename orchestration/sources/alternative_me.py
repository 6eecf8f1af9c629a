"""alternative.me: the Fear & Greed index, daily since 2018-02-01.

https://alternative.me/crypto/fear-and-greed-index/ (attribution required).
"""

from collections.abc import Iterator
from datetime import date, timedelta

import pyarrow as pa

from orchestration.records import MACRO_OBSERVATIONS
from orchestration.sources.body import Body, Parsed, SourceError, distinct
from orchestration.sources.exact import amounts
from orchestration.sources.http import Host, Http

HOST = Host("alternative_me", ("api.alternative.me",), per_minute=30, burst=5, connections=1)
SERIES = "FNG"


def fetch_index(http: Http, scope: str = SERIES) -> Iterator[Body]:
    """Yield the whole index."""
    answer = http.get(HOST, "/fng/", {"limit": 0, "format": "json"})
    yield Body("alternative_me", "macro_observations", answer.url, answer.status, answer.fetched_at, answer.content)


def parse_index(body: Body) -> Parsed:
    """Rows of records.MACRO_OBSERVATIONS with series FNG, 0 (extreme fear) to 100 (extreme greed)."""
    try:
        points = distinct(body.data["data"])
        value = amounts([point["value"] for point in points])
        table = pa.table(
            {
                "series_id": [SERIES] * len(points),
                "utc_date": [date(1970, 1, 1) + timedelta(days=int(p["timestamp"]) // 86_400) for p in points],
                "upstream": ["alternative_me"] * len(points),
                "value": value.values,
                "body_sha256": [body.sha256] * len(points),
            },
            schema=MACRO_OBSERVATIONS.schema,
        )
    except (KeyError, TypeError, ValueError, OverflowError, pa.ArrowException) as error:
        raise SourceError(f"{body.url}: not the Fear & Greed index ({error!r})") from None
    if value.bad:
        raise SourceError(f"{body.url}: values that are no numbers: {list(value.bad.values())[:3]}")
    return Parsed({MACRO_OBSERVATIONS.table: table}, value.rounded_count)
