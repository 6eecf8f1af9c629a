-- sentence: The market for altcoins is efficient: past returns say nothing about the next.
-- unit: ratio
-- rule: value is the variance ratio at 30 days (1 in an efficient market). Seven tests, variance ratios at 2, 5, 10 and
--   30 days and autocorrelations at 1, 5 and 60 days, so each is held against .05 / 7. Supported where none rejects,
--   contradicted where a variance ratio does, partly where an autocorrelation alone does. p is the smallest of the
--   seven, times seven. Not to reject is no proof. Control: Bitcoin's ratio.
with tests as (
    select
        scope,
        max(last_date) as utc_date,
        count(*) as test_count,
        max(case when statistic = 'variance_ratio_30d' then value end) as variance_ratio,
        max(case when statistic = 'variance_ratio_30d' then ci_low end) as low_ratio,
        max(case when statistic = 'variance_ratio_30d' then ci_high end) as high_ratio,
        min(p_value) as least_p,
        arg_min(statistic, p_value) as least_statistic,
        arg_min(value, p_value) as least_value,
        count(*) filter (where p_value < 0.05 / 7) as rejected_count,
        count(*) filter (where p_value < 0.05 / 7 and statistic like 'variance_ratio_%') as rejected_ratio_count,
        max(observation_count) as day_count
    from market_statistics
    where statistic like 'variance_ratio_%' or statistic like 'return_autocorrelation_%'
    group by scope
),

one_row as (
    select count(*) as group_count from tests
)

select
    altcoins.utc_date,
    altcoins.variance_ratio as value,
    bitcoin.variance_ratio as control_value,
    case when altcoins.least_p is not null then least(1.0, altcoins.least_p * altcoins.test_count) end as p_value,
    case
        when one_row.group_count = 0 or altcoins.variance_ratio is null then 'no data'
        when altcoins.rejected_ratio_count > 0 then 'contradicted'
        when altcoins.rejected_count > 0 then 'partly'
        else 'supported'
    end as verdict,
    case
        when one_row.group_count = 0 or altcoins.variance_ratio is null then 'no covered stretch of a year'
        else concat_ws(
            '; ',
            format(
                '{} of {} tests reject over {} days', altcoins.rejected_count, altcoins.test_count, altcoins.day_count
            ),
            format(
                'variance ratio at 30 days {:.2f} ({:.2f} to {:.2f}), Bitcoin {:.2f}', altcoins.variance_ratio,
                altcoins.low_ratio, altcoins.high_ratio, bitcoin.variance_ratio
            ),
            format(
                'nearest to rejection: {} = {:.3f}, p {:.3f}', altcoins.least_statistic, altcoins.least_value,
                altcoins.least_p
            ),
            format('of Bitcoin {} reject', bitcoin.rejected_count)
        )
    end as evidence
from one_row
left join tests as altcoins on altcoins.scope = 'ALT'
left join tests as bitcoin on bitcoin.scope = 'BTC'
