-- Nobody has said what these assets are: they count as altcoins until somebody does.
with classes as (
    select * from {{ ref('int_assets_classified') }}
    where named_by = 'default'
),

days as (select * from {{ ref('daily_asset_flows') }}),

run as (select * from {{ ref('int_run_selected') }}),

unnamed as (
    select
        days.base_asset,
        days.utc_date,
        days.volume_usd,
        days.close_price_usd,
        days.exchange_count,
        row_number() over (partition by days.base_asset order by days.utc_date desc) as days_back
    from days
    inner join classes
        on
            days.base_asset = classes.asset
            and days.utc_date >= classes.valid_from
            and days.utc_date < classes.valid_to
)

select
    unnamed.base_asset,
    min(unnamed.utc_date) as first_date,
    max(unnamed.utc_date) as last_date,
    count(*) as traded_days,
    cast(any_value(run.last_date) - min(unnamed.utc_date) as bigint) as known_days,
    max(unnamed.exchange_count) as exchange_count,
    sum(unnamed.volume_usd) as volume_usd,
    -- Three per cent: dollars off their peg for a day are still found, on the first day too.
    coalesce(
        bool_and(unnamed.close_price_usd between 0.97 and 1.03) filter (where unnamed.days_back <= 30), false
    ) as is_near_dollar
from unnamed
cross join run
group by unnamed.base_asset
