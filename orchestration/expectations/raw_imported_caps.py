"""The rows of one imported file of market capitalisations, before they reach `raw.imported_caps`."""

from orchestration.expectations.raw_chain_tvl import UNSAFE_NAME
from orchestration.expectations.suite import between, raw_suite, unlike
from orchestration.records import IMPORTED_CAPS

MOST_CAP = 1e14

SUITE = raw_suite(
    IMPORTED_CAPS,
    None,
    unlike("asset", UNSAFE_NAME, "What a file calls a coin ends up in queries; spaces do occur."),
    between("cap_usd", 0, MOST_CAP, "A coin that is worth nothing has no line; 1e14 is another unit.", above=True),
    between("coin_count", 1, None, "A row comes from a line."),
)
