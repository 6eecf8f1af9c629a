with phases as (
    select
        phase,
        first_date,
        coalesce(last_date, (select max(flows.utc_date) from {{ ref('daily_control_flow') }} as flows)) as last_date
    from {{ ref('market_phases') }}
),

flows as (
    select * from {{ ref('daily_control_flow') }}
    where quotes = 'all' and flow_group in ('ALT', 'BTC', 'ETH')
),

sums as (
    select
        phases.phase,
        phases.first_date,
        phases.last_date,
        flows.flow_group,
        count(flows.net_taker_usd) as day_count,
        sum(flows.net_taker_usd) as net_taker_usd,
        sum(flows.volume_usd) as volume_usd
    from phases
    inner join flows on flows.utc_date between phases.first_date and phases.last_date
    group by phases.phase, phases.first_date, phases.last_date, flows.flow_group
),

prices as (
    select
        flow_group,
        base_asset,
        era_date,
        utc_date,
        close_price_usd
    from {{ ref('int_asset_days_priced') }}
    where flow_group in ('ALT', 'BTC', 'ETH') and close_price_usd > 0
),

-- Of coins that have a price on the last day before the phase and on its last day; what lies between is their low.
asset_phases as (
    select
        phases.phase,
        prices.flow_group,
        prices.base_asset,
        max(prices.close_price_usd) filter (where prices.utc_date = phases.first_date - 1) as before_price,
        max(prices.close_price_usd) filter (where prices.utc_date = phases.last_date) as last_price,
        min(prices.close_price_usd) as lowest_price
    from phases
    inner join prices on prices.utc_date between phases.first_date - 1 and phases.last_date
    group by phases.phase, prices.flow_group, prices.base_asset, prices.era_date
),

returns as (
    select
        phase,
        flow_group,
        count(*) as priced_count,
        median(last_price / before_price - 1) as median_return_ratio,
        median(least(lowest_price / before_price - 1, 0)) as median_lowest_ratio
    from asset_phases
    where before_price is not null and last_price is not null
    group by phase, flow_group
),

dominance as (
    select
        utc_date,
        covered_btc_share_ratio
    from {{ ref('daily_dominance') }}
    where definition_id = 'spot_volume'
)

select
    sums.phase,
    sums.flow_group,
    sums.first_date,
    sums.last_date,
    sums.last_date - sums.first_date + 1 as phase_days,
    sums.day_count,
    sums.net_taker_usd,
    sums.volume_usd,
    cast(sums.net_taker_usd as double) / nullif(cast(sums.volume_usd as double), 0) as imbalance_ratio,
    returns.priced_count,
    returns.median_return_ratio,
    returns.median_lowest_ratio,
    last_dominance.covered_btc_share_ratio - first_dominance.covered_btc_share_ratio as btc_volume_share_change_ratio
from sums
left join returns on sums.phase = returns.phase and sums.flow_group = returns.flow_group
left join dominance as first_dominance on sums.first_date = first_dominance.utc_date
left join dominance as last_dominance on sums.last_date = last_dominance.utc_date
