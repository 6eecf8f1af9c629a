select
    run_id,
    source,
    synthetic,
    first_date,
    last_date,
    code_version,
    started_at
from {{ source('raw', 'runs') }}
