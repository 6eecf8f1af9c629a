-- A row whose symbol is in no listing, or whose asset has no class, would be lost on the way.
with stored as (
    select count(*) as row_count from {{ ref('stg_spot_flows') }}
),

published as (
    select count(*) as row_count from {{ ref('daily_symbol_flows') }}
)

select
    stored.row_count as stored_count,
    published.row_count as published_count
from stored
cross join published
where stored.row_count != published.row_count
