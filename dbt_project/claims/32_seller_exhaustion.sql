-- sentence: The sellers of altcoins are exhausted.
-- unit: points
-- rule: value is the exhaustion score, 0 to 4, one point each for a 365-day sum among the lowest 5 % of two years, its
--   slope not falling, low volume, and low price impact of net sells; the weights were fixed in advance. Supported from
--   3 on, partly at 2, contradicted below. What days with 3 or 4 were followed by stands beside it, with n: a score is
--   no forecast.
with newest as (
    select
        max(utc_date) as utc_date,
        arg_max(score_count, utc_date) as score_count,
        arg_max(rank_ratio, utc_date) as rank_ratio,
        max(score_count) as highest_count,
        count(*) as day_count
    from daily_regime
    where definition_id = 'exhaustion' and is_covered and score_count is not null
),

followed as (
    select
        max(case when bucket = 'active' then mean_return_ratio end) as active_return_ratio,
        max(case when bucket = 'active' then positive_share_ratio end) as active_positive_ratio,
        max(case when bucket = 'active' then observation_count end) as active_days,
        max(case when bucket = 'active' then nonoverlapping_count end) as active_count,
        max(case when bucket = 'active' then ci_low_ratio end) as active_low_ratio,
        max(case when bucket = 'active' then ci_high_ratio end) as active_high_ratio,
        max(case when bucket = 'inactive' then mean_return_ratio end) as inactive_return_ratio,
        max(case when bucket = 'inactive' then positive_share_ratio end) as inactive_positive_ratio
    from regime_backtest
    where regime = 'exhaustion_3_or_4' and horizon_days = 90
)

select
    newest.utc_date,
    newest.score_count as value,
    cast(null as double) as control_value,
    cast(null as double) as p_value,
    case
        when newest.score_count is null then 'no data'
        when newest.score_count >= 3 then 'supported'
        when newest.score_count = 2 then 'partly'
        else 'contradicted'
    end as verdict,
    case
        when newest.score_count is null then 'no covered day with all four parts, which take three years of history'
        else concat_ws(
            '; ',
            format(
                'score {} of 4, the sum at rank {:.2f} of two years; highest score of {} days {}', newest.score_count,
                newest.rank_ratio, newest.day_count, newest.highest_count
            ),
            format(
                'after {} days with 3 or 4 (90 days ahead, {} that do not overlap) a mean of {:+.1f} %, above 0 in '
                || '{:.0f} %, after others {:+.1f} % and {:.0f} %',
                followed.active_days, followed.active_count, 100 * followed.active_return_ratio,
                100 * followed.active_positive_ratio, 100 * followed.inactive_return_ratio,
                100 * followed.inactive_positive_ratio
            ),
            format(
                '95 % interval {:+.1f} to {:+.1f} %', 100 * followed.active_low_ratio, 100 * followed.active_high_ratio
            )
        )
    end as evidence
from newest
cross join followed
