"""`quality.dq_grains`: every mart has one row per key."""

from typing import TYPE_CHECKING

from orchestration.expectations.suite import holds, not_null, table_suite

if TYPE_CHECKING:
    import pyarrow as pa


def prepare(table: "pa.Table") -> "pa.Table":
    import pyarrow.compute as pc

    from orchestration.expectations import columns

    return columns.with_columns(table, is_grain_unique=pc.equal(table["row_count"], table["distinct_count"]))


SUITE = table_suite(
    "quality_dq_grains",
    "One row per mart. Its rows and its distinct keys.",
    ("mart_name", "row_count", "distinct_count"),
    ("mart_name",),
    not_null("row_count", "A mart that was not counted was not checked."),
    not_null("distinct_count", "A mart that was not counted was not checked."),
    holds("is_grain_unique", ("row_count", "distinct_count"), "A key that occurs twice is counted twice in every sum."),
    prepare=prepare,
)
