"""The fetched window of `raw.stablecoin_totals`: the supply of all stablecoins."""

from typing import TYPE_CHECKING

from orchestration.expectations.suite import UNSAFE_WORD, WARNING, between, raw_suite, unlike
from orchestration.records import STABLECOIN_TOTALS

if TYPE_CHECKING:
    import pyarrow as pa

MOST_JUMP = 0.10
LEAST_SUPPLY = 1e8


def prepare(table: "pa.Table") -> "pa.Table":
    from orchestration.expectations import columns

    change = columns.change_since_day_before(table, ["peg_type"], "utc_date", "circulating_usd", LEAST_SUPPLY)
    return columns.with_columns(table, change_ratio=change)


SUITE = raw_suite(
    STABLECOIN_TOTALS,
    prepare,
    unlike("peg_type", UNSAFE_WORD, "The peg is one word; it names a field of the answers."),
    between("circulating_peg", 0, None, "A supply is not negative."),
    between("circulating_usd", 0, 1e14, "A supply is not negative; 1e14 dollars is more than all money there is."),
    between(
        "change_ratio",
        -MOST_JUMP,
        MOST_JUMP,
        "More than 10 % in a day: the list of coins changed (2020-01-03, 2020-04-03), or it is news.",
        severity=WARNING,
        check="R20",
        shows=("circulating_usd", "change_ratio"),
    ),
)
