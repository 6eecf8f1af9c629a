{{ config(materialized="incremental", meta={"reach_days": 1}) }}
-- depends_on: {{ ref('int_days_changed') }}
with prices as (
    select *
    from {{ ref('int_asset_days_priced') }}
    where
        flow_group in ('ALT', 'BTC', 'ETH')
        {% if is_incremental() %}
            and utc_date >= {{ first_day_changed(1) }}
        {% endif %}
),

bars as (
    select * from {{ ref('stg_spot_flows') }}
    {% if is_incremental() %}
        where utc_date >= {{ first_day_changed(1) }}
    {% endif %}
),

flows as (
    select * from {{ ref('daily_asset_flows') }}
    {% if is_incremental() %}
        where utc_date >= {{ first_day_changed(1) }}
    {% endif %}
),

chosen as (
    select
        prices.base_asset,
        prices.utc_date,
        prices.flow_group,
        prices.era_date,
        prices.exchange,
        prices.symbol,
        prices.return_ratio,
        bars.open_price,
        bars.high_price,
        bars.low_price,
        bars.close_price,
        cast(flows.volume_usd as double) / 1e9 as volume_billions,
        cast(flows.net_taker_usd as double) / 1e9 as net_billions
    from prices
    inner join bars
        on
            prices.exchange = bars.exchange
            and prices.symbol = bars.symbol
            and prices.utc_date = bars.utc_date
    left join flows on prices.base_asset = flows.base_asset and prices.utc_date = flows.utc_date
),

-- The bar before counts where it is of the same pair, the day before and the same era.
lagged as (
    select
        *,
        coalesce(
            lag(utc_date) over in_order = utc_date - 1
            and lag(exchange) over in_order = exchange
            and lag(symbol) over in_order = symbol,
            false
        ) as has_bar_before,
        lag(high_price) over in_order as high_before_price,
        lag(low_price) over in_order as low_before_price,
        lag(close_price) over in_order as close_before_price
    from chosen
    window in_order as (partition by base_asset, era_date order by utc_date)
)

select
    base_asset,
    utc_date,
    flow_group,
    return_ratio,
    volume_billions,
    net_billions,
    open_price,
    high_price,
    low_price,
    close_price,
    has_bar_before,
    case when has_bar_before then high_before_price end as high_before_price,
    case when has_bar_before then low_before_price end as low_before_price,
    case when has_bar_before then close_before_price end as close_before_price
from lagged
{% if is_incremental() %}where utc_date in {{ days_changed(1) }}{% endif %}
