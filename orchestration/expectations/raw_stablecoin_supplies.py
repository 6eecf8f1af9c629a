"""The fetched window of `raw.stablecoin_supplies`: the supply of each stablecoin."""

from typing import TYPE_CHECKING

from orchestration.expectations.suite import BLANK, UNSAFE_WORD, WARNING, between, raw_suite, unlike
from orchestration.records import STABLECOIN_SUPPLIES

if TYPE_CHECKING:
    import pyarrow as pa

MOST_JUMP = 0.10
LEAST_SUPPLY = 1e8


def prepare(table: "pa.Table") -> "pa.Table":
    from orchestration.expectations import columns

    change = columns.change_since_day_before(table, ["stablecoin_id"], "utc_date", "circulating_peg", LEAST_SUPPLY)
    return columns.with_columns(table, change_ratio=change)


SUITE = raw_suite(
    STABLECOIN_SUPPLIES,
    prepare,
    unlike("stablecoin_id", UNSAFE_WORD, "The id is put into a URL."),
    unlike("symbol", BLANK, "A coin has a ticker."),
    unlike("peg_type", UNSAFE_WORD, "The peg is one word; it names a field of the answers."),
    between("circulating_peg", 0, None, "A supply is not negative."),
    between(
        "change_ratio",
        -MOST_JUMP,
        MOST_JUMP,
        "More than 10 % in a day: news, or a chain that was added to the coin.",
        severity=WARNING,
        check="R20",
        shows=("symbol", "circulating_peg", "change_ratio"),
    ),
)
