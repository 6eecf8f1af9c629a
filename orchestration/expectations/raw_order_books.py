"""The fetched window of `raw.order_books`: what rests near the price when the run looks."""

from typing import TYPE_CHECKING

from orchestration.expectations.suite import UNSAFE_KEY, UNSAFE_TEXT, between, holds, raw_suite, unlike
from orchestration.records import ORDER_BOOKS

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

    wider = {
        f"is_{side}_{outer}_percent_wider": grows(side, inner, outer)
        for side in SIDES
        for inner, outer in ((1, 2), (2, 5))
    }
    same_day = pc.equal(pc.cast(table["snapshot_at"], "date32", safe=False), table["utc_date"])
    return columns.with_columns(table, is_of_its_day=same_day, **wider)


SUITE = raw_suite(
    ORDER_BOOKS,
    prepare,
    unlike("exchange", UNSAFE_KEY, "Keys of exchanges are lower case words."),
    unlike("symbol", UNSAFE_TEXT, "A symbol ends up in file names, URLs and SQL."),
    holds("is_of_its_day", ("snapshot_at", "utc_date"), "The day is that of the moment."),
    between("mid_price", 0, None, "A price is positive.", above=True),
    *(
        between(name, 0, MOST_VALUE, "An amount is not negative; above 1e13 it is another field or unit.")
        for name in BANDS
    ),
    *(
        holds(
            f"is_{side}_{outer}_percent_wider",
            (f"{side}_within_{inner}_percent_quote", f"{side}_within_{outer}_percent_quote"),
            "Within a wider band rests what rests within the narrower one: they are of one moment.",
        )
        for side in SIDES
        for inner, outer in ((1, 2), (2, 5))
    ),
    *(between(f"{side}_level_count", 1, None, "A book has two sides.") for side in SIDES),
)
