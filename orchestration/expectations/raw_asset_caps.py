"""The fetched window of `raw.asset_caps`: market capitalisations as reported."""

from typing import TYPE_CHECKING

from orchestration.expectations.suite import UNSAFE_KEY, UNSAFE_TEXT, WARNING, between, holds, raw_suite, unlike
from orchestration.records import ASSET_CAPS

if TYPE_CHECKING:
    import pyarrow as pa

LEAST_CAP = 1e8


def prepare(table: "pa.Table") -> "pa.Table":
    from orchestration.expectations import columns

    change = columns.change_since_day_before(table, ["upstream", "asset"], "utc_date", "cap_usd", LEAST_CAP)
    return columns.with_columns(table, is_price_finite=columns.all_finite(table["price_usd"]), change_ratio=change)


SUITE = raw_suite(
    ASSET_CAPS,
    prepare,
    unlike("upstream", UNSAFE_KEY, "Keys of upstreams are lower case words."),
    unlike("asset", UNSAFE_TEXT, "An asset ends up in URLs and SQL."),
    between("cap_usd", 0, 1e14, "A cap is above 0: NULL is what is not reported; 1e14 is another unit.", above=True),
    holds("is_price_finite", ("price_usd",), "NaN and Infinity are not prices."),
    between("price_usd", 0, 1e12, "A price is above 0; above 1e12 it is another field or unit.", above=True),
    between(
        "change_ratio",
        -0.9,
        9.0,
        "Ten times or a tenth within a day: the supply was counted anew, or it is news.",
        severity=WARNING,
        check="R21",
        shows=("cap_usd", "price_usd", "change_ratio"),
    ),
)
