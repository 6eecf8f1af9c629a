-- R7, R9 and R27: what is missing has a reason, what has flows is listed, what is newest is new.
with run as (select * from {{ ref('int_run_selected') }}),

days as (
    select * from {{ ref('coverage_daily') }}
    where dataset = 'spot_flows'
),

volumes as (
    select
        exchange,
        utc_date,
        sum(volume_usd) / nullif(sum(symbol_count), 0) as mean_volume_usd
    from {{ ref('int_flow_days_summed') }}
    where flow_group = 'ALT'
    group by exchange, utc_date
),

-- All days of an exchange together, judged on the newest.
totals as (
    select
        exchange,
        max(utc_date) as utc_date,
        sum(unknown_count) as unknown_count,
        sum(expected_count) as expected_count
    from days
    group by exchange
),

unexplained as (
    select
        exchange as scope,
        utc_date,
        unknown_count <= 0.001 * expected_count as passed,
        cast(unknown_count as double) / nullif(expected_count, 0) as value,
        0.001 as threshold,
        case when unknown_count = 0 then 0 end as impact_usd,
        'expected symbol-days, of all days, that are missing without a reason' as reason
    from totals
    where expected_count > 0
    union all
    -- What such symbols trade on a mean day bounds what their takers can have bought or sold.
    select
        days.exchange || ' days' as scope,
        days.utc_date,
        false as passed,
        cast(days.unknown_count as double) / days.expected_count as value,
        0.001 as threshold,
        days.unknown_count * volumes.mean_volume_usd as impact_usd,
        'symbols of the day that are missing without a reason; impact: at most, their number by the mean volume of the'
        || ' day''s altcoins' as reason
    from days
    left join volumes on days.exchange = volumes.exchange and days.utc_date = volumes.utc_date
    where days.unknown_count > 0.001 * days.expected_count
),

-- Millions of rows become some thousand symbols first.
traded as (
    select distinct
        exchange,
        symbol
    from {{ ref('stg_spot_flows') }}
),

unlisted as (
    select
        flows.exchange,
        count(*) as symbol_count
    from traded as flows
    anti join {{ ref('stg_spot_symbols') }} as symbols
        on flows.exchange = symbols.exchange and flows.symbol = symbols.symbol
    group by flows.exchange
),

listed as (
    select
        bounds.exchange as scope,
        run.last_date as utc_date,
        unlisted.exchange is null as passed,
        coalesce(unlisted.symbol_count, 0) as value,
        0 as threshold,
        case when unlisted.exchange is null then 0 end as impact_usd,
        'symbols with stored flows that neither a listing nor the archive''s listing names' as reason
    from {{ ref('dq_flow_bounds') }} as bounds
    cross join run
    left join unlisted on bounds.exchange = unlisted.exchange
),

-- Files that are not due yet are not late.
ages as (
    select
        exchange,
        max(utc_date) as last_date,
        max(utc_date) filter (where present_count > 0) as newest_date,
        max(utc_date) filter (where coalesce(reason, '') != 'not_published_yet') as due_date
    from days
    group by exchange
),

aged as (
    select
        exchange as scope,
        last_date as utc_date,
        greatest(coalesce(due_date, last_date) - newest_date, 0) as value,
        null as impact_usd,
        'days from the newest flow to the last day that is due; up to 2 is fresh, above 3 failing; impact: days that'
        || ' are not there are not known' as reason
    from ages
),

fresh as (
    select
        *,
        case when value > 3 then 3 else 2 end as threshold,
        case when value is not null then value <= 2 else false end as passed
    from aged
)

select {{ check_result('R7', "'warning'") }}
from unexplained
union all
select {{ check_result('R9', "'warning'") }}
from listed
union all
select {{ check_result('R27', "'warning'") }}
from fresh
