select
    run_id,
    published_at,
    definition_id,
    utc_date,
    value
from {{ ref('stg_published_headlines') }}
