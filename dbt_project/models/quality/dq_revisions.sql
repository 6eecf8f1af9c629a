-- R23: what upstreams changed after they had said it, and what that moved.
with revisions as (select * from {{ ref('int_revisions_listed') }}),

run as (select * from {{ ref('int_run_selected') }}),

seen as (
    select
        revisions.table_name as scope,
        cast(revisions.changed_at as date) as utc_date,
        count(distinct revisions.row_key) as row_count,
        count(distinct revisions.utc_date) as day_count,
        max(abs(revisions.impact_usd)) as largest_usd,
        case
            when revisions.table_name = 'spot_flows'
                then coalesce(
                    sum(revisions.impact_usd) filter (
                        where
                        revisions.flow_group = 'ALT'
                        and revisions.utc_date between run.last_date - 364 and run.last_date
                    ),
                    0
                )
        end as impact_usd
    from revisions
    cross join run
    group by revisions.table_name, cast(revisions.changed_at as date)
),

told as (
    select
        scope,
        utc_date,
        true as passed,
        row_count as value,
        null as threshold,
        impact_usd,
        'rows that changed or went, of ' || day_count || ' days'
        || coalesce(', the largest by ' || largest_usd || ' USD', '')
        || case
            when scope = 'spot_flows' then '; impact: on the headline, whose 365 days end with the run'
            else '; impact: only flows are in the headline'
        end as reason
    from seen
    union all
    select
        'all tables' as scope,
        run.last_date as utc_date,
        true as passed,
        0 as value,
        null as threshold,
        0 as impact_usd,
        'no stored row has changed' as reason
    from run
    where not exists (select 1 from seen)
)

select {{ check_result('R23', "'report'") }}
from told
