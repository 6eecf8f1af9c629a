-- sentence: ETH, SOL and ADA saw massive inflows in 2021.
-- unit: usd
-- rule: value is the net taker flow of the three in 2021. Supported where each was net bought, contradicted where each
--   was net sold, else partly. Taker flow only: a price may rise while takers sell, and an inflow in another sense
--   (deposits, new holders) is not seen. Control: Bitcoin's net taker flow of 2021.
with flows as (
    select
        base_asset,
        sum(net_taker_usd) as net_taker_usd,
        sum(volume_usd) as volume_usd,
        count(*) as day_count
    from daily_asset_flows
    where
        base_asset in ('ETH', 'SOL', 'ADA', 'BTC')
        and utc_date between date '2021-01-01' and date '2021-12-31'
    group by base_asset
),

summed as (
    select
        sum(net_taker_usd) filter (where base_asset != 'BTC') as net_taker_usd,
        max(net_taker_usd) filter (where base_asset = 'BTC') as btc_net_taker_usd,
        count(*) filter (where base_asset != 'BTC' and day_count >= 347) as known_count,
        count(*) filter (where base_asset != 'BTC' and net_taker_usd > 0) as bought_count,
        string_agg(
            format(
                '{} {:.2f} billion dollars ({:.2f} % of volume, {} days)', base_asset,
                cast(net_taker_usd as double) / 1e9, 100 * cast(net_taker_usd as double) / cast(volume_usd as double),
                day_count
            ), '; '
            order by base_asset
        ) as figures
    from flows
),

pegged as (
    select sum(net_taker_usd) as net_taker_usd
    from daily_control_flow
    where flow_group = 'ETH' and quotes = 'usd_pegged' and utc_date between date '2021-01-01' and date '2021-12-31'
)

select
    case when summed.known_count = 3 then date '2021-12-31' end as utc_date,
    case when summed.known_count = 3 then summed.net_taker_usd end as value,
    case when summed.known_count = 3 then summed.btc_net_taker_usd end as control_value,
    cast(null as double) as p_value,
    case
        when summed.known_count < 3 then 'no data'
        when summed.bought_count = 3 then 'supported'
        when summed.bought_count = 0 then 'contradicted'
        else 'partly'
    end as verdict,
    concat_ws(
        '; ',
        case when summed.known_count < 3 then 'the year 2021 is not covered for all three' end,
        summed.figures,
        format('ETH against dollars and stablecoins alone {:.2f} billion', cast(pegged.net_taker_usd as double) / 1e9)
    ) as evidence
from summed
cross join pegged
