-- sentence: Holders of altcoins capitulate.
-- unit: days
-- rule: value is the number of days of the newest 90 on which D1 holds (taker sells unusually high, return in the
--   lowest 5 %, 70 % of altcoins net sold). Supported where each of the three definitions held on at least one of the
--   90 days, contradicted where none did, else partly. D2 rests on returns alone, D3 on three days. How often 90 days
--   of the covered history would count as supported stands beside it; no definition is tuned to a date.
with days as (
    select
        utc_date,
        utc_date - date '1970-01-01' as epoch_days,
        max(case when definition_id = 'capitulation_d1' and is_active then 1 else 0 end) as is_d1,
        max(case when definition_id = 'capitulation_d2' and is_active then 1 else 0 end) as is_d2,
        max(case when definition_id = 'capitulation_d3' and is_active then 1 else 0 end) as is_d3
    from daily_regime
    where family = 'capitulation' and is_covered and is_active is not null
    group by utc_date
),

windows as (
    select
        utc_date,
        sum(is_d1) over days_90 as d1_days,
        sum(is_d2) over days_90 as d2_days,
        sum(is_d3) over days_90 as d3_days,
        count(*) over days_90 as day_count
    from days
    window days_90 as (order by epoch_days range between 89 preceding and current row)
),

newest as (
    select
        max(utc_date) as utc_date,
        arg_max(d1_days, utc_date) as d1_days,
        arg_max(d2_days, utc_date) as d2_days,
        arg_max(d3_days, utc_date) as d3_days,
        arg_max(day_count, utc_date) as day_count,
        avg(case when d1_days > 0 and d2_days > 0 and d3_days > 0 then 1 else 0 end) filter (where day_count >= 86)
            as base_ratio
    from windows
),

totals as (
    select
        count(*) filter (where is_d1 = 1) as d1_days,
        count(*) filter (where is_d2 = 1) as d2_days,
        count(*) filter (where is_d3 = 1) as d3_days,
        max(utc_date) filter (where is_d1 = 1) as last_d1_date,
        count(*) as day_count
    from days
)

select
    newest.utc_date,
    case when newest.day_count >= 86 then newest.d1_days end as value,
    cast(null as double) as control_value,
    cast(null as double) as p_value,
    case
        when coalesce(newest.day_count, 0) < 86 then 'no data'
        when newest.d1_days > 0 and newest.d2_days > 0 and newest.d3_days > 0 then 'supported'
        when newest.d1_days + newest.d2_days + newest.d3_days = 0 then 'contradicted'
        else 'partly'
    end as verdict,
    case
        when coalesce(newest.day_count, 0) < 86 then 'no 90 covered days on which a definition can say yes or no'
        else concat_ws(
            '; ',
            format(
                'of 90 days D1 held on {}, D2 on {}, D3 on {}', newest.d1_days, newest.d2_days, newest.d3_days
            ),
            format(
                'of {} covered days on {}, {} and {}', totals.day_count, totals.d1_days, totals.d2_days, totals.d3_days
            ),
            format('D1 last on {}', totals.last_d1_date),
            format('all three within 90 days: {:.0f} % of the history', 100 * newest.base_ratio)
        )
    end as evidence
from newest
cross join totals
