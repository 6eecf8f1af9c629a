-- Written when all incremental models are: what was begun and not ended is built once more by the next run.
{% for model in [
    'int_symbol_days_expected', 'int_quote_prices_derived', 'int_spot_flows_converted', 'int_asset_days_priced',
    'int_asset_volumes_summed', 'int_flow_days_summed', 'int_market_days_summed', 'int_panel_days_summed',
    'int_symbol_days_missing', 'daily_asset_flows', 'int_altcoin_days_windowed', 'int_asset_windows_measured',
    'int_asset_bars_chosen', 'int_illiquidity_estimated', 'int_recycling_signs_drawn', 'daily_asset_illiquidity',
    'daily_liquidity_concentration', 'daily_quote_rotation', 'int_altcoin_days_summed', 'int_group_returns_measured',
    'int_drawdown_days_measured', 'int_comovement_measured', 'daily_selective_recovery', 'daily_illiquidity_breadth',
    'daily_meme_rotation', 'int_symbol_quarters_measured', 'int_exchange_days_compared', 'int_bar_breaks_found',
    'int_days_changed',
] -%}
-- depends_on: {{ ref(model) }}
{% endfor -%}
select
    days.utc_date,
    days.flows_fingerprint,
    days.symbols_fingerprint,
    run.run_id
from {{ ref('int_days_fingerprinted') }} as days
cross join {{ ref('int_run_selected') }} as run
