-- Written when all incremental models are: what was begun and not ended is built once more by the next run.
{% for model in [
    'int_symbol_days_expected', 'int_quote_prices_derived', 'int_spot_flows_converted', 'int_asset_days_priced',
    'int_asset_volumes_summed', 'int_flow_days_summed', 'int_market_days_summed', 'int_panel_days_summed',
    'int_symbol_days_missing', 'daily_asset_flows', 'int_days_changed',
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
