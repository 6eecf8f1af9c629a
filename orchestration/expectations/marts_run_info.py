"""`marts.run_info` before publish: what the snapshot says about itself."""

from typing import TYPE_CHECKING

from orchestration.expectations.suite import (
    UNSAFE_TEXT,
    holds,
    not_null,
    one_of,
    row_count,
    sane_date,
    table_suite,
    unlike,
)

if TYPE_CHECKING:
    import pyarrow as pa


def prepare(table: "pa.Table") -> "pa.Table":
    import pyarrow.compute as pc

    from orchestration.expectations import columns

    return columns.with_columns(
        table,
        is_synthetic_where_sandbox=pc.equal(pc.equal(table["source"], "sandbox"), table["synthetic"]),
        is_first_before_last=pc.less_equal(table["first_date"], table["last_date"]),
    )


SUITE = table_suite(
    "marts_run_info",
    "Exactly one row. The run that the snapshot was made by.",
    ("run_id", "source", "synthetic", "first_date", "last_date", "code_version"),
    ("run_id",),
    row_count("A snapshot is made by one run.", most=1),
    unlike("run_id", UNSAFE_TEXT, "The run id names folders."),
    not_null("source", "A snapshot says where its data is from."),
    one_of("source", ("sandbox", "recorded", "live"), "The three kinds of source."),
    not_null("synthetic", "Synthetic data says so."),
    holds("is_synthetic_where_sandbox", ("source", "synthetic"), "Data of the sandbox is synthetic, no other is."),
    not_null("first_date", "A snapshot says which days it covers."),
    not_null("last_date", "A snapshot says which days it covers."),
    sane_date("first_date"),
    sane_date("last_date"),
    holds("is_first_before_last", ("first_date", "last_date"), "The first day is not after the last."),
    not_null("code_version", "A snapshot says what code made it."),
    prepare=prepare,
)
