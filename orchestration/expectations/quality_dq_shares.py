"""`quality.dq_shares`: the shares of a whole add up to it."""

from typing import TYPE_CHECKING

from orchestration.expectations.suite import between, holds, table_suite

if TYPE_CHECKING:
    import pyarrow as pa


def prepare(table: "pa.Table") -> "pa.Table":
    from orchestration.expectations import columns

    return columns.with_columns(table, is_deviation_finite=columns.all_finite(table["max_deviation_ratio"]))


SUITE = table_suite(
    "quality_dq_shares",
    "One row per definition_id. The largest distance of the sum of shares from 1; NULL: no day has shares.",
    ("definition_id", "max_deviation_ratio"),
    ("definition_id",),
    holds("is_deviation_finite", ("max_deviation_ratio",), "NaN hides a division by zero.", check="R22"),
    between("max_deviation_ratio", 0, 1e-12, "Shares of one whole sum to 1.", check="R22"),
    prepare=prepare,
)
