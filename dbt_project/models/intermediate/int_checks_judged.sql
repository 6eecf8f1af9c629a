{%- set groups = [
    'dq_bars', 'dq_bodies', 'dq_caps', 'dq_coverage', 'dq_elsewhere', 'dq_exchanges', 'dq_polarity', 'dq_promotions',
    'dq_replays', 'dq_revisions', 'dq_stablecoins', 'dq_sums',
] -%}
{% for group in groups -%}
    select * from {{ ref(group) }}
    union all by name
{% endfor -%}
-- R10 is there already, by quarters of the calendar.
select * from {{ ref('dq_trust_screens') }}
where check_id <> 'R10'
