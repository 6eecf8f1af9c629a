{%- set built = built_before('int_days_built') -%}
{%- set before = built_before('int_days_changed') -%}
with days as (select * from {{ ref('int_days_fingerprinted') }}),

run as (select * from {{ ref('int_run_selected') }}),

changed as (
    {% if built -%}
        select coalesce(days.utc_date, built.utc_date) as utc_date
        from days
        full join {{ built }} as built on days.utc_date = built.utc_date
        where
            days.flows_fingerprint is distinct from built.flows_fingerprint
            or days.symbols_fingerprint is distinct from built.symbols_fingerprint
    {%- else -%}
        select utc_date from days
    {%- endif %}
    {% if built and before -%}
        -- A build that did not come to its end has replaced some of its days already.
        union
        select utc_date
        from {{ before }}
        where run_id not in (select built.run_id from {{ built }} as built)
    {%- endif %}
)

select
    changed.utc_date,
    run.run_id
from changed
cross join run
