-- sentence: Institutions dominate the trading of altcoins.
-- unit: ratio
-- rule: size is a proxy and no name, so at most partly: where trades of 100,000 dollars and more make at least half of
--   the volume of the altcoin trades read one by one in the last 30 days; else contradicted. Control is the same of
--   Bitcoin. No data where fewer than 20 of these days were read. An order filled in many trades hides; the flow of
--   funds against spot volume stands beside.
with newest as (
    select max(utc_date) as utc_date
    from daily_retail_proxy
    where asset_group = 'ALT' and from_100k_volume_usd is not null
),

sizes as (
    select
        days.asset_group,
        sum(cast(days.from_100k_volume_usd as double))
        / nullif(sum(cast(
            days.below_1k_volume_usd + days.from_1k_volume_usd + days.from_10k_volume_usd + days.from_100k_volume_usd
            as double
        )), 0) as large_ratio,
        avg(days.sized_volume_share_ratio) as sized_ratio,
        count(days.from_100k_volume_usd) as day_count
    from daily_retail_proxy as days
    cross join newest
    where
        days.asset_group in ('ALT', 'BTC') and days.utc_date > newest.utc_date - 30 and newest.utc_date >= days.utc_date
    group by days.asset_group
),

shares as (
    select
        any_value(large_ratio) filter (where asset_group = 'ALT') as alt_ratio,
        any_value(large_ratio) filter (where asset_group = 'BTC') as btc_ratio,
        any_value(sized_ratio) filter (where asset_group = 'ALT') as sized_ratio,
        any_value(day_count) filter (where asset_group = 'ALT') as day_count
    from sizes
),

funds as (
    select
        count(flow_spot_volume_ratio) as day_count,
        avg(abs(flow_spot_volume_ratio)) as flow_volume_ratio
    from etf_flows_daily
)

select
    newest.utc_date,
    shares.alt_ratio as value,
    shares.btc_ratio as control_value,
    null as p_value,
    case
        when shares.alt_ratio is null or shares.day_count < 20 then 'no data'
        when shares.alt_ratio >= 0.5 then 'partly'
        else 'contradicted'
    end as verdict,
    concat_ws(
        '; ',
        case when shares.alt_ratio is null then 'no altcoin trades were read one by one' end,
        format(
            'trades of 100,000 dollars and more: {:.1f} % of what was read on {} days, which is {:.0f} % of the volume',
            100 * shares.alt_ratio, shares.day_count, 100 * shares.sized_ratio
        ),
        format('Bitcoin {:.1f} %', 100 * shares.btc_ratio),
        case when funds.day_count = 0 then 'no ETF flows imported' end,
        format(
            'ETF flow {:.1f} % of Bitcoin''s spot volume, mean of {} days', 100 * funds.flow_volume_ratio,
            funds.day_count
        )
    ) as evidence
from newest
cross join shares
cross join funds
