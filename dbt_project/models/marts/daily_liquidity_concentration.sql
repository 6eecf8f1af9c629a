with universes(universe, flow_group) as (
    values ('alts', 'ALT'), ('alts_btc_eth', 'ALT'), ('alts_btc_eth', 'BTC'), ('alts_btc_eth', 'ETH')
),

flows as (
    select * from {{ ref('daily_asset_flows') }}
    where volume_usd > 0
),

-- Where less than half of the expected altcoin pairs were observed, there is no telling who is large.
covered_days as (
    select utc_date
    from {{ ref('int_universe_days_summed') }}
    where universe = 'ex_btc_eth' and quotes = 'all' and trust = 'all' and is_covered
),

promotions as (select * from {{ ref('fee_promotions') }}),

promoted as (
    select
        symbols.flow_group,
        symbols.utc_date,
        sum(symbols.volume_usd) as volume_usd
    from {{ ref('daily_symbol_flows') }} as symbols
    inner join promotions
        on
            symbols.exchange = promotions.exchange
            and symbols.base_asset = promotions.base_asset
            and symbols.quote_asset = promotions.quote_asset
            and symbols.utc_date >= promotions.valid_from
            and symbols.utc_date < promotions.valid_to
    where symbols.net_taker_usd is not null
    group by symbols.flow_group, symbols.utc_date
),

promoted_days as (
    select
        universes.universe,
        promoted.utc_date,
        sum(promoted.volume_usd) as promoted_volume_usd
    from promoted
    inner join universes on promoted.flow_group = universes.flow_group
    group by universes.universe, promoted.utc_date
),

ranked as (
    select
        universes.universe,
        flows.utc_date,
        flows.base_asset,
        flows.volume_usd,
        sum(flows.volume_usd) over universe_day as total_usd,
        count(*) over universe_day as asset_count,
        row_number() over (
            partition by universes.universe, flows.utc_date order by flows.volume_usd desc, flows.base_asset asc
        ) as size_rank
    from flows
    inner join universes on flows.flow_group = universes.flow_group
    semi join covered_days on flows.utc_date = covered_days.utc_date
    window universe_day as (partition by universes.universe, flows.utc_date)
),

shares as (
    select
        *,
        cast(volume_usd as double) / cast(total_usd as double) as share_ratio
    from ranked
),

-- Doubles are added in the order of size: in no order, two runs would differ.
summed as (
    select
        universe,
        utc_date,
        count(*) as asset_count,
        any_value(total_usd) as volume_usd,
        sum(volume_usd) filter (where base_asset = 'BTC') as btc_volume_usd,
        sum(share_ratio * share_ratio order by size_rank desc) as hhi_ratio,
        sum(share_ratio * share_ratio order by size_rank desc) filter (where size_rank <= asset_count - 50)
            as large_squares_ratio,
        sum(share_ratio order by size_rank desc) filter (where size_rank <= asset_count - 50) as large_shares_ratio,
        2 * sum((asset_count + 1 - size_rank) * share_ratio order by size_rank desc) / count(*)
        - (count(*) + 1) / count(*) as gini_ratio,
        sum(volume_usd) filter (where size_rank <= 1) as top_1_usd,
        sum(volume_usd) filter (where size_rank <= 5) as top_5_usd,
        sum(volume_usd) filter (where size_rank <= 10) as top_10_usd
    from shares
    group by universe, utc_date
)

select
    summed.universe,
    summed.utc_date,
    summed.hhi_ratio,
    1 / summed.hhi_ratio as effective_count,
    cast(summed.top_1_usd as double) / cast(summed.volume_usd as double) as top_1_share_ratio,
    cast(summed.top_5_usd as double) / cast(summed.volume_usd as double) as top_5_share_ratio,
    cast(summed.top_10_usd as double) / cast(summed.volume_usd as double) as top_10_share_ratio,
    summed.gini_ratio,
    summed.large_squares_ratio / (summed.large_shares_ratio * summed.large_shares_ratio)
        as hhi_ex_smallest_50_ratio,
    summed.asset_count,
    summed.volume_usd,
    cast(summed.btc_volume_usd as double) / cast(summed.volume_usd as double) as btc_volume_share_ratio,
    promoted_days.promoted_volume_usd is not null as has_fee_promotion,
    coalesce(cast(promoted_days.promoted_volume_usd as double), 0) / cast(summed.volume_usd as double)
        as promoted_volume_share_ratio
from summed
left join promoted_days
    on
        summed.universe = promoted_days.universe
        and summed.utc_date = promoted_days.utc_date
