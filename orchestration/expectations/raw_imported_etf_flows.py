"""The rows of one imported file of ETF flows, before they reach `raw.imported_etf_flows`."""

from orchestration.expectations.suite import WARNING, between, raw_suite
from orchestration.records import IMPORTED_ETF_FLOWS

MOST_FLOW, MOST_USUAL_FLOW = 1e12, 5e9

SUITE = raw_suite(
    IMPORTED_ETF_FLOWS,
    None,
    between("net_flow_usd", -MOST_FLOW, MOST_FLOW, "A trillion in a day is another unit."),
    between(
        "net_flow_usd",
        -MOST_USUAL_FLOW,
        MOST_USUAL_FLOW,
        "Five times the largest day so far: another unit, or news.",
        severity=WARNING,
    ),
)
