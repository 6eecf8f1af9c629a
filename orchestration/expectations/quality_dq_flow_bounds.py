"""`quality.dq_flow_bounds`: how many rows of an exchange break 0 ≤ taker buy ≤ volume."""

from typing import TYPE_CHECKING

from orchestration.expectations.suite import between, holds, not_null, table_suite

if TYPE_CHECKING:
    import pyarrow as pa

ROWS_PER_VIOLATION = 10_000


def prepare(table: "pa.Table") -> "pa.Table":
    import pyarrow.compute as pc

    from orchestration.expectations import columns

    violations = pc.multiply(table["violation_count"], ROWS_PER_VIOLATION)
    return columns.with_columns(table, is_rate_within_limit=pc.less_equal(violations, table["row_count"]))


SUITE = table_suite(
    "quality_dq_flow_bounds",
    "One row per exchange. Its symbol-days and those that cannot have happened.",
    ("exchange", "row_count", "violation_count"),
    ("exchange",),
    not_null("row_count", "What was not counted was not checked.", check="R4"),
    not_null("violation_count", "What was not counted was not checked.", check="R4"),
    between("row_count", 1, None, "An exchange without rows proves nothing.", check="R4"),
    between("violation_count", 0, None, "A count is not negative.", check="R4"),
    holds(
        "is_rate_within_limit",
        ("row_count", "violation_count"),
        "More than 0.01 % of impossible rows: not single errors but a wrong field.",
        check="R4",
    ),
    prepare=prepare,
)
