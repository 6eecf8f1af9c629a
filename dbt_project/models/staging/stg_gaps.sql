select
    run_id,
    upstream,
    dataset,
    scope,
    start_date,
    end_date,
    reason,
    message,
    noticed_at
from {{ source('raw', 'gaps') }}
