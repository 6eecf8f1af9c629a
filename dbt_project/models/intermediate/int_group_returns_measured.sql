{{ config(materialized="incremental", meta={"reach_days": 91}) }}
-- depends_on: {{ ref('int_days_changed') }}
with today as (
    select * from {{ ref('int_asset_days_priced') }}
    {% if is_incremental() %}where utc_date in {{ days_changed(91) }}{% endif %}
),

earlier as (
    select * from {{ ref('int_asset_days_priced') }}
    where close_price_usd > 0 {% if is_incremental() %}and utc_date >= {{ first_day_changed(90) }}{% endif %}
),

-- Over the assets that have a close on both ends and no break of their price series in between. Equal weights: one
-- coin, one vote. In the order of the names, so that the sum is the same in every run.
measured as (
    select
        today.flow_group,
        today.utc_date,
        median(today.close_price_usd / earlier.close_price_usd - 1) as return_90d_ratio,
        avg(ln(1 + today.return_ratio) order by today.base_asset) filter (where today.return_ratio > -1)
            as mean_log_return_ratio
    from today
    left join earlier
        on
            today.base_asset = earlier.base_asset
            and today.utc_date - 90 = earlier.utc_date
            and today.era_date = earlier.era_date
    group by today.flow_group, today.utc_date
)

select * from measured
