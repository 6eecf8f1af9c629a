-- R5, R22 and R25: what blocks, as the suites judge it before publishing.
with run as (select * from {{ ref('int_run_selected') }}),

dates as (
    select
        dates.table_name as scope,
        run.last_date as utc_date,
        dates.outside_count = 0 as passed,
        dates.outside_count as value,
        0 as threshold,
        case when dates.outside_count = 0 then 0 end as impact_usd,
        'of ' || dates.row_count || ' rows those dated outside of the run' as reason
    from {{ ref('dq_dates') }} as dates
    cross join run
),

shares as (
    select
        shares.definition_id as scope,
        coalesce(shares.worst_date, run.last_date) as utc_date,
        shares.max_deviation_ratio <= 1e-12 as passed,
        shares.max_deviation_ratio as value,
        1e-12 as threshold,
        case when shares.max_deviation_ratio <= 1e-12 then 0 end as impact_usd,
        case
            when shares.max_deviation_ratio is null then 'not measurable: no day has shares'
            else 'largest distance of a day''s shares from 1'
        end as reason
    from {{ ref('dq_shares') }} as shares
    cross join run
),

windows as (
    select
        windows.definition_id as scope,
        run.last_date as utc_date,
        windows.violation_count = 0 as passed,
        windows.violation_count as value,
        0 as threshold,
        case when windows.violation_count = 0 then 0 end as impact_usd,
        'of ' || windows.checked_count || ' days those whose window did not move by the days that enter and leave'
            as reason
    from {{ ref('dq_rolling_differences') }} as windows
    cross join run
)

select {{ check_result('R5', "'block'") }}
from dates
union all
select {{ check_result('R22', "'block'") }}
from shares
union all
select {{ check_result('R25', "'block'") }}
from windows
