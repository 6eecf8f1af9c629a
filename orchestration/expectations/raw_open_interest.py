"""The fetched window of `raw.open_interest`: contracts open at the ends of days."""

from orchestration.expectations.suite import UNSAFE_KEY, UNSAFE_TEXT, between, raw_suite, unlike
from orchestration.records import OPEN_INTEREST

MOST_VALUE = 1e13

SUITE = raw_suite(
    OPEN_INTEREST,
    None,
    unlike("exchange", UNSAFE_KEY, "Keys of exchanges are lower case words."),
    unlike("symbol", UNSAFE_TEXT, "A symbol ends up in file names, URLs and SQL."),
    between("open_interest_base", 0, None, "No fewer contracts than none are open."),
    between("open_interest_quote", 0, MOST_VALUE, "A value is not negative; above 1e13 it is another field or unit."),
)
