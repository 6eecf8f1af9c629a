-- One pass over the closes: what the highest one was, by era of the price and, to compare with readers who ignore
-- breaks, by ticker.
with prices as (
    select * from {{ ref('int_asset_days_priced') }}
    where flow_group = 'ALT' and close_price_usd > 0
),

peaked as (
    select
        base_asset,
        era_date,
        utc_date,
        close_price_usd as close_price,
        max(close_price_usd) over era_so_far as running_peak_price,
        max(close_price_usd) filter (where utc_date <= date '2021-12-31') over era as era_2021_peak_price,
        max(close_price_usd) filter (where utc_date <= date '2021-12-31') over ticker as ticker_2021_peak_price,
        count(*) filter (where utc_date = date '2021-12-31') over era > 0 as is_era_in_basket,
        count(*) filter (where utc_date = date '2021-12-31') over ticker > 0 as is_ticker_in_basket
    from prices
    window
        era_so_far as (partition by base_asset, era_date order by utc_date rows unbounded preceding),
        era as (partition by base_asset, era_date),
        ticker as (partition by base_asset)
)

select * from peaked
