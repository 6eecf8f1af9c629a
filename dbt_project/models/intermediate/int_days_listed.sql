with run as (select * from {{ ref('int_run_selected') }})

select cast(unnest(generate_series(run.first_date, run.last_date, interval 1 day)) as date) as utc_date
from run
