{{ config(materialized="incremental", meta={"reach_days": 364}) }}
-- depends_on: {{ ref('int_days_changed') }}
-- A window is summed from running totals, which may begin with the oldest day that any of the windows needs.
with market_days as (
    select * from {{ ref('int_market_days_summed') }}
    {% if is_incremental() -%}
        where utc_date >= {{ first_day_changed(364) }}
    {%- endif %}
),

universes(universe, flow_group) as (values ('ex_btc_eth', 'ALT'), ('ex_btc', 'ALT'), ('ex_btc', 'ETH')),

quote_sets as (select unnest(['all', 'usd_pegged']) as quotes),

trust_sets as (select unnest(['all', 'trusted']) as trust),

asset_days as (
    select
        base_asset,
        flow_group,
        utc_date,
        sum(symbol_count) > 0 as is_traded
    from market_days
    group by base_asset, flow_group, utc_date
),

markets as (
    select distinct
        base_asset,
        flow_group,
        is_usd_pegged_quote,
        is_trusted
    from market_days
),

-- Every market of an asset has a row on every day of the asset, so that two running totals can be subtracted.
accumulated as (
    select
        markets.*,
        asset_days.utc_date,
        asset_days.is_traded,
        coalesce(market_days.net_taker_usd, 0) as net_taker_usd,
        coalesce(market_days.volume_usd, 0) as volume_usd,
        coalesce(market_days.symbol_count, 0) as symbol_count,
        coalesce(market_days.expected_count, 0) as expected_count,
        sum(market_days.net_taker_usd) over market_so_far as total_net_taker_usd,
        sum(market_days.volume_usd) over market_so_far as total_volume_usd,
        sum(market_days.symbol_count) over market_so_far as total_symbol_count,
        sum(market_days.expected_count) over market_so_far as total_expected_count
    from asset_days
    inner join markets on asset_days.base_asset = markets.base_asset and asset_days.flow_group = markets.flow_group
    left join market_days
        on
            markets.base_asset = market_days.base_asset
            and markets.flow_group = market_days.flow_group
            and markets.is_usd_pegged_quote = market_days.is_usd_pegged_quote
            and markets.is_trusted = market_days.is_trusted
            and asset_days.utc_date = market_days.utc_date
    window market_so_far as (
        partition by markets.base_asset, markets.flow_group, markets.is_usd_pegged_quote, markets.is_trusted
        order by asset_days.utc_date rows unbounded preceding
    )
),

-- On the panel of a day: assets that traded on that day and on the first day of the 365 that end with it.
windows as (
    select
        last_days.flow_group,
        last_days.is_usd_pegged_quote,
        last_days.is_trusted,
        last_days.utc_date,
        sum(last_days.net_taker_usd) as net_taker_usd,
        sum(last_days.volume_usd) as volume_usd,
        sum(last_days.symbol_count) as symbol_count,
        sum(last_days.expected_count) as expected_count,
        sum(
            coalesce(last_days.total_net_taker_usd, 0) - coalesce(first_days.total_net_taker_usd, 0)
            + first_days.net_taker_usd
        ) as window_net_taker_usd,
        sum(
            coalesce(last_days.total_volume_usd, 0) - coalesce(first_days.total_volume_usd, 0)
            + first_days.volume_usd
        ) as window_volume_usd,
        sum(
            coalesce(last_days.total_symbol_count, 0) - coalesce(first_days.total_symbol_count, 0)
            + first_days.symbol_count
        ) as window_symbol_count,
        sum(
            coalesce(last_days.total_expected_count, 0) - coalesce(first_days.total_expected_count, 0)
            + first_days.expected_count
        ) as window_expected_count
    from accumulated as last_days
    inner join accumulated as first_days
        on
            last_days.base_asset = first_days.base_asset
            and last_days.flow_group = first_days.flow_group
            and last_days.is_usd_pegged_quote = first_days.is_usd_pegged_quote
            and last_days.is_trusted = first_days.is_trusted
            and last_days.utc_date - 364 = first_days.utc_date
    where
        last_days.is_traded and first_days.is_traded
        {% if is_incremental() %}and last_days.utc_date in {{ days_changed(364) }}{% endif %}
    group by last_days.flow_group, last_days.is_usd_pegged_quote, last_days.is_trusted, last_days.utc_date
)

select
    universes.universe,
    quote_sets.quotes,
    trust_sets.trust,
    windows.utc_date,
    sum(windows.net_taker_usd) as net_taker_usd,
    sum(windows.volume_usd) as volume_usd,
    cast(sum(windows.symbol_count) as bigint) as symbol_count,
    cast(sum(windows.expected_count) as bigint) as expected_count,
    sum(windows.window_net_taker_usd) as window_net_taker_usd,
    sum(windows.window_volume_usd) as window_volume_usd,
    cast(sum(windows.window_symbol_count) as bigint) as window_symbol_count,
    cast(sum(windows.window_expected_count) as bigint) as window_expected_count
from windows
inner join universes on windows.flow_group = universes.flow_group
inner join quote_sets on quote_sets.quotes = 'all' or windows.is_usd_pegged_quote
inner join trust_sets on trust_sets.trust = 'all' or windows.is_trusted
group by universes.universe, quote_sets.quotes, trust_sets.trust, windows.utc_date
