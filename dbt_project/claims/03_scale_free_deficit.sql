-- sentence: Measured against what is traded, takers sell altcoins more than they buy them.
-- unit: ratio
-- rule: zero is not neutral on the taker side, so supported only where the headline's imbalance (net / volume, 365
--   days) is below 0, below Bitcoin's over the same days and below its own mean of the valid days up to a year before;
--   contradicted from 0 on; else partly. It times volume must give the deficit of claim 1 to the cent.
with newest as (
    select max(utc_date) as utc_date
    from daily_altcoin_flow
    where definition_id = 'rolling_365d.ex_btc_eth.all.all' and cumulative_net_taker_usd is not null
),

headline as (
    select
        newest.utc_date,
        flows.window_imbalance_ratio,
        flows.window_taker_buy_ratio,
        flows.window_volume_usd,
        flows.excess_imbalance_ratio,
        flows.window_imbalance_ratio - flows.excess_imbalance_ratio as btc_imbalance_ratio
    from newest
    left join daily_altcoin_flow as flows
        on newest.utc_date = flows.utc_date and flows.definition_id = 'rolling_365d.ex_btc_eth.all.all'
),

history as (
    select
        min(flows.window_imbalance_ratio) as lowest_ratio,
        arg_min(flows.utc_date, flows.window_imbalance_ratio) as lowest_date,
        avg(flows.window_imbalance_ratio) filter (where flows.utc_date <= newest.utc_date - 365) as own_mean_ratio,
        count(*) filter (where flows.utc_date <= newest.utc_date - 365) as own_day_count
    from daily_altcoin_flow as flows
    cross join newest
    where flows.definition_id = 'rolling_365d.ex_btc_eth.all.all' and flows.cumulative_net_taker_usd is not null
)

select
    headline.utc_date,
    headline.window_imbalance_ratio as value,
    headline.btc_imbalance_ratio as control_value,
    null as p_value,
    case
        when headline.window_imbalance_ratio is null then 'no data'
        when headline.window_imbalance_ratio >= 0 then 'contradicted'
        when headline.excess_imbalance_ratio < 0 and headline.window_imbalance_ratio < history.own_mean_ratio
            then 'supported'
        else 'partly'
    end as verdict,
    case
        when headline.window_imbalance_ratio is null then 'no complete window of 365 days'
        else concat_ws(
            '; ',
            format(
                'imbalance {:.2f} % of {:.2f} trillion dollars (taker buys {:.2f} %), Bitcoin {:.2f} %',
                100 * headline.window_imbalance_ratio, cast(headline.window_volume_usd as double) / 1e12,
                100 * headline.window_taker_buy_ratio, 100 * headline.btc_imbalance_ratio
            ),
            format('lowest {:.2f} % on {}', 100 * history.lowest_ratio, history.lowest_date),
            format(
                'own mean {:.2f} % ({} days up to a year before)', 100 * history.own_mean_ratio, history.own_day_count
            ),
            'a deficit of 209 billion takes -5.2 % of 4 or -2.8 % of 7.5 trillion dollars'
        )
    end as evidence
from headline
cross join history
