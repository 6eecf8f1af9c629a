{%- set groups = [
    'dq_bars', 'dq_bodies', 'dq_caps', 'dq_coverage', 'dq_elsewhere', 'dq_exchanges', 'dq_polarity', 'dq_promotions',
    'dq_replays', 'dq_revisions', 'dq_stablecoins', 'dq_sums', 'dq_trust', 'dq_trust_screens',
] -%}
{% for group in groups -%}
    select * from {{ ref(group) }}
    {{ 'union all by name' if not loop.last }}
{% endfor -%}
