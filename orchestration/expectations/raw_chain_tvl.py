"""The fetched window of `raw.chain_tvl`: value locked per chain."""

from typing import TYPE_CHECKING

from orchestration.expectations.suite import WARNING, between, raw_suite, unlike
from orchestration.records import CHAIN_TVL

if TYPE_CHECKING:
    import pyarrow as pa

UNSAFE_NAME = r"""[\x00-\x1f'"`\\;<>]|\.\.|^ *$"""
"""names of chains hold spaces"""
MOST_VALUE = 1e13
MOST_JUMP = 0.5
LEAST_VALUE = 1e8


def prepare(table: "pa.Table") -> "pa.Table":
    from orchestration.expectations import columns

    change = columns.change_since_day_before(table, ["chain"], "utc_date", "tvl_usd", LEAST_VALUE)
    return columns.with_columns(table, change_ratio=change)


SUITE = raw_suite(
    CHAIN_TVL,
    prepare,
    unlike("chain", UNSAFE_NAME, "The name is put into a URL."),
    between("tvl_usd", 0, MOST_VALUE, "What is locked is not negative; 1e13 dollars is more than all of it."),
    between(
        "change_ratio",
        -MOST_JUMP,
        MOST_JUMP,
        "More than half in a day: protocols were added or left out, a price was wrong, or it is news.",
        severity=WARNING,
        check="R20",
        shows=("tvl_usd", "change_ratio"),
    ),
)
