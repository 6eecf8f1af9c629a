-- R1 and R2: what was downloaded is what was published, and two sources say the same.
with run as (select * from {{ ref('int_run_selected') }}),

gaps as (
    select gaps.*
    from {{ ref('stg_gaps') }} as gaps
    semi join run on gaps.run_id = run.run_id
),

compared as (select * from {{ ref('int_archive_days_compared') }}),

differences as (select * from {{ ref('dq_archive_differences') }}),

-- A file that is not what its checksum says is fetched twice, then not loaded: its days are a gap of this run.
mismatches as (
    select
        upstream as scope,
        start_date as utc_date,
        count(*) as file_count
    from gaps
    where contains(message, 'checksum says')
    group by upstream, start_date
),

uncited as (
    select
        flows.exchange as scope,
        count(distinct flows.body_sha256) as body_count
    from {{ ref('stg_spot_flows') }} as flows
    anti join {{ ref('stg_source_files') }} as files on flows.body_sha256 = files.body_sha256
    group by flows.exchange
),

exchanges as (select distinct exchange as scope from {{ ref('dq_flow_bounds') }}),

checksums as (
    select
        mismatches.scope,
        coalesce(mismatches.utc_date, run.last_date) as utc_date,
        false as passed,
        mismatches.file_count as value,
        0 as threshold,
        null as impact_usd,
        'files that are not what their checksums say, fetched twice, not loaded; impact: their rows are not known'
            as reason
    from mismatches
    cross join run
    union all
    select
        exchanges.scope,
        run.last_date as utc_date,
        coalesce(uncited.body_count, 0) = 0 as passed,
        coalesce(uncited.body_count, 0) as value,
        0 as threshold,
        case when uncited.body_count is null then 0 end as impact_usd,
        'bodies that rows cite and the archive does not hold' as reason
    from exchanges
    cross join run
    left join uncited on exchanges.scope = uncited.scope
    anti join mismatches on exchanges.scope = mismatches.scope and run.last_date = mismatches.utc_date
),

differing as (
    select
        exchange,
        utc_date,
        count(*) as difference_count,
        sum(impact_usd) as impact_usd
    from differences
    group by exchange, utc_date
),

days as (
    select
        exchange,
        utc_date,
        utc_date = max(utc_date) over (partition by exchange) as is_newest
    from compared
    group by exchange, utc_date
),

sources as (
    select
        days.exchange as scope,
        days.utc_date,
        differing.utc_date is null as passed,
        coalesce(differing.difference_count, 0) as value,
        0 as threshold,
        case when differing.utc_date is null then 0 else differing.impact_usd end as impact_usd,
        'values that the API and the archive tell differently; both are in dq_archive_differences, the API''s is used'
            as reason
    from days
    left join differing on days.exchange = differing.exchange and days.utc_date = differing.utc_date
    where days.is_newest or differing.utc_date is not null
    union all
    select
        exchanges.scope,
        run.last_date as utc_date,
        null as passed,
        null as value,
        0 as threshold,
        null as impact_usd,
        'not measurable: no day was read from two sources' as reason
    from exchanges
    cross join run
    anti join days on exchanges.scope = days.exchange
)

select {{ check_result('R1', "'warning'") }}
from checksums
union all
select {{ check_result('R2', "'warning'") }}
from sources
