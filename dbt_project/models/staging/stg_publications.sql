select
    run_id,
    published_at,
    definition_id,
    value_count,
    value_sum_usd
from {{ source('raw', 'publications') }}
