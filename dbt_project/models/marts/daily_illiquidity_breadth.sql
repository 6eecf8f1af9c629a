{{ config(materialized="incremental", meta={"reach_days": 180}) }}
-- depends_on: {{ ref('int_days_changed') }}
with assets as (
    select * from {{ ref('daily_asset_illiquidity') }}
    {% if is_incremental() %}where utc_date in {{ days_changed(180) }}{% endif %}
),

bitcoin as (
    select *
    from assets
    where flow_group = 'BTC'
),

altcoins as (
    select
        utc_date,
        median(amihud_ratio) as median_amihud_ratio,
        median(amihud_up_ratio) as median_amihud_up_ratio,
        median(amihud_down_ratio) as median_amihud_down_ratio,
        count(*) filter (where amihud_down_ratio > amihud_up_ratio) / nullif(count(amihud_ratio), 0)
            as amihud_down_share_ratio,
        count(amihud_ratio) as amihud_count,
        median(kyle_lambda_plus_ratio) as median_lambda_plus_ratio,
        median(kyle_lambda_minus_ratio) as median_lambda_minus_ratio,
        count(*) filter (where kyle_lambda_minus_ratio > kyle_lambda_plus_ratio)
        / nullif(count(kyle_lambda_minus_ratio), 0) as lambda_minus_share_ratio,
        count(kyle_lambda_minus_ratio) as lambda_count,
        count(*) filter (where kyle_lambda_minus_ratio > 2 * kyle_lambda_minus_error_ratio)
        / nullif(count(kyle_lambda_minus_error_ratio), 0) as significant_lambda_minus_share_ratio
    from assets
    where flow_group = 'ALT'
    group by utc_date
)

select
    altcoins.utc_date,
    altcoins.median_amihud_ratio,
    altcoins.median_amihud_up_ratio,
    altcoins.median_amihud_down_ratio,
    altcoins.amihud_down_share_ratio,
    altcoins.amihud_count,
    altcoins.median_lambda_plus_ratio,
    altcoins.median_lambda_minus_ratio,
    altcoins.lambda_minus_share_ratio,
    altcoins.significant_lambda_minus_share_ratio,
    altcoins.lambda_count,
    bitcoin.amihud_ratio as btc_amihud_ratio,
    bitcoin.kyle_lambda_plus_ratio as btc_lambda_plus_ratio,
    bitcoin.kyle_lambda_minus_ratio as btc_lambda_minus_ratio
from altcoins
left join bitcoin on altcoins.utc_date = bitcoin.utc_date
