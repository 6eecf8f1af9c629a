select
    run_id,
    published_at,
    definition_id,
    utc_date,
    value
from {{ source('raw', 'published_headlines') }}
