{{ config(materialized="incremental", meta={"reach_days": 364}) }}
-- depends_on: {{ ref('int_days_changed') }}
with expected as (
    select * from {{ ref('int_symbol_days_expected') }}
    where
        flow_group = 'ALT'
        {% if is_incremental() %}and utc_date in {{ days_changed(364) }}{% endif %}
),

flows as (
    select * from {{ ref('daily_symbol_flows') }}
    where
        flow_group = 'ALT'
        {% if is_incremental() %}
            -- The days themselves and the first days of their windows.
            and utc_date in (
                select unnest([changed.utc_date, changed.utc_date - 364])
                from {{ days_changed(364) }} as changed
            )
        {% endif %}
),

classes as (select * from {{ ref('int_assets_classified') }}),

days as (
    select * from {{ ref('int_days_listed') }}
    {% if is_incremental() %}where utc_date in {{ days_changed(364) }}{% endif %}
),

quote_classes(quote_class) as (values ('btc'), ('eth_bnb'), ('usd_pegged'), ('fiat'), ('other')),

-- A few quote assets, once each, instead of a comparison for every pair and day.
quotes as (
    select
        asset as quote_asset,
        valid_from,
        valid_to,
        case
            when asset = 'BTC' then 'btc'
            when asset in ('ETH', 'BNB') then 'eth_bnb'
            when is_usd_pegged then 'usd_pegged'
            when asset_class = 'fiat' then 'fiat'
            else 'other'
        end as quote_class
    from classes
    where asset in (select distinct expected.quote_asset from expected)
),

expected_days as (
    select
        quote_asset,
        utc_date,
        count(*) as expected_count
    from expected
    group by quote_asset, utc_date
),

-- The fixed set of a day: pairs that traded on it and on the first of the 365 days that end with it.
traded as (
    select
        today.quote_asset,
        today.utc_date,
        today.volume_usd,
        today.taker_sell_usd,
        today.net_taker_usd,
        earlier.symbol is not null as is_fixed
    from flows as today
    left join flows as earlier
        on
            today.exchange = earlier.exchange
            and today.symbol = earlier.symbol
            and today.utc_date - 364 = earlier.utc_date
            and earlier.net_taker_usd is not null
    where
        today.net_taker_usd is not null
        {% if is_incremental() %}and today.utc_date in {{ days_changed(364) }}{% endif %}
),

traded_days as (
    select
        quote_asset,
        utc_date,
        count(*) as symbol_count,
        sum(volume_usd) as volume_usd,
        sum(taker_sell_usd) as taker_sell_usd,
        sum(net_taker_usd) as net_taker_usd,
        count(*) filter (where is_fixed) as fixed_symbol_count,
        sum(taker_sell_usd) filter (where is_fixed) as fixed_taker_sell_usd,
        sum(net_taker_usd) filter (where is_fixed) as fixed_net_taker_usd
    from traded
    group by quote_asset, utc_date
),

classed as (
    select
        quotes.quote_class,
        expected_days.utc_date,
        cast(sum(expected_days.expected_count) as bigint) as expected_count,
        cast(sum(traded_days.symbol_count) as bigint) as symbol_count,
        sum(traded_days.volume_usd) as volume_usd,
        sum(traded_days.taker_sell_usd) as taker_sell_usd,
        sum(traded_days.net_taker_usd) as net_taker_usd,
        cast(sum(traded_days.fixed_symbol_count) as bigint) as fixed_symbol_count,
        sum(traded_days.fixed_taker_sell_usd) as fixed_taker_sell_usd,
        sum(traded_days.fixed_net_taker_usd) as fixed_net_taker_usd
    from expected_days
    inner join quotes
        on
            expected_days.quote_asset = quotes.quote_asset
            and expected_days.utc_date >= quotes.valid_from
            and expected_days.utc_date < quotes.valid_to
    left join traded_days
        on
            expected_days.quote_asset = traded_days.quote_asset
            and expected_days.utc_date = traded_days.utc_date
    group by quotes.quote_class, expected_days.utc_date
),

every_day as (
    select
        quote_classes.quote_class,
        days.utc_date,
        coalesce(classed.expected_count, 0) as expected_count,
        coalesce(classed.symbol_count, 0) as symbol_count,
        classed.volume_usd,
        classed.taker_sell_usd,
        classed.net_taker_usd,
        coalesce(classed.fixed_symbol_count, 0) as fixed_symbol_count,
        classed.fixed_taker_sell_usd,
        classed.fixed_net_taker_usd,
        sum(classed.taker_sell_usd) over of_the_day as total_sell_usd,
        count(classed.taker_sell_usd) over of_the_day as known_count,
        sum(classed.fixed_taker_sell_usd) over of_the_day as fixed_total_sell_usd,
        count(classed.fixed_taker_sell_usd) over of_the_day as fixed_known_count
    from quote_classes
    cross join days
    left join classed on quote_classes.quote_class = classed.quote_class and days.utc_date = classed.utc_date
    window of_the_day as (partition by days.utc_date)
)

select
    quote_class,
    utc_date,
    symbol_count,
    expected_count,
    volume_usd,
    taker_sell_usd,
    net_taker_usd,
    case when known_count > 1 then cast(taker_sell_usd as double) / nullif(cast(total_sell_usd as double), 0) end
        as taker_sell_share_ratio,
    fixed_symbol_count,
    fixed_taker_sell_usd,
    fixed_net_taker_usd,
    case
        when fixed_known_count > 1
            then cast(fixed_taker_sell_usd as double) / nullif(cast(fixed_total_sell_usd as double), 0)
    end as fixed_taker_sell_share_ratio,
    case
        when expected_count = 0 then 'no_pairs_covered'
        when symbol_count = 0 then 'not_observed'
        when known_count = 1 then 'only_class_covered'
    end as reason
from every_day
