with contracts as (
    select
        exchange,
        symbol,
        base_asset
    from {{ ref('stg_perpetual_symbols') }}
    -- Dollars are USDT here, as for spot pairs against it; contracts on other quotes are a few per cent of the volume.
    where quote_asset = 'USDT'
),

spot_assets as (select distinct base_asset from {{ ref('daily_asset_flows') }}),

-- Contracts on thousands of a cheap coin carry the number in their name, spot pairs seldom do.
named as (
    select
        contracts.exchange,
        contracts.symbol,
        coalesce(
            own.base_asset, bundled.base_asset, contracts.base_asset
        ) as base_asset
    from contracts
    left join spot_assets as own on contracts.base_asset = own.base_asset
    left join spot_assets as bundled
        on regexp_replace(contracts.base_asset, '^(1000000|10000|1000|1M)', '') = bundled.base_asset
),

open_interests as (
    select
        coalesce(ends.exchange, metrics.exchange) as exchange,
        coalesce(ends.symbol, metrics.symbol) as symbol,
        coalesce(ends.utc_date, metrics.utc_date) as utc_date,
        coalesce(ends.open_interest_quote, metrics.open_interest_quote) as open_interest_quote
    from {{ ref('stg_open_interest') }} as ends
    full outer join {{ ref('stg_perpetual_metrics') }} as metrics
        on ends.exchange = metrics.exchange and ends.symbol = metrics.symbol and ends.utc_date = metrics.utc_date
),

fundings as (
    select
        exchange,
        symbol,
        utc_date,
        sum(funding_ratio) as funding_ratio
    from {{ ref('stg_funding_rates') }}
    group by exchange, symbol, utc_date
),

contract_days as (
    select
        named.base_asset,
        flows.utc_date,
        flows.volume_quote,
        2 * flows.taker_buy_quote - flows.volume_quote as net_taker_quote,
        fundings.funding_ratio,
        case
            when fundings.funding_ratio is not null
                then cast(cast(fundings.funding_ratio as double) * cast(flows.volume_quote as double) as decimal(38, 8))
        end as weighted_funding_quote,
        case when fundings.funding_ratio is not null then flows.volume_quote end as funded_volume_quote,
        open_interests.open_interest_quote
    from {{ ref('stg_perpetual_flows') }} as flows
    inner join named on flows.exchange = named.exchange and flows.symbol = named.symbol
    left join fundings
        on
            flows.exchange = fundings.exchange
            and flows.symbol = fundings.symbol
            and flows.utc_date = fundings.utc_date
    left join open_interests
        on
            flows.exchange = open_interests.exchange
            and flows.symbol = open_interests.symbol
            and flows.utc_date = open_interests.utc_date
    where flows.taker_buy_quote is not null
),

perpetual_days as (
    select
        base_asset,
        utc_date,
        sum(volume_quote) as volume_usd,
        sum(net_taker_quote) as net_taker_usd,
        sum(weighted_funding_quote) as weighted_funding_usd,
        sum(funded_volume_quote) as funded_volume_usd,
        sum(open_interest_quote) as open_interest_usd,
        count(*) as contract_count,
        count(open_interest_quote) as open_interest_count
    from contract_days
    group by base_asset, utc_date
),

-- Both sides of the comparison hold the same assets: those with a contract and a spot pair on the day.
groups as (
    select
        spot.flow_group as asset_group,
        spot.utc_date,
        count(*) as asset_count,
        sum(perpetuals.contract_count) as contract_count,
        sum(spot.net_taker_usd) as spot_net_taker_usd,
        sum(spot.volume_usd) as spot_volume_usd,
        sum(perpetuals.net_taker_usd) as perpetual_net_taker_usd,
        sum(perpetuals.volume_usd) as perpetual_volume_usd,
        sum(perpetuals.weighted_funding_usd) as weighted_funding_usd,
        sum(perpetuals.funded_volume_usd) as funded_volume_usd,
        sum(perpetuals.open_interest_usd) as open_interest_usd,
        sum(perpetuals.open_interest_count) as open_interest_count
    from {{ ref('daily_asset_flows') }} as spot
    inner join perpetual_days as perpetuals
        on spot.base_asset = perpetuals.base_asset and spot.utc_date = perpetuals.utc_date
    where spot.flow_group in ('ALT', 'BTC', 'ETH')
    group by spot.flow_group, spot.utc_date
),

imbalances as (
    select
        *,
        cast(spot_net_taker_usd as double) / nullif(cast(spot_volume_usd as double), 0) as spot_imbalance_ratio,
        cast(perpetual_net_taker_usd as double) / nullif(cast(perpetual_volume_usd as double), 0)
            as perpetual_imbalance_ratio
    from groups
),

lagged as (
    select
        *,
        max(spot_imbalance_ratio) over day_before as earlier_spot_ratio,
        max(perpetual_imbalance_ratio) over day_before as earlier_perpetual_ratio
    from imbalances
    window
        day_before as (
            partition by asset_group order by utc_date
            range between interval 1 day preceding and interval 1 day preceding
        )
),

correlated as (
    select
        *,
        corr(spot_imbalance_ratio, perpetual_imbalance_ratio) over days_180 as same_day_correlation,
        count(spot_imbalance_ratio + perpetual_imbalance_ratio) over days_180 as same_day_count,
        corr(earlier_spot_ratio, perpetual_imbalance_ratio) over days_180 as spot_first_correlation,
        count(earlier_spot_ratio + perpetual_imbalance_ratio) over days_180 as spot_first_count,
        corr(spot_imbalance_ratio, earlier_perpetual_ratio) over days_180 as perpetual_first_correlation,
        count(spot_imbalance_ratio + earlier_perpetual_ratio) over days_180 as perpetual_first_count
    from lagged
    window
        days_180 as (
            partition by asset_group order by utc_date range between interval 179 days preceding and current row
        )
)

select
    asset_group,
    utc_date,
    asset_count,
    cast(contract_count as bigint) as contract_count,
    spot_net_taker_usd,
    spot_volume_usd,
    cast(perpetual_net_taker_usd as decimal(38, 8)) as perpetual_net_taker_usd,
    cast(perpetual_volume_usd as decimal(38, 8)) as perpetual_volume_usd,
    spot_imbalance_ratio,
    perpetual_imbalance_ratio,
    cast(perpetual_volume_usd as double) / nullif(cast(spot_volume_usd as double), 0) as perpetual_spot_volume_ratio,
    cast(weighted_funding_usd as double) / nullif(cast(funded_volume_usd as double), 0) as funding_ratio,
    cast(open_interest_usd as decimal(38, 8)) as open_interest_usd,
    cast(open_interest_count as bigint) as open_interest_count,
    {%- for name in ('same_day', 'spot_first', 'perpetual_first') %}
        case when {{ name }}_count >= 60 then {{ name }}_correlation end as {{ name }}_correlation_ratio,
        case
            when {{ name }}_count >= 60 and abs({{ name }}_correlation) < 1
                then tanh(atanh({{ name }}_correlation) - 1.959963984540054 / sqrt({{ name }}_count - 3))
        end as {{ name }}_lower_ratio,
        case
            when {{ name }}_count >= 60 and abs({{ name }}_correlation) < 1
                then tanh(atanh({{ name }}_correlation) + 1.959963984540054 / sqrt({{ name }}_count - 3))
        end as {{ name }}_upper_ratio,
    {%- endfor %}
    same_day_count
from correlated
