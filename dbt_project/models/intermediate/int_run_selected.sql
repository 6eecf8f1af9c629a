select
    runs.run_id,
    runs.source,
    runs.synthetic,
    runs.first_date,
    runs.last_date,
    runs.code_version,
    runs.started_at
from {{ ref('stg_runs') }} as runs
order by runs.started_at desc, runs.run_id desc
limit 1
