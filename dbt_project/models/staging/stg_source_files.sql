select
    body_sha256,
    upstream,
    dataset,
    url,
    status,
    fetched_at,
    byte_count
from {{ source('raw', 'source_files') }}
