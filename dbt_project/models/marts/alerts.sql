select
    alert_id,
    kind,
    subject,
    severity,
    utc_date,
    message,
    run_id,
    begun_at,
    resolved_at,
    delivery,
    sent_at,
    attempt_count
from {{ source('raw', 'alerts') }}
