-- sentence: Altcoins have a cumulative buy/sell deficit on spot.
-- unit: usd
-- rule: supported where the 365-day sum of taker buys less taker sells is below 0 in the headline and in every one of
--   the definitions of the same window; partly where the definitions disagree; contradicted where all are above 0. The
--   control is Bitcoin's sum over the same days. Recompute any ten symbols from daily_symbol_flows to refute it.
with newest as (
    select max(utc_date) as utc_date
    from daily_altcoin_flow
    where definition_id = 'rolling_365d.ex_btc_eth.all.all' and cumulative_net_taker_usd is not null
),

definitions as (
    select
        flows.utc_date,
        count(*) as definition_count,
        count(*) filter (where flows.cumulative_net_taker_usd < 0) as negative_count,
        count(distinct flows.cumulative_net_taker_usd) as figure_count,
        min(flows.cumulative_net_taker_usd) as lowest_usd,
        max(flows.cumulative_net_taker_usd) as highest_usd,
        any_value(flows.cumulative_net_taker_usd) filter (
            where flows.definition_id = 'rolling_365d.ex_btc_eth.all.all'
        ) as headline_usd,
        any_value(flows.symbol_count) filter (
            where flows.definition_id = 'rolling_365d.ex_btc_eth.all.all'
        ) as symbol_count
    from daily_altcoin_flow as flows
    inner join newest on flows.utc_date = newest.utc_date
    where flows.window_name = 'rolling_365d' and flows.cumulative_net_taker_usd is not null
    group by flows.utc_date
)

select
    newest.utc_date,
    definitions.headline_usd as value,
    control.rolling_365d_net_taker_usd as control_value,
    null as p_value,
    case
        when definitions.headline_usd is null then 'no data'
        when definitions.negative_count = definitions.definition_count then 'supported'
        when definitions.negative_count = 0 then 'contradicted'
        else 'partly'
    end as verdict,
    case
        when definitions.headline_usd is null then 'no complete window of 365 days'
        else format(
            '{} of {} definitions ({} different figures) are negative, from {:.2f} to {:.2f} billion dollars; {} '
            || 'symbols',
            definitions.negative_count, definitions.definition_count, definitions.figure_count,
            cast(definitions.lowest_usd as double) / 1e9, cast(definitions.highest_usd as double) / 1e9,
            definitions.symbol_count
        )
    end as evidence
from newest
left join definitions on newest.utc_date = definitions.utc_date
left join daily_control_flow as control
    on newest.utc_date = control.utc_date and control.flow_group = 'BTC' and control.quotes = 'all'
