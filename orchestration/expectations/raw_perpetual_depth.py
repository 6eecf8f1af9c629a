"""The fetched window of `raw.perpetual_depth`: medians of what rests near the price."""

from typing import TYPE_CHECKING

from orchestration.expectations.suite import UNSAFE_KEY, UNSAFE_TEXT, WARNING, between, holds, raw_suite, unlike
from orchestration.records import PERPETUAL_DEPTH

if TYPE_CHECKING:
    import pyarrow as pa

SIDES = ("bid", "ask")
BANDS = tuple(f"{side}_within_{percent}_percent_quote" for percent in (1, 2, 5) for side in SIDES)
MOST_VALUE = 1e13


def prepare(table: "pa.Table") -> "pa.Table":
    import pyarrow.compute as pc

    from orchestration.expectations import columns

    def grows(side: str, inner: int, outer: int) -> "pa.ChunkedArray":
        return pc.less_equal(
            table[f"{side}_within_{inner}_percent_quote"], table[f"{side}_within_{outer}_percent_quote"]
        )

    return columns.with_columns(
        table,
        **{
            f"is_{side}_{outer}_percent_wider": grows(side, inner, outer)
            for side in SIDES
            for inner, outer in ((1, 2), (2, 5))
        },
    )


SUITE = raw_suite(
    PERPETUAL_DEPTH,
    prepare,
    unlike("exchange", UNSAFE_KEY, "Keys of exchanges are lower case words."),
    unlike("symbol", UNSAFE_TEXT, "A symbol ends up in file names, URLs and SQL."),
    *(
        between(name, 0, MOST_VALUE, "An amount is not negative; above 1e13 it is another field or unit.")
        for name in BANDS
    ),
    *(
        holds(
            f"is_{side}_{outer}_percent_wider",
            (f"{side}_within_{inner}_percent_quote", f"{side}_within_{outer}_percent_quote"),
            "Within a wider band rests what rests within the narrower one; less: they were told at other moments.",
            severity=WARNING,
        )
        for side in SIDES
        for inner, outer in ((1, 2), (2, 5))
    ),
    between("snapshot_count", 1, None, "A day without a look at the book is no row."),
)
