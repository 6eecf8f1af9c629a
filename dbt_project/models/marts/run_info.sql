with run as (select * from {{ ref('int_run_selected') }})

select
    run_id,
    source,
    synthetic,
    first_date,
    last_date,
    code_version,
    cast(null as timestamp) as published_at
from run
