-- sentence: The path of least resistance is down.
-- unit: ratio
-- rule: value is the mean share of altcoins at their lowest close of 90 days, over the newest 30 covered days.
--   Supported where it is above 0.06 (what a random walk without drift gives: 1 / sqrt(89 pi), Sparre Andersen 1953)
--   and above its own mean before; partly where one of the two holds; contradicted where neither. It says where prices
--   are: not a forecast. Control: the share of the same days on which Bitcoin was at its own low.
with days as (
    select
        utc_date,
        at_90d_low_share_ratio
    from daily_market_dispersion
    where is_covered and at_90d_low_share_ratio is not null
),

newest as (
    select max(utc_date) as utc_date from days
),

shares as (
    select
        avg(days.at_90d_low_share_ratio) filter (where days.utc_date > newest.utc_date - 30) as low_ratio,
        count(*) filter (where days.utc_date > newest.utc_date - 30) as day_count,
        avg(days.at_90d_low_share_ratio) filter (where days.utc_date <= newest.utc_date - 30) as earlier_ratio,
        count(*) filter (where days.utc_date <= newest.utc_date - 30) as earlier_days,
        arg_max(days.at_90d_low_share_ratio, days.utc_date) as newest_ratio
    from newest
    left join days on newest.utc_date >= days.utc_date
),

judged as (
    select
        *,
        day_count >= 29 and earlier_days >= 90 as is_known
    from shares
),

closes as (
    select
        flows.utc_date,
        newest.utc_date as newest_date,
        flows.close_price_usd <= min(flows.close_price_usd) over (
            order by flows.utc_date - date '1970-01-01' range between 89 preceding and current row
        ) as is_low
    from newest
    inner join daily_asset_flows as flows
        on newest.utc_date - 119 <= flows.utc_date and newest.utc_date >= flows.utc_date
    where flows.base_asset = 'BTC'
),

bitcoin as (
    select avg(case when is_low then 1.0 else 0.0 end) as low_ratio
    from closes
    where utc_date > newest_date - 30
)

select
    newest.utc_date,
    case when judged.is_known then judged.low_ratio end as value,
    case when judged.is_known then bitcoin.low_ratio end as control_value,
    cast(null as double) as p_value,
    case
        when not judged.is_known then 'no data'
        when judged.low_ratio > 0.06 and judged.low_ratio > judged.earlier_ratio then 'supported'
        when judged.low_ratio > 0.06 or judged.low_ratio > judged.earlier_ratio then 'partly'
        else 'contradicted'
    end as verdict,
    case
        when not judged.is_known then 'fewer than 119 covered days with lows of 90 days'
        else concat_ws(
            '; ',
            format(
                '{:.1f} % of altcoins at their 90-day low on a mean day of the newest {}, {:.1f} % on {} days before',
                100 * judged.low_ratio, judged.day_count, 100 * judged.earlier_ratio, judged.earlier_days
            ),
            format('on the last day {:.1f} %', 100 * judged.newest_ratio),
            'a random walk gives 6.0 %',
            format('Bitcoin {:.1f} % of the same days', 100 * bitcoin.low_ratio)
        )
    end as evidence
from newest
cross join judged
cross join bitcoin
