select
    upstream,
    dataset,
    scope,
    start_date,
    end_date,
    answered_at
from {{ source('raw', 'asked') }}
