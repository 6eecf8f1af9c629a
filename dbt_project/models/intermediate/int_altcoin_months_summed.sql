with stretch as (
    select
        min(utc_date) as first_date,
        max(utc_date) as last_date
    from {{ ref('int_group_days_covered') }}
),

flows as (select * from {{ ref('daily_asset_flows') }}),

-- Whole months of 30 days only, counted back from the last covered day; 0 is the newest.
days as (
    select
        flows.base_asset,
        flows.flow_group,
        flows.net_taker_usd,
        flows.volume_usd,
        flows.utc_date,
        -- A decimal, whose sum does not depend on the order.
        cast(ln(1 + flows.return_ratio) as decimal(38, 16)) as log_return_ratio,
        (stretch.last_date - flows.utc_date) // 30 as month_number
    from flows
    cross join stretch
    where
        flows.utc_date between stretch.first_date and stretch.last_date
        and (stretch.last_date - flows.utc_date) // 30 < (stretch.last_date - stretch.first_date + 1) // 30
        and (flows.flow_group = 'ALT' or flows.base_asset = 'BTC')
),

months as (
    select
        base_asset,
        flow_group,
        month_number,
        sum(net_taker_usd) as net_taker_usd,
        sum(volume_usd) as volume_usd,
        cast(sum(log_return_ratio) as double) as log_return_ratio,
        count(log_return_ratio) as return_days
    from days
    group by base_asset, flow_group, month_number
),

altcoins as (
    select
        month_number,
        sum(volume_usd) as altcoin_volume_usd
    from months
    where flow_group = 'ALT'
    group by month_number
)

-- 29 of 30 days are the coverage of 0.95 that windows need everywhere; the day on which an era begins has no return.
select
    months.base_asset,
    months.month_number,
    months.net_taker_usd,
    months.volume_usd,
    altcoins.altcoin_volume_usd,
    months.log_return_ratio - bitcoin.log_return_ratio as excess_log_return_ratio
from months
inner join altcoins on months.month_number = altcoins.month_number
inner join months as bitcoin on months.month_number = bitcoin.month_number and bitcoin.base_asset = 'BTC'
where months.flow_group = 'ALT' and months.return_days >= 29 and bitcoin.return_days >= 29
