-- By era of the price and, to compare with readers who ignore breaks, by ticker.
with closes as (
    select * from {{ ref('int_drawdown_days_measured') }}
    where utc_date <= date '2021-12-31'
)

select
    base_asset,
    era_date,
    max(close_price) as era_2021_peak_price,
    bool_or(utc_date = date '2021-12-31') as is_era_in_basket,
    max(max(close_price)) over (partition by base_asset) as ticker_2021_peak_price,
    bool_or(bool_or(utc_date = date '2021-12-31')) over (partition by base_asset) as is_ticker_in_basket
from closes
group by base_asset, era_date
