"""The fetched window of `raw.macro_observations`: FRED series and Fear & Greed."""

from datetime import date
from typing import TYPE_CHECKING

from orchestration.expectations.suite import UNSAFE_KEY, UNSAFE_TEXT, holds, raw_suite, unlike
from orchestration.records import MACRO_OBSERVATIONS

if TYPE_CHECKING:
    import pyarrow as pa

# Wide enough for every value ever published, tight enough for a wrong unit: DFF peaked at 22.36 in 1981,
# M2SL is in billions and WALCL in millions of dollars.
BOUNDS = {
    "FNG": (0.0, 100.0),
    "DFF": (-5.0, 30.0),
    "FEDFUNDS": (-5.0, 30.0),
    "M2SL": (100.0, 1e6),
    "WALCL": (1e5, 1e9),
}
MOST_ELSEWHERE = 1e15


def prepare(table: "pa.Table") -> "pa.Table":
    from orchestration.expectations import columns

    inside = columns.is_within_bounds(table["series_id"], table["value"], BOUNDS, MOST_ELSEWHERE)
    return columns.with_columns(table, is_value_plausible=inside)


SUITE = raw_suite(
    MACRO_OBSERVATIONS,
    prepare,
    unlike("series_id", UNSAFE_TEXT, "The id is put into a URL."),
    unlike("upstream", UNSAFE_KEY, "Keys of upstreams are lower case words."),
    holds(
        "is_value_plausible",
        ("series_id", "value"),
        "Outside what the series can be (Fear & Greed: 0 to 100): another unit or another series.",
    ),
    first_day=date(1900, 1, 1),
)
