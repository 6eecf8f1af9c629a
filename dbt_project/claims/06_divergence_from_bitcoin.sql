-- sentence: The flow of altcoins diverges from Bitcoin's as never before: altcoins are sold, Bitcoin is not.
-- unit: ratio
-- rule: value is the mean daily imbalance of altcoins less Bitcoin's, over the covered days up to the newest valid one.
--   Supported only where it is below 0 with t at or below -2 (Newey and West, 60 lags); partly where below 0 and t
--   above -2; contradicted from 0 on. The gap of returns stands beside it and is another thing than flow. The control
--   is Ether less Bitcoin.
with newest as (
    select max(utc_date) as utc_date
    from daily_altcoin_flow
    where definition_id = 'rolling_365d.ex_btc_eth.all.all' and cumulative_net_taker_usd is not null
),

alts as (
    select
        newest.utc_date,
        flows.mean_excess_imbalance_ratio,
        flows.mean_excess_t_ratio,
        flows.covered_day_count,
        flows.excess_imbalance_ratio,
        flows.return_gap_90d_ratio,
        pegged.mean_excess_imbalance_ratio as pegged_excess_ratio,
        pegged.mean_excess_t_ratio as pegged_t_ratio,
        ether.mean_excess_imbalance_ratio as ether_excess_ratio
    from newest
    left join daily_control_flow as flows
        on newest.utc_date = flows.utc_date and flows.flow_group = 'ALT' and flows.quotes = 'all'
    left join daily_control_flow as pegged
        on newest.utc_date = pegged.utc_date and pegged.flow_group = 'ALT' and pegged.quotes = 'usd_pegged'
    left join daily_control_flow as ether
        on newest.utc_date = ether.utc_date and ether.flow_group = 'ETH' and ether.quotes = 'all'
),

history as (
    select avg(case when excess_imbalance_ratio > 0 then 1 else 0 end) as less_negative_ratio
    from daily_altcoin_flow
    where definition_id = 'rolling_365d.ex_btc_eth.all.all' and cumulative_net_taker_usd is not null
)

select
    alts.utc_date,
    alts.mean_excess_imbalance_ratio as value,
    alts.ether_excess_ratio as control_value,
    null as p_value,
    case
        when alts.mean_excess_t_ratio is null then 'no data'
        when alts.mean_excess_imbalance_ratio >= 0 then 'contradicted'
        when alts.mean_excess_t_ratio <= -2 then 'supported'
        else 'partly'
    end as verdict,
    case
        when alts.mean_excess_t_ratio is null then 'less than a year of covered days with a valid window'
        else concat_ws(
            '; ',
            format(
                'altcoins less Bitcoin {:+.2f} percentage points a day, t = {:.1f}, n = {} days; pairs against dollar '
                || 'coins alone {:+.2f}, t = {:.1f}; Ether less Bitcoin {:+.2f}',
                100 * alts.mean_excess_imbalance_ratio, alts.mean_excess_t_ratio, alts.covered_day_count,
                100 * alts.pegged_excess_ratio, alts.pegged_t_ratio, 100 * alts.ether_excess_ratio
            ),
            format(
                'over 365 days {:+.2f}; altcoins were the less negative on {:.0f} % of valid days',
                100 * alts.excess_imbalance_ratio, 100 * history.less_negative_ratio
            ),
            format('prices do diverge: median 90-day return {:+.0f} points', 100 * alts.return_gap_90d_ratio)
        )
    end as evidence
from alts
cross join history
