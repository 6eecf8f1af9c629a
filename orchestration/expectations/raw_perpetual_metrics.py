"""The fetched window of `raw.perpetual_metrics`: days of five-minute rows, summed up."""

from typing import TYPE_CHECKING

from orchestration.expectations.suite import UNSAFE_KEY, UNSAFE_TEXT, between, holds, raw_suite, unlike
from orchestration.records import PERPETUAL_METRICS

if TYPE_CHECKING:
    import pyarrow as pa

RATIOS = (
    "mean_top_account_long_short_ratio",
    "mean_top_position_long_short_ratio",
    "mean_account_long_short_ratio",
    "mean_taker_buy_sell_ratio",
)
MOST_VALUE = 1e13
MOST_ROWS = 289


def prepare(table: "pa.Table") -> "pa.Table":
    import pyarrow as pa
    import pyarrow.compute as pc

    from orchestration.expectations import columns

    midnight = pc.cast(table["utc_date"], pa.timestamp("us"))
    since = pc.cast(pc.subtract(table["last_row_at"], midnight), pa.int64())
    return columns.with_columns(
        table,
        is_row_of_its_day=pc.and_(pc.greater_equal(since, 0), pc.less_equal(since, 86_400_000_000)),
        is_ratio_finite=columns.all_finite(*(table[name] for name in RATIOS)),
    )


SUITE = raw_suite(
    PERPETUAL_METRICS,
    prepare,
    unlike("exchange", UNSAFE_KEY, "Keys of exchanges are lower case words."),
    unlike("symbol", UNSAFE_TEXT, "A symbol ends up in file names, URLs and SQL."),
    between("open_interest_base", 0, None, "No fewer contracts than none are open."),
    between("open_interest_quote", 0, MOST_VALUE, "A value is not negative; above 1e13 it is another field or unit."),
    holds(
        "is_row_of_its_day",
        ("utc_date", "last_row_at"),
        "The last row lies in its day; that of the midnight which ends the day counts as its last.",
    ),
    holds("is_ratio_finite", RATIOS, "NaN and Infinity are no ratios: nothing was divided by nothing."),
    *(between(name, 0, None, "A ratio of two amounts is not negative.") for name in RATIOS),
    between("row_count", 1, MOST_ROWS, "A day without rows is no row; five minutes fit 288 times, both midnights 289."),
)
