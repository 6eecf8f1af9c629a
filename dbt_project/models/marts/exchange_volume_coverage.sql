with run as (select * from {{ ref('int_run_selected') }}),

window_days as (
    select
        utc_date,
        min(utc_date) over () as first_date,
        max(utc_date) over () as last_date
    from {{ ref('int_days_listed') }}
    where utc_date > (select run.last_date - 365 from run)
),

volumes as (
    select
        volumes.exchange,
        cast(sum(volumes.reported_volume_usd) as decimal(38, 8)) as reported_volume_usd,
        cast(sum(volumes.volume_usd) as decimal(38, 8)) as covered_volume_usd,
        cast(sum(volumes.net_taker_usd) as decimal(38, 8)) as net_taker_usd,
        count(distinct volumes.utc_date) as reported_days,
        count(distinct volumes.utc_date) filter (where volumes.volume_usd > 0) as covered_days
    from {{ ref('int_exchange_volumes_summed') }} as volumes
    inner join window_days on volumes.utc_date = window_days.utc_date
    group by volumes.exchange
),

reasons as (
    select
        coverage.exchange,
        coverage.reason,
        count(*) as day_count
    from {{ ref('coverage_daily') }} as coverage
    inner join window_days on coverage.utc_date = window_days.utc_date
    where coverage.dataset = 'spot_flows' and coverage.present_count = 0
    group by coverage.exchange, coverage.reason
),

main_reasons as (
    select
        exchange,
        reason
    from reasons
    qualify row_number() over (partition by exchange order by day_count desc, reason asc) = 1
),

-- What altflow knows of and does not follow in this data folder is out of reach, too.
exchanges as (
    select exchange from {{ ref('exchange_trust') }}
    union
    select exchange from {{ ref('coverage_daily') }}
),

followed as (select distinct exchange from {{ ref('coverage_daily') }}),

days as (
    select
        min(first_date) as first_date,
        max(last_date) as last_date,
        count(*) as day_count
    from window_days
)

select
    exchanges.exchange,
    days.first_date,
    days.last_date,
    days.day_count as window_days,
    coalesce(volumes.covered_days, 0) as covered_days,
    coalesce(volumes.reported_days, 0) as reported_days,
    volumes.reported_volume_usd,
    volumes.covered_volume_usd,
    cast(coalesce(volumes.covered_volume_usd, 0) as double) / nullif(cast(volumes.reported_volume_usd as double), 0)
        as covered_volume_ratio,
    volumes.net_taker_usd,
    cast(volumes.net_taker_usd as double) / nullif(cast(volumes.covered_volume_usd as double), 0) as imbalance_ratio,
    coalesce(volumes.covered_days, 0) >= 0.95 * days.day_count as is_covered,
    case
        when coalesce(volumes.covered_days, 0) >= days.day_count then null
        when followed.exchange is null then 'not_followed'
        else main_reasons.reason
    end as reason
from exchanges
cross join days
left join volumes on exchanges.exchange = volumes.exchange
left join followed on exchanges.exchange = followed.exchange
left join main_reasons on exchanges.exchange = main_reasons.exchange
