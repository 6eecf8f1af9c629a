"""FRED: macro series of the St. Louis Fed as CSV, without a key.

https://fred.stlouisfed.org/docs/. One series per request: mixed frequencies come back as a ZIP.
"""

import csv
import io
from collections.abc import Iterator
from datetime import date

import pyarrow as pa

from orchestration.records import MACRO_OBSERVATIONS
from orchestration.sources.body import Body, Parsed, Refused, SourceError, distinct
from orchestration.sources.exact import amounts
from orchestration.sources.http import Host, Http, is_csv

HOST = Host("fred", ("fred.stlouisfed.org",), per_minute=60, burst=20, connections=2)
SERIES = ("M2SL", "WALCL", "DFF", "FEDFUNDS", "DFEDTARU", "DFEDTARL", "DGS10", "RRPONTSYD", "WTREGEN", "DTWEXBGS")


def fetch_series(http: Http, scope: str) -> Iterator[Body]:
    """Yield one series, whole. `scope`: FRED's id."""
    answer = http.get(HOST, "/graph/fredgraph.csv", {"id": scope}, wrong=is_csv)
    context = {"series_id": scope}
    yield Body("fred", "macro_observations", answer.url, answer.status, answer.fetched_at, answer.content, context)


def parse_series(body: Body) -> Parsed:
    """Rows of records.MACRO_OBSERVATIONS; `.` and an empty field are published as missing: NULL."""
    series = body.context["series_id"]
    try:
        header, *rows = csv.reader(io.StringIO(body.content.decode("utf-8")))
        rows = distinct(rows)
        if header[0] not in ("observation_date", "DATE") or header[1:] != [series]:
            raise SourceError(f"{body.url}: columns {header} instead of observation_date,{series}")
        days = [date.fromisoformat(row[0]) for row in rows]
        texts = [None if row[1] in ("", ".") else row[1] for row in rows]
    except (ValueError, IndexError, csv.Error) as error:
        raise SourceError(f"{body.url}: not the CSV of a series ({error!r})") from None
    value = amounts(texts)
    table = pa.table(
        {
            "series_id": [series] * len(days),
            "utc_date": days,
            "upstream": ["fred"] * len(days),
            "value": value.values,
            "body_sha256": [body.sha256] * len(days),
        },
        schema=MACRO_OBSERVATIONS.schema,
    )
    refused = [
        Refused(MACRO_OBSERVATIONS.table, f"{series} {days[i]}", why, str(rows[i]), body.sha256, days[i])
        for i, why in value.bad.items()
    ]
    if refused:
        table = table.filter(pa.array([i not in value.bad for i in range(len(days))], pa.bool_()))
    return Parsed({MACRO_OBSERVATIONS.table: table}, value.rounded_count, refused)
