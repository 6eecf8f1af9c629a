with locked as (
    select
        utc_date,
        tvl_usd
    from {{ ref('stg_chain_tvl') }}
    where chain = 'all'
),

swapped as (
    select
        utc_date,
        volume_usd
    from {{ ref('stg_dex_volumes') }}
    where chain = 'all'
),

traded as (
    select
        utc_date,
        sum(volume_usd) as volume_usd,
        count(distinct exchange) as exchange_count
    from {{ ref('int_flow_days_summed') }}
    where volume_usd is not null
    group by utc_date
),

days as (
    select utc_date from locked
    union
    select utc_date from swapped
),

joined as (
    select
        days.utc_date,
        swapped.volume_usd as dex_volume_usd,
        traded.volume_usd as cex_volume_usd,
        traded.exchange_count,
        locked.tvl_usd
    from days
    left join swapped on days.utc_date = swapped.utc_date
    left join locked on days.utc_date = locked.utc_date
    left join traded on days.utc_date = traded.utc_date
)

select
    utc_date,
    cast(dex_volume_usd as decimal(38, 8)) as dex_volume_usd,
    cast(cex_volume_usd as decimal(38, 8)) as cex_volume_usd,
    cast(dex_volume_usd as double) / nullif(cast(cex_volume_usd as double), 0) as dex_cex_volume_ratio,
    coalesce(exchange_count, 0) as exchange_count,
    cast(tvl_usd as decimal(38, 8)) as tvl_usd,
    cast(tvl_usd as double) / nullif(cast(max(tvl_usd) over day_30 as double), 0) - 1 as tvl_30d_change_ratio,
    cast(dex_volume_usd as double) / nullif(cast(tvl_usd as double), 0) as dex_volume_tvl_ratio,
    case
        when count(dex_volume_usd) over days_30_before >= 15
            then dex_volume_usd > 5 * median(cast(dex_volume_usd as double)) over days_30_before
    end as is_dex_volume_flagged
from joined
window
    day_30 as (order by utc_date range between interval 30 days preceding and interval 30 days preceding),
    days_30_before as (order by utc_date range between interval 30 days preceding and interval 1 day preceding)
