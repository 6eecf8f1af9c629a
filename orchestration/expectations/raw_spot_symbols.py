"""The fetched `raw.spot_symbols`: a listing that can be joined and split."""

from typing import TYPE_CHECKING

from orchestration.expectations.suite import UNSAFE_KEY, UNSAFE_TEXT, holds, raw_suite, row_count, unlike
from orchestration.records import SPOT_SYMBOLS

if TYPE_CHECKING:
    import pyarrow as pa


def prepare(table: "pa.Table") -> "pa.Table":
    import pyarrow.compute as pc

    from orchestration.expectations import columns

    base, quote = table["base_asset"], table["quote_asset"]
    upper = pc.and_(pc.equal(base, pc.utf8_upper(base)), pc.equal(quote, pc.utf8_upper(quote)))
    return columns.with_columns(
        table,
        is_pair_of_two=pc.not_equal(base, quote),
        is_upper_case=upper,
        is_listed_where_trading=pc.or_(pc.invert(table["is_trading"]), table["is_listed"]),
    )


SUITE = raw_suite(
    SPOT_SYMBOLS,
    prepare,
    row_count("An exchange that lists nothing has not answered.", least=1),
    unlike("exchange", UNSAFE_KEY, "Keys of exchanges are lower case words."),
    unlike("symbol", UNSAFE_TEXT, "A symbol ends up in file names, URLs and SQL."),
    unlike("base_asset", UNSAFE_TEXT, "An asset ends up in file names, URLs and SQL."),
    unlike("quote_asset", UNSAFE_TEXT, "An asset ends up in file names, URLs and SQL."),
    unlike("status", UNSAFE_TEXT, "A status is one word."),
    holds("is_pair_of_two", ("base_asset", "quote_asset"), "An asset is not traded against itself."),
    holds("is_upper_case", ("base_asset", "quote_asset"), "Assets are joined in upper case."),
    holds("is_listed_where_trading", ("is_trading", "is_listed"), "What the listing does not name does not trade."),
)
