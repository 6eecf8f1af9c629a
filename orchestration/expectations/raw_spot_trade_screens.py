"""The fetched window of `raw.spot_trade_screens`: counts over a sample of trades."""

from typing import TYPE_CHECKING

from orchestration.expectations.suite import UNSAFE_KEY, UNSAFE_TEXT, between, holds, raw_suite, unlike
from orchestration.records import SCREENED, SPOT_TRADE_SCREENS

if TYPE_CHECKING:
    import pyarrow as pa

PARTS = {
    "round_count": "sampled_count",
    "twin_count": "sampled_count",
    "crossed_twin_count": "twin_count",
}


def prepare(table: "pa.Table") -> "pa.Table":
    from orchestration.expectations import columns

    flags = {
        f"is_{part}_within_{whole}": columns.is_at_most(table[part], table[whole]) for part, whole in PARTS.items()
    }
    return columns.with_columns(table, **flags)


SUITE = raw_suite(
    SPOT_TRADE_SCREENS,
    prepare,
    unlike("exchange", UNSAFE_KEY, "Keys of exchanges are lower case words."),
    unlike("symbol", UNSAFE_TEXT, "A symbol ends up in file names, URLs and SQL."),
    *(between(name, 0, None, "A count is not negative.") for name in SCREENED),
    *(
        holds(f"is_{part}_within_{whole}", (part, whole), "A part of the sample is not larger than the sample.")
        for part, whole in PARTS.items()
    ),
)
