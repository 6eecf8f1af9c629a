"""`marts.daily_altcoin_flow` before publish: the headline and its definitions, newest days."""

from typing import TYPE_CHECKING

from orchestration.expectations.suite import WARNING, between, holds, one_of, sane_date, table_suite

if TYPE_CHECKING:
    import pyarrow as pa

DEFINITION = ("window_name", "universe", "quotes", "trust")
DAY = ("net_taker_usd", "volume_usd")
WINDOW = ("window_net_taker_usd", "window_volume_usd")
LEAST_COVERAGE = 0.95


def prepare(table: "pa.Table") -> "pa.Table":
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    from orchestration.expectations import columns

    net, volume = (table[name] for name in DAY)
    window_net, window_volume = (table[name] for name in WINDOW)
    cumulative = table["cumulative_net_taker_usd"]
    joined = pc.binary_join_element_wise(*(table[name] for name in DEFINITION), ".")
    imbalance = columns.floats(table["window_imbalance_ratio"])
    share = columns.floats(table["window_taker_buy_ratio"])
    known = ~(np.isnan(imbalance) | np.isnan(share))
    covered = columns.floats(table["window_coverage_ratio"]) >= LEAST_COVERAGE
    complete = pc.fill_null(table["is_window_complete"], False)
    valid = pc.and_(columns.whole(complete), pa.array(covered))
    return columns.with_columns(
        table,
        is_id_made_of_parts=pc.or_(
            pc.equal(table["definition_id"], joined),
            pc.equal(table["definition_id"], pc.binary_join_element_wise(joined, "fixed_panel", ".")),
        ),
        is_window_filled=pc.or_(
            pc.and_(pc.is_valid(window_net), pc.is_valid(window_volume)),
            pc.ends_with(table["definition_id"], ".fixed_panel"),
        ),
        is_net_within_volume=columns.is_size_at_most(net, volume),
        is_window_net_within_volume=columns.is_size_at_most(window_net, window_volume),
        is_imbalance_net_by_volume=columns.is_quotient(table["imbalance_ratio"], net, volume),
        is_window_imbalance_net_by_volume=columns.is_quotient(
            table["window_imbalance_ratio"], window_net, window_volume
        ),
        is_share_half_of_imbalance=pa.array(np.abs(share - (1 + imbalance) / 2) <= 1e-12, mask=~known),
        is_cumulative_window_net=pc.equal(cumulative, window_net),
        is_cumulative_empty_where_invalid=pc.or_(pc.is_null(columns.whole(cumulative)), valid),
    )


SUITE = table_suite(
    "marts_daily_altcoin_flow",
    "One row per definition_id and UTC day. Net taker flow of altcoins, of the day and of the window.",
    (
        *("definition_id", "utc_date", *DEFINITION, *DAY, "imbalance_ratio", *WINDOW, "window_imbalance_ratio"),
        *("window_taker_buy_ratio", "window_coverage_ratio", "is_window_complete", "cumulative_net_taker_usd"),
    ),
    ("definition_id", "utc_date"),
    sane_date("utc_date"),
    one_of(
        "window_name",
        ("rolling_365d", "rolling_90d", "since_2020", "since_2025", "year_to_date"),
        "The windows of the definition matrix.",
    ),
    one_of("universe", ("ex_btc_eth", "ex_btc"), "The universes of the definition matrix."),
    one_of("quotes", ("all", "usd_pegged"), "The quotes of the definition matrix."),
    one_of("trust", ("all", "trusted"), "The tiers of the definition matrix."),
    holds("is_id_made_of_parts", ("definition_id", *DEFINITION), "The id is its four parts joined by dots."),
    holds(
        "is_window_filled",
        WINDOW,
        "Plain sums of a window are always filled; only a fixed panel can be without assets.",
        severity=WARNING,
    ),
    between("volume_usd", 0, None, "Volume is not negative.", check="R4"),
    between("window_volume_usd", 0, None, "Volume is not negative.", check="R4"),
    holds("is_net_within_volume", DAY, "Net flow cannot exceed what was traded.", check="R4"),
    holds("is_window_net_within_volume", WINDOW, "Net flow cannot exceed what was traded.", check="R4"),
    between("imbalance_ratio", -1, 1, "A ratio of net to gross.", check="R4"),
    between("window_imbalance_ratio", -1, 1, "A ratio of net to gross.", check="R4"),
    holds("is_imbalance_net_by_volume", ("imbalance_ratio", *DAY), "imbalance = net / volume."),
    holds("is_window_imbalance_net_by_volume", ("window_imbalance_ratio", *WINDOW), "imbalance = net / volume."),
    between("window_taker_buy_ratio", 0, 1, "A share of the volume.", check="R4"),
    holds(
        "is_share_half_of_imbalance",
        ("window_taker_buy_ratio", "window_imbalance_ratio"),
        "net = 2 buy - volume, so the share that takers bought is (1 + imbalance) / 2.",
    ),
    between("window_coverage_ratio", 0, 1, "Symbol-days observed of those expected.", severity=WARNING, check="R7"),
    holds(
        "is_cumulative_window_net",
        ("cumulative_net_taker_usd", "window_net_taker_usd"),
        "The cumulative figure is the window's sum, to the last decimal.",
        check="R25",
    ),
    holds(
        "is_cumulative_empty_where_invalid",
        ("cumulative_net_taker_usd", "window_coverage_ratio", "is_window_complete"),
        "A window that is incomplete or covered below 0.95 has no cumulative figure.",
    ),
    prepare=prepare,
)
