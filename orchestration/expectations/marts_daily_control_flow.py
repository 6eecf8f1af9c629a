"""`marts.daily_control_flow` before publish: the headline's control group."""

from typing import TYPE_CHECKING

from orchestration.expectations.suite import between, holds, one_of, sane_date, table_suite

if TYPE_CHECKING:
    import pyarrow as pa

DAY = ("net_taker_usd", "volume_usd")
ROLLING = ("rolling_365d_net_taker_usd", "rolling_365d_volume_usd")


def prepare(table: "pa.Table") -> "pa.Table":
    from orchestration.expectations import columns

    net, volume = (table[name] for name in DAY)
    return columns.with_columns(
        table,
        is_net_within_volume=columns.is_size_at_most(net, volume),
        is_rolling_net_within_volume=columns.is_size_at_most(*(table[name] for name in ROLLING)),
        is_imbalance_net_by_volume=columns.is_quotient(table["imbalance_ratio"], net, volume),
    )


SUITE = table_suite(
    "marts_daily_control_flow",
    "One row per flow_group, quotes and UTC day. Flow of altcoins beside that of BTC, ETH and stablecoins.",
    ("flow_group", "quotes", "utc_date", *DAY, "imbalance_ratio", *ROLLING),
    ("flow_group", "quotes", "utc_date"),
    sane_date("utc_date"),
    one_of("flow_group", ("ALT", "BTC", "ETH", "STABLE"), "The groups that are compared."),
    one_of("quotes", ("all", "usd_pegged"), "The quotes of the definition matrix."),
    between("volume_usd", 0, None, "Volume is not negative.", check="R4"),
    between("rolling_365d_volume_usd", 0, None, "Volume is not negative.", check="R4"),
    holds("is_net_within_volume", DAY, "Net flow cannot exceed what was traded.", check="R4"),
    holds("is_rolling_net_within_volume", ROLLING, "Net flow cannot exceed what was traded.", check="R4"),
    between("imbalance_ratio", -1, 1, "A ratio of net to gross.", check="R4"),
    holds("is_imbalance_net_by_volume", ("imbalance_ratio", *DAY), "imbalance = net / volume."),
    prepare=prepare,
)
