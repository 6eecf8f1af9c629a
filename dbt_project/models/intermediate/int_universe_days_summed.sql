with days as (select * from {{ ref('int_days_listed') }}),

flows as (select * from {{ ref('int_flow_days_summed') }}),

-- btc is no universe of the headline: it is the control that every universe is compared with.
universes(universe, flow_group) as (
    values ('ex_btc_eth', 'ALT'), ('ex_btc', 'ALT'), ('ex_btc', 'ETH'), ('btc', 'BTC')
),

quote_sets as (select unnest(['all', 'usd_pegged']) as quotes),

trust_sets as (select unnest(['all', 'trusted']) as trust),

selected as (
    select
        universes.universe,
        quote_sets.quotes,
        trust_sets.trust,
        flows.utc_date,
        sum(flows.net_taker_usd) as net_taker_usd,
        sum(flows.volume_usd) as volume_usd,
        cast(sum(flows.symbol_count) as bigint) as symbol_count,
        cast(sum(flows.expected_count) as bigint) as expected_count,
        count(distinct flows.exchange) filter (where flows.symbol_count > 0) as exchange_count
    from flows
    inner join universes on flows.flow_group = universes.flow_group
    inner join quote_sets on quote_sets.quotes = 'all' or flows.is_usd_pegged_quote
    inner join trust_sets on trust_sets.trust = 'all' or flows.is_trusted
    group by universes.universe, quote_sets.quotes, trust_sets.trust, flows.utc_date
),

every_day as (
    select distinct
        universes.universe,
        quote_sets.quotes,
        trust_sets.trust,
        days.utc_date
    from days
    cross join universes
    cross join quote_sets
    cross join trust_sets
)

select
    every_day.universe,
    every_day.quotes,
    every_day.trust,
    every_day.utc_date,
    selected.net_taker_usd,
    selected.volume_usd,
    coalesce(selected.symbol_count, 0) as symbol_count,
    coalesce(selected.expected_count, 0) as expected_count,
    coalesce(selected.exchange_count, 0) as exchange_count,
    coalesce(selected.symbol_count * 2 >= selected.expected_count, false) as is_covered
from every_day
left join selected
    on
        every_day.universe = selected.universe
        and every_day.quotes = selected.quotes
        and every_day.trust = selected.trust
        and every_day.utc_date = selected.utc_date
