{#- Check → why a run cannot say it, and who can. -#}
{%- set checks = {
    'R3': 'not measurable: no hourly bars are stored; tests/test_quality.py sums those that were recorded',
    'R8': 'not measurable: no upstream reports a total of its closed days',
    'R26': 'not measurable in one run: proven by tests/test_metamorphic.py and tests/test_chaos.py',
} -%}
-- What a run cannot judge is said, not left out.
with run as (select * from {{ ref('int_run_selected') }}),

reasons as (
    {% for check_id, reason in checks.items() -%}
        select
            '{{ check_id }}' as check_id,
            '{{ reason }}' as reason
        {{ 'union all' if not loop.last }}
    {% endfor -%}
)

select
    reasons.check_id,
    'all exchanges' as scope,
    run.last_date as utc_date,
    cast(null as boolean) as passed,
    cast(null as double) as value,
    cast(null as double) as threshold,
    'report' as severity,
    cast(null as decimal(38, 8)) as impact_usd,
    reasons.reason
from reasons
cross join run
