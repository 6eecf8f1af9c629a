-- sentence: Money rotates out of altcoins into Bitcoin.
-- unit: usd
-- rule: value is Bitcoin's net taker flow over 365 days. Supported only where it is above 0 over 365 and over 90 days
--   while that of altcoins is below 0 in both; partly where so in one of the two windows; contradicted where in none.
--   Even then flows are not followed from one coin into another. Control: that of altcoins.
with newest as (
    select max(utc_date) as utc_date
    from daily_altcoin_flow
    where definition_id = 'rolling_365d.ex_btc_eth.all.all' and cumulative_net_taker_usd is not null
),

sums as (
    select
        arg_max(flows.rolling_365d_net_taker_usd, flows.utc_date) filter (where flows.flow_group = 'BTC')
            as btc_365d_usd,
        arg_max(flows.rolling_365d_net_taker_usd, flows.utc_date) filter (where flows.flow_group = 'ALT')
            as alt_365d_usd,
        arg_max(flows.rolling_365d_imbalance_ratio, flows.utc_date) filter (where flows.flow_group = 'BTC')
            as btc_ratio,
        arg_max(flows.rolling_365d_imbalance_ratio, flows.utc_date) filter (where flows.flow_group = 'ALT')
            as alt_ratio,
        sum(flows.net_taker_usd) filter (where flows.flow_group = 'BTC') as btc_90d_usd,
        sum(flows.net_taker_usd) filter (where flows.flow_group = 'ALT') as alt_90d_usd,
        max(flows.utc_date) as utc_date
    from newest
    left join daily_control_flow as flows
        on
            newest.utc_date - 90 < flows.utc_date
            and newest.utc_date >= flows.utc_date
            and flows.quotes = 'all'
            and flows.flow_group in ('ALT', 'BTC')
),

judged as (
    select
        *,
        case when btc_365d_usd > 0 and alt_365d_usd < 0 then 1 else 0 end
        + case when btc_90d_usd > 0 and alt_90d_usd < 0 then 1 else 0 end as rotating_count
    from sums
)

select
    utc_date,
    btc_365d_usd as value,
    alt_365d_usd as control_value,
    cast(null as double) as p_value,
    case
        when btc_365d_usd is null or alt_365d_usd is null then 'no data'
        when rotating_count = 2 then 'supported'
        when rotating_count = 1 then 'partly'
        else 'contradicted'
    end as verdict,
    case
        when btc_365d_usd is null or alt_365d_usd is null then 'no complete window of 365 days'
        else format(
            '365 days: Bitcoin {:.2f} billion dollars ({:.2f} %), altcoins {:.2f} ({:.2f} %); 90 days: Bitcoin {:.2f}, '
            || 'altcoins {:.2f}',
            cast(btc_365d_usd as double) / 1e9, 100 * btc_ratio, cast(alt_365d_usd as double) / 1e9, 100 * alt_ratio,
            cast(btc_90d_usd as double) / 1e9, cast(alt_90d_usd as double) / 1e9
        )
    end as evidence
from judged
