select
    series_id,
    utc_date,
    upstream,
    value,
    body_sha256,
    load_id
from {{ source('raw', 'macro_observations') }}
union all
select
    series_id,
    utc_date,
    upstream,
    value,
    body_sha256,
    load_id
from {{ source('raw', 'macro_observations_history') }}
