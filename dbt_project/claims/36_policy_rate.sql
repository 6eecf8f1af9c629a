-- sentence: The Federal Reserve's rate decisions are the catalyst for altcoins.
-- unit: ratio
-- rule: value is the mean change of the altcoins' imbalance from the five days before a change of the policy rate to
--   the day of the decision and the five after, rises with the opposite sign. The null moves all dates together to
--   every other place of the stretch. Supported where flow and return both rise with p below .025 (two tests), partly
--   where one of them or the size of the move (11 days, either direction) is beyond its null, contradicted where
--   nothing is. Control: Bitcoin's change.
with studied as (
    select
        max(last_date) as utc_date,
        max(case when statistic = 'rate_change_imbalance_shift' and scope = 'ALT' then value end) as shift_ratio,
        max(case when statistic = 'rate_change_imbalance_shift' and scope = 'ALT' then p_value end) as shift_p,
        max(case when statistic = 'rate_change_imbalance_shift' and scope = 'BTC' then value end) as btc_shift_ratio,
        max(case when statistic = 'rate_change_return' and scope = 'ALT' then value end) as return_ratio,
        max(case when statistic = 'rate_change_return' and scope = 'ALT' then p_value end) as return_p,
        max(case when statistic = 'rate_change_return' and scope = 'BTC' then value end) as btc_return_ratio,
        max(case when statistic = 'rate_change_return' and scope = 'BTC' then p_value end) as btc_return_p,
        max(case when statistic = 'rate_change_absolute_return' and scope = 'ALT' then value end) as size_ratio,
        max(case when statistic = 'rate_change_absolute_return' and scope = 'ALT' then p_value end) as size_p,
        max(observation_count) as event_count,
        max(path_count) as placebo_count
    from market_statistics
    where statistic like 'rate_change_%'
)

select
    utc_date,
    shift_ratio as value,
    btc_shift_ratio as control_value,
    shift_p as p_value,
    case
        when shift_ratio is null then 'no data'
        when shift_ratio > 0 and shift_p < 0.025 and return_ratio > 0 and return_p < 0.025 then 'supported'
        when
            (shift_ratio > 0 and shift_p < 0.025) or (return_ratio > 0 and return_p < 0.025) or size_p < 0.05
            then 'partly'
        else 'contradicted'
    end as verdict,
    case
        when shift_ratio is null
            then 'fewer than five changes of the rate in the covered stretch, or no rate is stored'
        else format(
            '{} changes against {} placebos: easing moves the imbalance by {:+.2f} points (p {:.3f}), the return of '
            || 'six days is {:+.1f} % (p {:.3f}; Bitcoin {:+.1f} %, p {:.3f}), the move of eleven days {:.1f} % in '
            || 'size (p {:.3f})',
            event_count, placebo_count, 100 * shift_ratio, shift_p, 100 * return_ratio, return_p,
            100 * btc_return_ratio, btc_return_p, 100 * size_ratio, size_p
        )
    end as evidence
from studied
