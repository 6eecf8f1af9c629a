-- sentence: Flow explains the returns of altcoins.
-- unit: ratio
-- rule: value is R² of the daily mean return on the altcoins' imbalance of the same day. Supported where it holds out
--   of sample for the same day and for the next (both above 0); partly where for the same day alone: the two are
--   simultaneous, and the price may as well move the flow; contradicted where not even then. p is that of the next
--   day's correlation. Control: Bitcoin's R².
with measured as (
    select
        max(last_date) as utc_date,
        max(case when statistic = 'return_r_squared_same_day' and scope = 'ALT' then value end) as same_ratio,
        max(case when statistic = 'return_r_squared_same_day' and scope = 'ALT' then ci_low end) as same_low_ratio,
        max(case when statistic = 'return_r_squared_same_day' and scope = 'ALT' then ci_high end) as same_high_ratio,
        max(case when statistic = 'return_r_squared_same_day' and scope = 'ALT' then observation_count end)
            as day_count,
        max(case when statistic = 'return_r_squared_same_day' and scope = 'BTC' then value end) as btc_ratio,
        max(case when statistic = 'return_r_squared_same_day_out_of_sample' and scope = 'ALT' then value end)
            as same_out_ratio,
        max(case when statistic = 'return_r_squared_next_day' and scope = 'ALT' then value end) as next_ratio,
        max(case when statistic = 'return_r_squared_next_day_out_of_sample' and scope = 'ALT' then value end)
            as next_out_ratio,
        max(case when statistic = 'flow_return_correlation_lead_1d' and scope = 'ALT' then value end) as next_r,
        max(case when statistic = 'flow_return_correlation_lead_1d' and scope = 'ALT' then p_value end) as next_p
    from market_statistics
)

select
    utc_date,
    same_ratio as value,
    btc_ratio as control_value,
    next_p as p_value,
    case
        when same_out_ratio is null or next_out_ratio is null then 'no data'
        when same_out_ratio > 0 and next_out_ratio > 0 then 'supported'
        when same_out_ratio > 0 then 'partly'
        else 'contradicted'
    end as verdict,
    case
        when same_out_ratio is null or next_out_ratio is null then 'no covered stretch of two years'
        else format(
            'same day R² {:.3f} ({:.3f} to {:.3f}, {} days), out of sample {:.3f}; next day {:.4f}, out of sample '
            || '{:+.4f}, r {:.3f} (p {:.3f}); Bitcoin the same day {:.3f}',
            same_ratio, same_low_ratio, same_high_ratio, day_count, same_out_ratio, next_ratio, next_out_ratio, next_r,
            next_p, btc_ratio
        )
    end as evidence
from measured
