{{ config(materialized="incremental") }}
-- depends_on: {{ ref('int_days_changed') }}
with spans as (select * from {{ ref('int_symbols_spanned') }}),

classes as (select * from {{ ref('int_assets_classified') }}),

trust as (
    select
        exchange,
        tier,
        valid_from,
        lead(valid_from, 1, date '9999-12-31') over (partition by exchange order by valid_from) as valid_to
    from {{ ref('exchange_trust') }}
),

expected as (
    select
        exchange,
        symbol,
        base_asset,
        quote_asset,
        cast(unnest(generate_series(
            {%- if is_incremental() %}
                greatest(
                    expected_from_date, {{ first_day_changed() }}
                ),
                least(expected_to_date, (select max(changed.utc_date) from {{ ref('int_days_changed') }} as changed)),
            {%- else %}
                expected_from_date, expected_to_date,
            {%- endif %}
            interval 1 day
        )) as date) as utc_date
    from spans
)

select
    expected.exchange,
    expected.symbol,
    expected.utc_date,
    expected.base_asset,
    expected.quote_asset,
    bases.asset_class,
    bases.flow_group,
    quotes.is_usd_pegged as is_usd_pegged_quote,
    coalesce(trust.tier, 'untrusted') as trust_tier,
    coalesce(trust.tier = 'trusted', false) as is_trusted
from expected
inner join classes as bases
    on
        expected.base_asset = bases.asset
        and expected.utc_date >= bases.valid_from
        and expected.utc_date < bases.valid_to
inner join classes as quotes
    on
        expected.quote_asset = quotes.asset
        and expected.utc_date >= quotes.valid_from
        and expected.utc_date < quotes.valid_to
left join trust
    on
        expected.exchange = trust.exchange
        and expected.utc_date >= trust.valid_from
        and expected.utc_date < trust.valid_to
{% if is_incremental() -%}
    where expected.utc_date in {{ days_changed() }}
{%- else -%}
    order by expected.utc_date
{%- endif %}
