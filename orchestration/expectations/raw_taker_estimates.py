"""The fetched days of `raw.taker_estimates`: what an exchange says of days whose trades are not there yet."""

from orchestration.expectations.suite import UNSAFE_KEY, UNSAFE_TEXT, between, raw_suite, unlike
from orchestration.records import TAKER_ESTIMATES

SUITE = raw_suite(
    TAKER_ESTIMATES,
    None,
    unlike("exchange", UNSAFE_KEY, "Keys of exchanges are lower case words."),
    unlike("asset", UNSAFE_TEXT, "An asset ends up in file names, URLs and SQL."),
    between("taker_buy_base", 0, None, "Takers cannot buy less than nothing."),
    between("taker_sell_base", 0, None, "Takers cannot sell less than nothing."),
)
