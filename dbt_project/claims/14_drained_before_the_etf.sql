-- sentence: Before the US spot ETF liquidity drained from altcoins into Bitcoin.
-- unit: ratio
-- rule: value is Bitcoin's share of spot volume over the 90 days to 2024-01-10, the eve of trading; the control is the
--   same share over the 90 days to 2022-07-07, the last ones without zero fees on Bitcoin before. Days from 2022-07-08
--   to 2023-03-22 are left out: trading Bitcoin was free then. Supported where the share rose and takers bought Bitcoin
--   and sold altcoins on balance between 2023-03-23 and 2024-01-10; partly where one of the two holds; else
--   contradicted.
with days as (
    select
        cast(volume_usd as double) as volume_usd,
        btc_volume_share_ratio * cast(volume_usd as double) as btc_usd,
        case
            when utc_date > '2022-04-08' and utc_date <= '2022-07-07' then 'before'
            when utc_date >= '2022-07-08' and utc_date < '2023-03-22' then 'promoted'
            when utc_date > '2023-10-12' and utc_date <= '2024-01-10' then 'eve'
        end as part
    from daily_liquidity_concentration
    where universe = 'alts_btc_eth'
),

shares as (
    select
        sum(btc_usd) filter (where part = 'eve') / sum(volume_usd) filter (where part = 'eve') as eve_ratio,
        count(*) filter (where part = 'eve') as eve_days,
        sum(btc_usd) filter (where part = 'before') / sum(volume_usd) filter (where part = 'before') as before_ratio,
        count(*) filter (where part = 'before') as before_days,
        sum(btc_usd) filter (where part = 'promoted') / sum(volume_usd) filter (where part = 'promoted')
            as promoted_ratio
    from days
),

flows as (
    select
        sum(net_taker_usd) filter (where flow_group = 'BTC') as btc_net_usd,
        sum(net_taker_usd) filter (where flow_group = 'ALT') as alt_net_usd
    from daily_control_flow
    where quotes = 'all' and utc_date >= '2023-03-23' and utc_date <= '2024-01-10'
)

select
    case when shares.eve_days >= 60 and shares.before_days >= 60 then cast('2024-01-10' as date) end as utc_date,
    shares.eve_ratio as value,
    shares.before_ratio as control_value,
    null as p_value,
    case
        when shares.eve_days < 60 or shares.before_days < 60 then 'no data'
        when shares.eve_ratio > shares.before_ratio and flows.btc_net_usd > 0 and flows.alt_net_usd < 0
            then 'supported'
        when shares.eve_ratio > shares.before_ratio or (flows.btc_net_usd > 0 and flows.alt_net_usd < 0) then 'partly'
        else 'contradicted'
    end as verdict,
    case
        when shares.eve_days < 60 or shares.before_days < 60
            then format(
                '{} covered days before the ETF and {} before zero fees, fewer than 60', shares.eve_days,
                shares.before_days
            )
        else concat_ws(
            '; ',
            format(
                'Bitcoin''s share of volume {:.1f} % before the ETF, {:.1f} % before zero fees, {:.1f} % during these',
                100 * shares.eve_ratio, 100 * shares.before_ratio, 100 * shares.promoted_ratio
            ),
            format(
                'net taker flow from 2023-03-23 on: Bitcoin {:+.2f}, altcoins {:+.2f} billion dollars',
                cast(flows.btc_net_usd as double) / 1e9, cast(flows.alt_net_usd as double) / 1e9
            )
        )
    end as evidence
from shares
cross join flows
