select
    body_sha256,
    upstream,
    dataset,
    url,
    status,
    fetched_at,
    byte_count,
    -- Of trades reduced where they were read: the files, as JSON.
    json_extract_string(context, '$.files') as files_json
from {{ source('raw', 'source_files') }}
