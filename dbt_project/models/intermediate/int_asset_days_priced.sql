{{ config(materialized="incremental", meta={"reach_days": 1}) }}
-- depends_on: {{ ref('int_days_changed') }}
-- A day that changes changes the next day's return, for which the day before is needed.
with flows as (
    select * from {{ ref('int_spot_flows_converted') }}
    {% if is_incremental() -%}
        where utc_date in {{ days_changed(1, days_before=1) }}
    {%- endif %}
),

eras as (
    select
        asset,
        utc_date as valid_from,
        lead(utc_date, 1, date '9999-12-31') over (partition by asset order by utc_date) as valid_to
    from {{ ref('asset_renames_and_eras') }}
    where kind in ('redenomination', 'reused_ticker')
),

closes as (
    select
        flows.exchange,
        flows.symbol,
        flows.base_asset,
        flows.flow_group,
        flows.utc_date,
        flows.is_usd_pegged_quote,
        flows.volume_usd,
        flows.close_price * flows.quote_price_usd as close_price_usd,
        coalesce(eras.valid_from, date '1970-01-01') as era_date
    from flows
    left join eras
        on
            flows.base_asset = eras.asset
            and flows.utc_date >= eras.valid_from
            and flows.utc_date < eras.valid_to
),

-- The deepest pair of the day speaks for the asset; dollars before other quotes, whose price is a day's average.
deepest as (
    select *
    from closes
    qualify row_number() over (
        partition by base_asset, utc_date
        order by is_usd_pegged_quote desc, volume_usd desc nulls last, exchange asc, symbol asc
    ) = 1
)

select
    deepest.base_asset,
    deepest.flow_group,
    deepest.utc_date,
    deepest.era_date,
    deepest.exchange,
    deepest.symbol,
    deepest.close_price_usd,
    deepest.close_price_usd / nullif(yesterday.close_price_usd, 0) - 1 as return_ratio
from deepest
left join closes as yesterday
    on
        deepest.exchange = yesterday.exchange
        and deepest.symbol = yesterday.symbol
        and deepest.utc_date - 1 = yesterday.utc_date
        and deepest.era_date = yesterday.era_date
{% if is_incremental() -%}
    where deepest.utc_date in {{ days_changed(1) }}
{% endif -%}
