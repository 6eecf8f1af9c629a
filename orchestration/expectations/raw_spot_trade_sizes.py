"""The fetched window of `raw.spot_trade_sizes`: trades by their size."""

from typing import TYPE_CHECKING

from orchestration.expectations.suite import UNSAFE_KEY, UNSAFE_TEXT, between, holds, raw_suite, unlike
from orchestration.records import SPOT_TRADE_SIZES

if TYPE_CHECKING:
    import pyarrow as pa

BUCKETS = ("below_1k", "from_1k", "from_10k", "from_100k")


def prepare(table: "pa.Table") -> "pa.Table":
    from orchestration.expectations import columns

    flags = {
        f"is_{name}_within_volume": columns.is_at_most(table[f"{name}_taker_buy_quote"], table[f"{name}_volume_quote"])
        for name in BUCKETS
    }
    return columns.with_columns(table, **flags)


SUITE = raw_suite(
    SPOT_TRADE_SIZES,
    prepare,
    unlike("exchange", UNSAFE_KEY, "Keys of exchanges are lower case words."),
    unlike("symbol", UNSAFE_TEXT, "A symbol ends up in file names, URLs and SQL."),
    *(between(f"{name}_count", 0, None, "A count is not negative.") for name in BUCKETS),
    *(between(f"{name}_taker_buy_quote", 0, None, "Takers cannot buy less than nothing.") for name in BUCKETS),
    *(
        holds(
            f"is_{name}_within_volume",
            (f"{name}_taker_buy_quote", f"{name}_volume_quote"),
            "Takers cannot buy more than was traded.",
        )
        for name in BUCKETS
    ),
)
