-- R11 and R12: prices and volumes of an exchange go with those of the others.
with days as (select * from {{ ref('int_exchange_days_compared') }}),

run as (select * from {{ ref('int_run_selected') }}),

newest as (
    select
        *,
        utc_date = max(utc_date) over (partition by exchange) as is_newest
    from days
),

parity as (
    select
        exchange as scope,
        utc_date,
        median_deviation_ratio <= 0.005 as passed,
        median_deviation_ratio as value,
        0.005 as threshold,
        null as impact_usd,
        common_asset_count || ' assets that traded elsewhere, too: median distance of the close from the median of all'
        || ' exchanges; impact: net flow is not made of closes' as reason
    from newest
    where is_newest or median_deviation_ratio > 0.005
    union all
    select
        bounds.exchange as scope,
        run.last_date as utc_date,
        null as passed,
        null as value,
        0.005 as threshold,
        null as impact_usd,
        'not measurable: nothing of it traded elsewhere' as reason
    from {{ ref('dq_flow_bounds') }} as bounds
    cross join run
    anti join days on bounds.exchange = days.exchange
),

measured as (
    select
        days.exchange,
        max(days.utc_date) as utc_date,
        count(*) as day_count,
        corr(
            ln(cast(days.volume_usd as double)), ln(cast(days.others_volume_usd as double)) order by days.utc_date
        ) as volume_correlation
    from days
    cross join run
    where days.utc_date > run.last_date - 90 and days.volume_usd > 0 and days.others_volume_usd > 0
    group by days.exchange
),

correlated as (
    select
        bounds.exchange as scope,
        coalesce(measured.utc_date, run.last_date) as utc_date,
        case when measured.day_count >= 30 then measured.volume_correlation >= 0.5 end as passed,
        case when measured.day_count >= 30 then measured.volume_correlation end as value,
        0.5 as threshold,
        null as impact_usd,
        case
            when measured.day_count >= 30 and measured.volume_correlation is not null
                then
                    'correlation of log volume with that of the other exchanges, same assets, over '
                    || measured.day_count || ' of the last 90 days; impact: a correlation is no amount'
            else 'not measurable: fewer than 30 of the last 90 days can be compared with another exchange'
        end as reason
    from {{ ref('dq_flow_bounds') }} as bounds
    cross join run
    left join measured on bounds.exchange = measured.exchange
)

select {{ check_result('R11', "'warning'") }}
from parity
union all
select {{ check_result('R12', "'warning'") }}
from correlated
