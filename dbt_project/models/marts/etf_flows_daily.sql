-- A file may reach beyond the days of the run.
with flows as (
    select flows.*
    from {{ ref('stg_imported_etf_flows') }} as flows
    inner join {{ ref('int_run_selected') }} as run on flows.utc_date <= run.last_date
),

bitcoin as (
    select
        utc_date,
        volume_usd
    from {{ ref('daily_asset_flows') }}
    where base_asset = 'BTC'
)

select
    flows.utc_date,
    cast(flows.net_flow_usd as decimal(38, 8)) as net_flow_usd,
    cast(sum(flows.net_flow_usd) over since_first as decimal(38, 8)) as cumulative_net_flow_usd,
    cast(sum(flows.net_flow_usd) over days_30 as decimal(38, 8)) as rolling_30d_net_flow_usd,
    count(flows.net_flow_usd) over days_30 as rolling_30d_trading_count,
    bitcoin.volume_usd as btc_spot_volume_usd,
    cast(flows.net_flow_usd as double) / nullif(cast(bitcoin.volume_usd as double), 0) as flow_spot_volume_ratio,
    flows.body_sha256
from flows
left join bitcoin on flows.utc_date = bitcoin.utc_date
window
    since_first as (order by flows.utc_date rows unbounded preceding),
    days_30 as (order by flows.utc_date range between interval 29 days preceding and current row)
