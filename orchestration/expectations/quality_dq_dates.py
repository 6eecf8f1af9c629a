"""`quality.dq_dates`: no mart has a row outside the days that the run covers."""

from orchestration.expectations.suite import between, not_null, table_suite

SUITE = table_suite(
    "quality_dq_dates",
    "One row per table. Its rows and those dated outside the days of the run.",
    ("table_name", "row_count", "outside_count"),
    ("table_name",),
    not_null("outside_count", "What was not counted was not checked.", check="R5"),
    between(
        "outside_count", 0, 0, "A row dated after the last closed day is a wrong unit or a partial bar.", check="R5"
    ),
)
