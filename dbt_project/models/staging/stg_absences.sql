select
    upstream,
    dataset,
    scope,
    start_date,
    end_date,
    reason,
    noticed_at
from {{ source('raw', 'absences') }}
