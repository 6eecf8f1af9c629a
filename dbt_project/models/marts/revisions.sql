{{ config(materialized="view") }}

-- A view: publishing writes it out.
select
    table_name,
    row_key,
    column_name,
    old_value,
    new_value,
    changed_at,
    body_sha256,
    impact_usd
from {{ ref('int_revisions_listed') }}
