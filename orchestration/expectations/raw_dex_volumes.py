"""The fetched window of `raw.dex_volumes`: what decentralised exchanges traded, per chain."""

from orchestration.expectations.raw_chain_tvl import UNSAFE_NAME
from orchestration.expectations.suite import WARNING, between, raw_suite, unlike
from orchestration.records import DEX_VOLUMES

MOST_VOLUME, MOST_USUAL_VOLUME = 1e13, 2e11

SUITE = raw_suite(
    DEX_VOLUMES,
    None,
    unlike("chain", UNSAFE_NAME, "The name is put into a URL."),
    between("volume_usd", 0, MOST_VOLUME, "A volume is not negative; above 1e13 dollars it is another unit."),
    between(
        "volume_usd",
        None,
        MOST_USUAL_VOLUME,
        "Far above every day so far: one protocol reports a wrong price, or it is news.",
        severity=WARNING,
    ),
)
