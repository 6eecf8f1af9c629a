-- sentence: The selling of altcoins is absorbed: takers sell, and prices do not fall.
-- unit: ratio
-- rule: value is the share of days with a return of 0 or more (weighted by volume) among the net-sold days of the
--   newest 365. Supported where it is above Bitcoin's share over the same days and above the altcoins' own share
--   before; partly where one of the two holds; contradicted where neither; fewer than 90 days of each are no data. Flow
--   and return of one day move each other.
with days as (
    select
        regimes.utc_date,
        case when regimes.is_active then 1.0 else 0.0 end as is_absorbed,
        case when regimes.definition_id = 'absorption' then 'ALT' else 'BTC' end as flow_group
    from daily_regime as regimes
    inner join daily_control_flow as flows
        on
            regimes.utc_date = flows.utc_date
            and flows.flow_group = case when regimes.definition_id = 'absorption' then 'ALT' else 'BTC' end
            and flows.quotes = 'all'
    where
        regimes.family = 'absorption'
        and regimes.is_covered
        and regimes.is_active is not null
        and flows.net_taker_usd < 0
),

newest as (
    select max(utc_date) as utc_date from daily_regime where family = 'absorption' and is_covered
),

shares as (
    select
        avg(days.is_absorbed) filter (where days.flow_group = 'ALT' and days.utc_date > newest.utc_date - 365)
            as alt_ratio,
        count(*) filter (where days.flow_group = 'ALT' and days.utc_date > newest.utc_date - 365) as alt_days,
        avg(days.is_absorbed) filter (where days.flow_group = 'BTC' and days.utc_date > newest.utc_date - 365)
            as btc_ratio,
        count(*) filter (where days.flow_group = 'BTC' and days.utc_date > newest.utc_date - 365) as btc_days,
        avg(days.is_absorbed) filter (where days.flow_group = 'ALT' and days.utc_date <= newest.utc_date - 365)
            as earlier_ratio,
        count(*) filter (where days.flow_group = 'ALT' and days.utc_date <= newest.utc_date - 365) as earlier_days
    from newest
    left join days on newest.utc_date >= days.utc_date
),

judged as (
    select
        *,
        alt_days >= 90 and btc_days >= 90 and earlier_days >= 90 as is_known
    from shares
)

select
    newest.utc_date,
    case when judged.is_known then judged.alt_ratio end as value,
    case when judged.is_known then judged.btc_ratio end as control_value,
    cast(null as double) as p_value,
    case
        when not judged.is_known then 'no data'
        when judged.alt_ratio > judged.btc_ratio and judged.alt_ratio > judged.earlier_ratio then 'supported'
        when judged.alt_ratio > judged.btc_ratio or judged.alt_ratio > judged.earlier_ratio then 'partly'
        else 'contradicted'
    end as verdict,
    case
        when not judged.is_known
            then format(
                'fewer than 90 net-sold days to compare: {} of altcoins, {} of Bitcoin, {} of altcoins before',
                judged.alt_days, judged.btc_days, judged.earlier_days
            )
        else format(
            'prices held on {:.1f} % of {} net-sold days of altcoins, on {:.1f} % of {} of Bitcoin, and on {:.1f} % of '
            || '{} of altcoins before',
            100 * judged.alt_ratio, judged.alt_days, 100 * judged.btc_ratio, judged.btc_days,
            100 * judged.earlier_ratio, judged.earlier_days
        )
    end as evidence
from newest
cross join judged
