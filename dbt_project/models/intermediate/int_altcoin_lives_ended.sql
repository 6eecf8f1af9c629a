-- How each price series of an altcoin ended, by what the exchanges list and the seed of renames and eras.
with prices as (
    select * from {{ ref('int_asset_days_priced') }}
    where flow_group = 'ALT' and close_price_usd is not null
),

spans as (select * from {{ ref('int_symbols_spanned') }}),

events as (select * from {{ ref('asset_renames_and_eras') }}),

run as (select * from {{ ref('int_run_selected') }}),

series as (
    select
        base_asset,
        era_date,
        min(utc_date) as first_date,
        max(utc_date) as last_date,
        lead(era_date) over (partition by base_asset order by era_date) as next_era_date
    from prices
    group by base_asset, era_date
),

listings as (
    select
        base_asset,
        max(expected_to_date) as expected_to_date,
        min_by(is_left_censored, first_bar_date) as is_left_censored
    from spans
    group by base_asset
),

renames as (
    select
        asset,
        min(utc_date) as utc_date
    from events
    where kind = 'rename'
    group by asset
)

select
    series.base_asset,
    series.era_date,
    series.first_date,
    series.last_date,
    listings.is_left_censored and series.era_date = min(series.era_date) over (partition by series.base_asset)
        as is_left_censored,
    case
        -- Another coin has the ticker now: for who held this one it is gone from here.
        when series.next_era_date is not null and eras.kind = 'reused_ticker' then 'delisted'
        when series.next_era_date is not null then 'redenominated'
        when listings.expected_to_date >= run.last_date and series.last_date = run.last_date then 'trading'
        when listings.expected_to_date >= run.last_date then 'not_observed'
        -- The days of renames are approximate; the old ticker stops some weeks before or after.
        when renames.utc_date between series.last_date - 60 and series.last_date + 60 then 'renamed'
        else 'delisted'
    end as life_status
from series
cross join run
left join listings on series.base_asset = listings.base_asset
left join events as eras on series.base_asset = eras.asset and series.next_era_date = eras.utc_date
left join renames on series.base_asset = renames.asset
