{{ config(materialized="incremental", meta={"reach_days": 395}) }}
-- depends_on: {{ ref('int_days_changed') }}
with flows as (
    select * from {{ ref('daily_asset_flows') }}
    {% if is_incremental() %}
        where utc_date >= {{ first_day_changed(394) }}
    {% endif %}
),

prices as (
    select * from {{ ref('int_asset_days_priced') }}
    {% if is_incremental() %}
        where utc_date >= {{ first_day_changed(394) }}
    {% endif %}
),

altcoins as (
    select
        flows.base_asset,
        flows.utc_date,
        flows.net_taker_usd,
        flows.volume_usd,
        flows.taker_sell_usd,
        flows.return_ratio,
        flows.close_price_usd,
        prices.era_date
    from flows
    inner join prices on flows.base_asset = prices.base_asset and flows.utc_date = prices.utc_date
    where flows.flow_group = 'ALT'
),

-- Frames count calendar days: a missing day adds nothing and never lets an older one in.
recent as (
    select
        *,
        lag(utc_date, 1) over in_order as row_before_date,
        lag(utc_date, 2) over in_order as second_row_before_date,
        lag(volume_usd, 1) over in_order as row_before_volume_usd,
        lag(net_taker_usd, 1) over in_order as row_before_net_taker_usd,
        lag(net_taker_usd, 2) over in_order as second_row_before_net_taker_usd,
        sum(volume_usd) over month_before as volume_30d_before_usd,
        count(*) over month_before as month_before_count,
        sum(net_taker_usd) over month_so_far as net_taker_30d_usd,
        sum(volume_usd) over month_so_far as volume_30d_usd,
        count(*) over month_so_far as month_count,
        min(close_price_usd) over quarter_so_far as lowest_close_90d_price,
        count(close_price_usd) over quarter_so_far as quarter_count
    from altcoins
    {% if is_incremental() %}where utc_date >= {{ first_day_changed(89) }}{% endif %}
    window
        in_order as (partition by base_asset order by utc_date),
        month_before as (
            partition by base_asset
            order by utc_date range between interval 30 days preceding and interval 1 day preceding
        ),
        month_so_far as (
            partition by base_asset
            order by utc_date range between interval 29 days preceding and current row
        ),
        quarter_so_far as (
            partition by base_asset, era_date
            order by utc_date range between interval 89 days preceding and current row
        )
),

years as (
    select
        base_asset,
        utc_date,
        sum(net_taker_usd) over year_before_month as net_taker_lagged_365d_usd,
        sum(volume_usd) over year_before_month as volume_lagged_365d_usd,
        count(*) over year_before_month as year_count
    from altcoins
    window
        year_before_month as (
            partition by base_asset
            order by utc_date range between interval 394 days preceding and interval 30 days preceding
        )
)

select
    recent.base_asset,
    recent.utc_date,
    recent.net_taker_usd,
    recent.volume_usd,
    recent.taker_sell_usd,
    recent.return_ratio,
    case when recent.row_before_date = recent.utc_date - 1 then recent.row_before_volume_usd end as previous_volume_usd,
    recent.net_taker_usd
    + case when recent.row_before_date >= recent.utc_date - 2 then recent.row_before_net_taker_usd else 0 end
    + case
        when recent.second_row_before_date = recent.utc_date - 2 then recent.second_row_before_net_taker_usd else 0
    end as net_taker_3d_usd,
    case when recent.month_before_count >= 20 then recent.volume_30d_before_usd end as volume_30d_before_usd,
    case
        when recent.month_count >= 20
            then cast(recent.net_taker_30d_usd as double) / nullif(cast(recent.volume_30d_usd as double), 0)
    end as imbalance_30d_ratio,
    case
        when years.year_count >= 180
            then
                cast(years.net_taker_lagged_365d_usd as double)
                / nullif(cast(years.volume_lagged_365d_usd as double), 0)
    end as lagged_365d_imbalance_ratio,
    case when recent.quarter_count >= 60 then recent.close_price_usd <= recent.lowest_close_90d_price end
        as is_at_90d_low
from recent
inner join years on recent.base_asset = years.base_asset and recent.utc_date = years.utc_date
{% if is_incremental() %}where recent.utc_date in {{ days_changed(395) }}{% endif %}
