-- Rows come back where a share, a correlation or a p-value is none, or where an interval is upside down.
{%- set bounds = {
    'flow_null_tests': ['p_value between 0 and 1', 'null_p05_value <= null_p95_value'],
    'market_statistics': ['p_value between 0 and 1', 'ci_low <= ci_high', 'observation_count > 0'],
    'regime_backtest': [
        'positive_share_ratio between 0 and 1',
        'ci_low_ratio <= ci_high_ratio',
        'nonoverlapping_count <= observation_count',
    ],
    'regime_sweep': ['active_days <= known_days'],
    'daily_regime': ['breadth_share_ratio between 0 and 1', 'rank_ratio between 0 and 1', 'score_count between 0 and 4'],
    'daily_market_dispersion': [
        'average_correlation_90d_ratio between -1 and 1',
        'first_component_share_90d_ratio between 0 and 1',
        'at_90d_low_share_ratio between 0 and 1',
    ],
    'daily_quality_spread': ['imbalance_spread_ratio between -2 and 2'],
    'daily_illiquidity_breadth': ['amihud_down_share_ratio between 0 and 1', 'lambda_minus_share_ratio between 0 and 1'],
    'daily_control_flow': ['same_day_r_squared_ratio between 0 and 1', 'next_day_r_squared_ratio between 0 and 1'],
} %}
{% for mart, conditions in bounds.items() -%}
    {% set of_mart = loop -%}
    {% for condition in conditions -%}
        select
            '{{ mart }}' as mart_name,
            '{{ condition }}' as broken
        from {{ ref(mart) }}
        where not ({{ condition }})
        {{ 'union all' if not (loop.last and of_mart.last) }}
    {% endfor %}
{%- endfor %}
