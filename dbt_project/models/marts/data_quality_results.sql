{{ config(materialized="view") }}

-- A view: what is judged after dbt is in it when it is published.
select
    check_id,
    scope,
    utc_date,
    passed,
    value,
    threshold,
    severity,
    impact_usd,
    reason
from {{ ref('int_checks_judged') }}
union all
select
    check_id,
    scope,
    utc_date,
    passed,
    value,
    threshold,
    severity,
    impact_usd,
    reason
from {{ ref('stg_check_results') }}
