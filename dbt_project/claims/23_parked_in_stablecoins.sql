-- sentence: Money that leaves altcoins is parked in USDT and USDC.
-- unit: usd
-- rule: value is the change of the supply of both together over 30 days. Where money came from is not in supplies, so
--   at most partly: where both together grew over 30 and over 90 days; else contradicted. The sum over chains must be
--   the coin; a total that jumps because a coin is listed (2020-01-03, 2020-04-03) is not used.
with newest as (
    select max(utc_date) as utc_date
    from daily_stablecoin_supply
    where symbol = 'USDC' and circulating_usd is not null
),

coins as (
    select
        count(*) as coin_count,
        sum(days.circulating_usd) as circulating_usd,
        sum(days.net_30d_change_usd) as net_30d_change_usd,
        sum(days.net_90d_change_usd) as net_90d_change_usd,
        count(*) filter (where days.net_30d_change_usd > 0 and days.net_90d_change_usd > 0) as grown_count,
        sum(days.share_ratio) as share_ratio,
        any_value(days.net_30d_change_usd) filter (where days.symbol = 'USDT') as usdt_change_usd,
        any_value(days.net_30d_change_usd) filter (where days.symbol = 'USDC') as usdc_change_usd
    from newest
    inner join daily_stablecoin_supply as days
        on
            newest.utc_date = days.utc_date
            and days.stablecoin_id in ('1', '2')
            and days.net_30d_change_usd is not null
            and days.net_90d_change_usd is not null
),

chains as (
    select
        max(utc_date) as utc_date,
        arg_max(chain_sum_ratio, utc_date) as chain_sum_ratio
    from daily_stablecoin_chain_supply
),

alts as (
    select sum(flows.net_taker_usd) as net_usd
    from daily_control_flow as flows
    cross join newest
    where
        flows.flow_group = 'ALT' and flows.quotes = 'all' and flows.utc_date > newest.utc_date - 30
        and flows.utc_date <= newest.utc_date and flows.coverage_ratio >= 0.5
)

select
    newest.utc_date,
    case when coins.coin_count = 2 then coins.net_30d_change_usd end as value,
    cast(null as double) as control_value,
    null as p_value,
    case
        when coins.coin_count < 2 then 'no data'
        when coins.net_30d_change_usd <= 0 or coins.net_90d_change_usd <= 0 then 'contradicted'
        else 'partly'
    end as verdict,
    case
        when coins.coin_count < 2 then 'no supply of both coins over ninety days'
        else concat_ws(
            '; ',
            format(
                '{:.1f} billion dollars, {:.1f} % of all stablecoins; {:+.2f} in 30 days (USDT {:+.2f}, USDC {:+.2f}), '
                || '{:+.2f} in 90; {} of 2 coins grew over both',
                cast(coins.circulating_usd as double) / 1e9, 100 * coins.share_ratio,
                cast(coins.net_30d_change_usd as double) / 1e9, cast(coins.usdt_change_usd as double) / 1e9,
                cast(coins.usdc_change_usd as double) / 1e9, cast(coins.net_90d_change_usd as double) / 1e9,
                coins.grown_count
            ),
            format('net taker flow of altcoins {:+.2f} in the same 30 days', cast(alts.net_usd as double) / 1e9),
            format('sum over chains / coin {:.3f} on {}', chains.chain_sum_ratio, chains.utc_date)
        )
    end as evidence
from newest
cross join coins
cross join chains
cross join alts
