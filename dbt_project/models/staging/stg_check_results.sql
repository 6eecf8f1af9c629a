select
    check_id,
    scope,
    utc_date,
    passed,
    value,
    threshold,
    severity,
    impact_usd,
    reason
from {{ source('raw', 'check_results') }}
