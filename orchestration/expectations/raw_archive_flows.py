"""The fetched files of `raw.archive_flows`: the archive's bars obey what the API's bars obey."""

from orchestration.expectations.raw_spot_flows import RULES, prepare
from orchestration.expectations.suite import one_of, raw_suite
from orchestration.records import ARCHIVE_FLOWS

SUITE = raw_suite(
    ARCHIVE_FLOWS,
    prepare,
    *RULES,
    one_of("file_grain", ("monthly", "daily"), "A row is compared once for each kind of file that has it."),
)
