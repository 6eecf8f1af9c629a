-- sentence: With Bitcoin steady and altcoins sold, Bitcoin's dominance rises.
-- unit: ratio
-- rule: value is the correlation, over windows of 30 days, of the change of Bitcoin's covered share of capitalisation
--   with the imbalance of altcoins less that of Bitcoin; the claim wants it below 0. Supported where the 95 % interval
--   is below 0 for the same window and for the next one, partly where for one of them, contradicted where for none.
--   Dominance is made of prices, and the same window's flow moves prices: only the next window is a test of a lead.
--   Without stablecoins and by volume stand beside it.
with correlations as (
    select
        max(last_date) as utc_date,
        max(case when statistic like '%_same_30d' and scope = 'cap_all' then value end) as same_r,
        max(case when statistic like '%_same_30d' and scope = 'cap_all' then ci_low end) as same_low_r,
        max(case when statistic like '%_same_30d' and scope = 'cap_all' then ci_high end) as same_high_r,
        max(case when statistic like '%_same_30d' and scope = 'cap_all' then p_value end) as same_p,
        max(case when statistic like '%_same_30d' and scope = 'cap_all' then observation_count end) as same_count,
        max(case when statistic like '%_next_30d' and scope = 'cap_all' then value end) as next_r,
        max(case when statistic like '%_next_30d' and scope = 'cap_all' then ci_low end) as next_low_r,
        max(case when statistic like '%_next_30d' and scope = 'cap_all' then ci_high end) as next_high_r,
        max(case when statistic like '%_next_30d' and scope = 'cap_all' then observation_count end) as next_count,
        string_agg(
            case when statistic like '%_same_30d' and scope != 'cap_all' then format('{} {:+.2f}', scope, value) end,
            ', '
            order by scope
        ) as others
    from market_statistics
    where statistic like 'dominance_flow_correlation_%'
)

select
    utc_date,
    same_r as value,
    cast(null as double) as control_value,
    same_p as p_value,
    case
        when same_high_r is null or next_high_r is null then 'no data'
        when same_high_r < 0 and next_high_r < 0 then 'supported'
        when same_high_r < 0 or next_high_r < 0 then 'partly'
        else 'contradicted'
    end as verdict,
    case
        when same_high_r is null or next_high_r is null
            then 'fewer than 24 windows of 30 days with flow and capitalisations'
        else concat_ws(
            '; ',
            format(
                'same window r {:+.2f} ({:+.2f} to {:+.2f}, n {}), next window {:+.2f} ({:+.2f} to {:+.2f}, n {})',
                same_r, same_low_r, same_high_r, same_count, next_r, next_low_r, next_high_r, next_count
            ),
            'same window by ' || others
        )
    end as evidence
from correlations
