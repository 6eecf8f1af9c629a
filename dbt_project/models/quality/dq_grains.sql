{%- set grains = {
    'alerts': ['alert_id'],
    'asset_drawdowns': ['definition_id', 'base_asset', 'era_date'],
    'asset_survival': ['base_asset', 'era_date'],
    'claims': ['claim_id'],
    'coverage_daily': ['exchange', 'dataset', 'utc_date'],
    'data_quality_results': ['check_id', 'scope', 'utc_date'],
    'daily_altcoin_flow': ['definition_id', 'utc_date'],
    'daily_altseason': ['definition_id', 'utc_date'],
    'daily_asset_flows': ['base_asset', 'utc_date'],
    'daily_asset_illiquidity': ['base_asset', 'utc_date'],
    'daily_chain_fragmentation': ['measure', 'utc_date'],
    'daily_control_flow': ['flow_group', 'quotes', 'utc_date'],
    'daily_dex_liquidity': ['utc_date'],
    'daily_dominance': ['definition_id', 'utc_date'],
    'daily_drawdown_breadth': ['definition_id', 'utc_date'],
    'daily_liquidity_concentration': ['universe', 'utc_date'],
    'daily_meme_rotation': ['utc_date'],
    'daily_quote_rotation': ['quote_class', 'utc_date'],
    'daily_retail_proxy': ['asset_group', 'utc_date'],
    'daily_selective_recovery': ['base_asset', 'utc_date'],
    'daily_illiquidity_breadth': ['utc_date'],
    'daily_market_dispersion': ['utc_date'],
    'daily_quality_spread': ['utc_date'],
    'daily_regime': ['definition_id', 'utc_date'],
    'daily_macro': ['series_id', 'utc_date', 'revision_count'],
    'daily_order_book_depth': ['exchange', 'symbol', 'depth_kind', 'utc_date', 'snapshot_at'],
    'daily_spot_vs_perpetual': ['asset_group', 'utc_date'],
    'daily_stablecoin_chain_supply': ['chain', 'utc_date'],
    'daily_stablecoin_ratio': ['utc_date'],
    'daily_stablecoin_supply': ['stablecoin_id', 'utc_date'],
    'daily_symbol_flows': ['exchange', 'symbol', 'utc_date'],
    'daily_taker_estimates': ['exchange', 'base_asset', 'utc_date'],
    'external_readings_compared': ['reading_id'],
    'flow_episodes': ['flow_group', 'detector_id', 'episode_number'],
    'flow_null_tests': ['statistic', 'definition_id', 'null_hypothesis', 'block_days'],
    'market_statistics': ['statistic', 'scope'],
    'exchange_volume_coverage': ['exchange'],
    'etf_flows_daily': ['utc_date'],
    'macro_correlations': ['flow_group', 'series_id', 'lag_days'],
    'phase_performance': ['phase', 'flow_group'],
    'published_headlines': ['run_id', 'definition_id', 'utc_date'],
    'regime_backtest': ['regime', 'bucket', 'horizon_days'],
    'regime_sweep': ['definition_id'],
    'revisions': ['table_name', 'row_key', 'column_name', 'changed_at'],
    'run_info': ['run_id'],
    'source_files': ['body_sha256', 'url'],
    'source_spans': ['dataset', 'upstream', 'series', 'span_number'],
    'survival_curves': ['cohort', 'age_days'],
    'trust_tiers': ['scope', 'quarter_date'],
    'trace_routes': ['table_name', 'route_number', 'column_name'],
} -%}
{% for mart, grain in grains.items() -%}
    select
        '{{ mart }}' as mart_name,
        cast(coalesce(sum(row_count), 0) as bigint) as row_count,
        count(*) as distinct_count
    from (
        select
            {{ grain | join(', ') }},
            count(*) as row_count
        from {{ ref(mart) }}
        group by {{ grain | join(', ') }}
    )
    {{ 'union all' if not loop.last }}
{% endfor %}
