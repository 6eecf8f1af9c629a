"""The fetched window of `raw.stablecoin_chain_supplies`: the supply of each stablecoin on each chain."""

from typing import TYPE_CHECKING

from orchestration.expectations.suite import BLANK, UNSAFE_WORD, WARNING, between, raw_suite, unlike
from orchestration.records import STABLECOIN_CHAIN_SUPPLIES

if TYPE_CHECKING:
    import pyarrow as pa

MOST_JUMP = 0.50
LEAST_SUPPLY = 1e8


def prepare(table: "pa.Table") -> "pa.Table":
    from orchestration.expectations import columns

    by = ["stablecoin_id", "chain"]
    change = columns.change_since_day_before(table, by, "utc_date", "circulating_peg", LEAST_SUPPLY)
    return columns.with_columns(table, change_ratio=change)


SUITE = raw_suite(
    STABLECOIN_CHAIN_SUPPLIES,
    prepare,
    unlike("stablecoin_id", UNSAFE_WORD, "The id is put into a URL."),
    unlike("chain", BLANK, "A chain has a name."),
    unlike("symbol", BLANK, "A coin has a ticker."),
    unlike("peg_type", UNSAFE_WORD, "The peg is one word; it names a field of the answers."),
    between("circulating_peg", 0, None, "A supply is not negative."),
    between(
        "change_ratio",
        -MOST_JUMP,
        MOST_JUMP,
        "More than half in a day: coins moved to another chain, or a bridge is counted anew.",
        severity=WARNING,
        check="R20",
        shows=("symbol", "circulating_peg", "change_ratio"),
    ),
)
