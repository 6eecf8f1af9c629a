with files as (select * from {{ ref('stg_source_files') }})

-- The same bytes can arrive more than once: what counts is where and when they were first seen.
select
    body_sha256,
    upstream,
    url,
    status,
    fetched_at,
    byte_count
from files
qualify row_number() over (partition by body_sha256 order by fetched_at, url) = 1
