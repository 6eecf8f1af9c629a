{{ config(materialized="incremental", meta={"reach_days": "onward"}) }}
-- depends_on: {{ ref('int_days_changed') }}
with prices as (
    select
        base_asset,
        era_date,
        utc_date,
        close_price_usd as close_price
    from {{ ref('int_asset_days_priced') }}
    where flow_group = 'ALT' {% if is_incremental() %}and utc_date >= {{ first_day_changed() }}{% endif %}
),

-- The peaks of the days before those that are built.
earlier as (
    {% if is_incremental() -%}
        select
            base_asset,
            era_date,
            max(running_peak_price) as peak_price
        from {{ this }}
        where utc_date < {{ first_day_changed() }}
        group by base_asset, era_date
    {%- else -%}
        select
            null as base_asset,
            null as era_date,
            null as peak_price
        where false
    {%- endif %}
)

select
    prices.base_asset,
    prices.era_date,
    prices.utc_date,
    prices.close_price,
    greatest(
        max(prices.close_price) over (
            partition by prices.base_asset, prices.era_date order by prices.utc_date rows unbounded preceding
        ),
        earlier.peak_price
    ) as running_peak_price
from prices
left join earlier on prices.base_asset = earlier.base_asset and prices.era_date = earlier.era_date
where prices.close_price > 0
