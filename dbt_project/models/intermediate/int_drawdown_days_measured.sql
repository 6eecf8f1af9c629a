-- What the highest close was, by era of the price and, to compare with readers who ignore breaks, by ticker.
with prices as (
    select
        base_asset,
        era_date,
        utc_date,
        close_price_usd as close_price
    from {{ ref('int_asset_days_priced') }}
    where flow_group = 'ALT' and close_price_usd > 0
),

-- Summed by group and joined: windows over whole eras would sort every row three times.
eras as (
    select
        base_asset,
        era_date,
        max(close_price) as era_2021_peak_price,
        bool_or(utc_date = date '2021-12-31') as is_era_in_basket
    from prices
    where utc_date <= date '2021-12-31'
    group by base_asset, era_date
),

tickers as (
    select
        base_asset,
        max(era_2021_peak_price) as ticker_2021_peak_price,
        bool_or(is_era_in_basket) as is_ticker_in_basket
    from eras
    group by base_asset
)

select
    prices.base_asset,
    prices.era_date,
    prices.utc_date,
    prices.close_price,
    max(prices.close_price) over (
        partition by prices.base_asset, prices.era_date order by prices.utc_date rows unbounded preceding
    ) as running_peak_price,
    eras.era_2021_peak_price,
    tickers.ticker_2021_peak_price,
    coalesce(eras.is_era_in_basket, false) as is_era_in_basket,
    coalesce(tickers.is_ticker_in_basket, false) as is_ticker_in_basket
from prices
left join eras on prices.base_asset = eras.base_asset and prices.era_date = eras.era_date
left join tickers on prices.base_asset = tickers.base_asset
