"""The fetched window of `raw.perpetual_flows`: bars of contracts obey what bars of spot obey."""

from orchestration.expectations.raw_spot_flows import RULES, prepare
from orchestration.expectations.suite import raw_suite
from orchestration.records import PERPETUAL_FLOWS

SUITE = raw_suite(PERPETUAL_FLOWS, prepare, *RULES)
