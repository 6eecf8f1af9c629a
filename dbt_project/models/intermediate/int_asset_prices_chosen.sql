with closes as (
    select
        base_asset as asset,
        utc_date,
        close_price_usd as price_usd,
        'close' as price_kind,
        era_date
    from {{ ref('int_asset_days_priced') }}
    where close_price_usd > 0
),

caps as (select * from {{ ref('int_asset_caps_named') }}),

eras as (
    select
        asset,
        utc_date
    from {{ ref('asset_renames_and_eras') }}
    where kind in ('redenomination', 'reused_ticker')
),

reported as (
    select
        caps.asset,
        caps.utc_date,
        caps.price_usd,
        'reported' as price_kind,
        coalesce(eras.utc_date, date '1970-01-01') as era_date
    from caps
    asof left join eras
        on
            caps.asset = eras.asset
            and caps.utc_date >= eras.utc_date
    where caps.price_usd > 0
)

select * from closes
union all
select reported.*
from reported
left join closes
    on
        reported.asset = closes.asset
        and reported.utc_date = closes.utc_date
where closes.asset is null
