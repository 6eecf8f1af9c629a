with supplies as (select * from {{ ref('int_stablecoin_supplies_converted') }}),

totals as (select * from {{ ref('int_stablecoin_totals_summed') }}),

changed_supplies as (
    select
        stablecoin_id,
        symbol,
        utc_date,
        peg_type,
        circulating_usd,
        is_usd_flagged,
        -- Frames of one day: the value exactly so many days before, NULL where that day is missing.
        circulating_usd - max(circulating_usd) over days_7 as net_7d_change_usd,
        circulating_usd - max(circulating_usd) over days_30 as net_30d_change_usd,
        circulating_usd - max(circulating_usd) over days_90 as net_90d_change_usd,
        sum(circulating_usd) over (partition by utc_date) as covered_usd
    from supplies
    window
        days_7 as (
            partition by stablecoin_id order by utc_date
            range between interval 7 days preceding and interval 7 days preceding
        ),
        days_30 as (
            partition by stablecoin_id order by utc_date
            range between interval 30 days preceding and interval 30 days preceding
        ),
        days_90 as (
            partition by stablecoin_id order by utc_date
            range between interval 90 days preceding and interval 90 days preceding
        )
),

changed_totals as (
    select
        utc_date,
        total_circulating_usd,
        total_circulating_usd - max(total_circulating_usd) over days_7 as total_net_7d_change_usd,
        total_circulating_usd - max(total_circulating_usd) over days_30 as total_net_30d_change_usd,
        total_circulating_usd - max(total_circulating_usd) over days_90 as total_net_90d_change_usd
    from totals
    window
        days_7 as (order by utc_date range between interval 7 days preceding and interval 7 days preceding),
        days_30 as (order by utc_date range between interval 30 days preceding and interval 30 days preceding),
        days_90 as (order by utc_date range between interval 90 days preceding and interval 90 days preceding)
)

select
    changed_supplies.stablecoin_id,
    changed_supplies.symbol,
    changed_supplies.utc_date,
    changed_supplies.peg_type,
    changed_supplies.circulating_usd,
    cast(changed_supplies.net_7d_change_usd as decimal(38, 8)) as net_7d_change_usd,
    cast(changed_supplies.net_30d_change_usd as decimal(38, 8)) as net_30d_change_usd,
    cast(changed_supplies.net_90d_change_usd as decimal(38, 8)) as net_90d_change_usd,
    cast(changed_supplies.circulating_usd as double)
    / nullif(cast(changed_totals.total_circulating_usd as double), 0) as share_ratio,
    changed_totals.total_circulating_usd,
    cast(changed_totals.total_net_7d_change_usd as decimal(38, 8)) as total_net_7d_change_usd,
    cast(changed_totals.total_net_30d_change_usd as decimal(38, 8)) as total_net_30d_change_usd,
    cast(changed_totals.total_net_90d_change_usd as decimal(38, 8)) as total_net_90d_change_usd,
    cast(changed_supplies.covered_usd as double)
    / nullif(cast(changed_totals.total_circulating_usd as double), 0) as covered_share_ratio,
    changed_supplies.is_usd_flagged
from changed_supplies
left join changed_totals on changed_supplies.utc_date = changed_totals.utc_date
