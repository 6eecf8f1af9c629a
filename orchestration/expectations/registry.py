"""Every suite by its name. A new checked table is one file in this folder and one line here."""

from orchestration.expectations import (
    marts_daily_altcoin_flow,
    marts_daily_control_flow,
    marts_run_info,
    quality_dq_dates,
    quality_dq_flow_bounds,
    quality_dq_grains,
    quality_dq_rolling_differences,
    quality_dq_shares,
    raw_asset_caps,
    raw_coin_snapshots,
    raw_macro_observations,
    raw_spot_flows,
    raw_spot_symbols,
    raw_spot_trade_sizes,
    raw_stablecoin_chain_supplies,
    raw_stablecoin_supplies,
    raw_stablecoin_totals,
    raw_stablecoins,
    raw_taker_estimates,
)
from orchestration.expectations.suite import Suite

SUITES: dict[str, Suite] = {
    module.SUITE.name: module.SUITE
    for module in (
        raw_spot_flows,
        raw_spot_symbols,
        raw_spot_trade_sizes,
        raw_taker_estimates,
        raw_stablecoins,
        raw_stablecoin_totals,
        raw_stablecoin_supplies,
        raw_stablecoin_chain_supplies,
        raw_asset_caps,
        raw_coin_snapshots,
        raw_macro_observations,
        marts_daily_altcoin_flow,
        marts_daily_control_flow,
        marts_run_info,
        quality_dq_grains,
        quality_dq_rolling_differences,
        quality_dq_flow_bounds,
        quality_dq_dates,
        quality_dq_shares,
    )
}
