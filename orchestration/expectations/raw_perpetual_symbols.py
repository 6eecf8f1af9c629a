"""The fetched `raw.perpetual_symbols`: a listing of contracts that can be joined and split."""

from orchestration.expectations.raw_spot_symbols import prepare
from orchestration.expectations.suite import BLANK, UNSAFE_KEY, UNSAFE_TEXT, holds, raw_suite, row_count, unlike
from orchestration.records import PERPETUAL_SYMBOLS

SUITE = raw_suite(
    PERPETUAL_SYMBOLS,
    prepare,
    row_count("An exchange that lists no contract has not answered.", least=1),
    unlike("exchange", UNSAFE_KEY, "Keys of exchanges are lower case words."),
    unlike("symbol", UNSAFE_TEXT, "A symbol ends up in file names, URLs and SQL."),
    unlike("base_asset", UNSAFE_TEXT, "An asset ends up in file names, URLs and SQL."),
    unlike("quote_asset", UNSAFE_TEXT, "An asset ends up in file names, URLs and SQL."),
    unlike("status", UNSAFE_TEXT, "A status is one word."),
    unlike("contract_type", BLANK, "A contract type that is not told is NULL, never blank."),
    holds("is_pair_of_two", ("base_asset", "quote_asset"), "An asset is not traded against itself."),
    holds("is_upper_case", ("base_asset", "quote_asset"), "Assets are joined in upper case."),
    holds("is_listed_where_trading", ("is_trading", "is_listed"), "What the listing does not name does not trade."),
)
