"""The fetched window of `raw.funding_rates`: what longs paid to shorts, some times a day."""

from typing import TYPE_CHECKING

from orchestration.expectations.suite import UNSAFE_KEY, UNSAFE_TEXT, between, holds, raw_suite, unlike
from orchestration.records import FUNDING_RATES

if TYPE_CHECKING:
    import pyarrow as pa

MOST_RATIO = 0.1


def prepare(table: "pa.Table") -> "pa.Table":
    import pyarrow as pa
    import pyarrow.compute as pc

    from orchestration.expectations import columns

    paid_on = pc.cast(pc.floor_temporal(table["funded_at"], unit="day"), pa.date32())
    return columns.with_columns(
        table,
        is_day_of_moment=pc.equal(paid_on, table["utc_date"]),
        is_price_finite=columns.all_finite(table["mark_price"]),
    )


SUITE = raw_suite(
    FUNDING_RATES,
    prepare,
    unlike("exchange", UNSAFE_KEY, "Keys of exchanges are lower case words."),
    unlike("symbol", UNSAFE_TEXT, "A symbol ends up in file names, URLs and SQL."),
    holds("is_day_of_moment", ("utc_date", "funded_at"), "The day is that of the moment, else windows lose rows."),
    between(
        "funding_ratio",
        -MOST_RATIO,
        MOST_RATIO,
        "No payment is a tenth of a position: that is a percentage or another unit.",
    ),
    holds("is_price_finite", ("mark_price",), "NaN and Infinity are not prices."),
    between("mark_price", 0, None, "A price is above 0.", above=True),
)
