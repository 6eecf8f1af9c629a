{{ config(materialized="incremental", meta={"reach_days": 90}) }}
-- depends_on: {{ ref('int_days_changed') }}
-- One pass over the windows that several marts look at; each asset with its own price era.
with flows as (
    select * from {{ ref('daily_asset_flows') }}
    {% if is_incremental() %}
        where utc_date >= {{ first_day_changed(90) }}
    {% endif %}
),

prices as (
    select * from {{ ref('int_asset_days_priced') }}
    {% if is_incremental() %}
        where utc_date >= {{ first_day_changed(90) }}
    {% endif %}
),

days as (
    select
        flows.base_asset,
        flows.utc_date,
        flows.asset_class,
        flows.flow_group,
        flows.volume_usd,
        flows.net_taker_usd,
        prices.era_date,
        prices.close_price_usd
    from flows
    inner join prices on flows.base_asset = prices.base_asset and flows.utc_date = prices.utc_date
),

windows as (
    select
        base_asset,
        utc_date,
        asset_class,
        flow_group,
        era_date,
        close_price_usd,
        volume_usd,
        net_taker_usd,
        close_price_usd / nullif(first_value(close_price_usd) over days_90_ago, 0) - 1 as return_90d_ratio,
        sum(volume_usd) over days_30 as volume_30d_usd,
        count(*) over days_30 as observed_30d_days,
        sum(volume_usd) over days_90 as volume_90d_usd,
        sum(net_taker_usd) over days_90 as net_taker_90d_usd,
        count(*) over days_90 as observed_90d_days
    from days
    window
        -- Exactly 90 days earlier, of the same era: a hole there leaves no return.
        days_90_ago as (
            partition by base_asset, era_date
            order by utc_date range between interval 90 days preceding and interval 90 days preceding
        ),
        days_30 as (
            partition by base_asset order by utc_date range between interval 29 days preceding and current row
        ),
        days_90 as (
            partition by base_asset order by utc_date range between interval 89 days preceding and current row
        )
)

-- Of those that an index of seasons may choose from. A name decides between equal volumes.
select
    *,
    case
        when flow_group in ('ALT', 'ETH') and return_90d_ratio is not null
            then row_number() over (
                partition by utc_date, flow_group in ('ALT', 'ETH') and return_90d_ratio is not null
                order by cast(volume_30d_usd as double) / observed_30d_days desc, base_asset asc
            )
    end as volume_rank
from windows
{% if is_incremental() %}where utc_date in {{ days_changed(90) }}{% endif %}
