-- sentence: Deep selling is a contrarian's chance: what was sold most returns most afterwards.
-- unit: ratio
-- rule: value is the mean return of altcoins over the 90 days after days with a 365-day sum in the lowest third of what
--   was known by then, less that after days in the highest third. Supported where the lowest third did better at 30, 90
--   and 180 days and the 95 % intervals at 90 days do not overlap; contradicted where it did better at none; else
--   partly. Windows overlap, so n is counted without overlaps; fewer than 3 in a third at 90 days are no data.
with terciles as (
    select
        horizon_days,
        max(case when bucket = 'tercile_1' then mean_return_ratio end) as low_return_ratio,
        max(case when bucket = 'tercile_3' then mean_return_ratio end) as high_return_ratio,
        max(case when bucket = 'tercile_1' then nonoverlapping_count end) as low_count,
        max(case when bucket = 'tercile_3' then nonoverlapping_count end) as high_count,
        max(case when bucket = 'tercile_1' then ci_low_ratio end) as low_from_ratio,
        max(case when bucket = 'tercile_1' then ci_high_ratio end) as low_to_ratio,
        max(case when bucket = 'tercile_3' then ci_low_ratio end) as high_from_ratio,
        max(case when bucket = 'tercile_3' then ci_high_ratio end) as high_to_ratio,
        max(last_date) as utc_date
    from regime_backtest
    where regime = 'flow_365d'
    group by horizon_days
),

compared as (
    select
        max(utc_date) as utc_date,
        count(*) filter (where low_return_ratio > high_return_ratio) as better_count,
        count(*) filter (where low_return_ratio is not null and high_return_ratio is not null) as horizon_count,
        max(case when horizon_days = 90 then low_return_ratio - high_return_ratio end) as gap_ratio,
        max(case when horizon_days = 90 then least(low_count, high_count) end) as least_count,
        coalesce(bool_or(horizon_days = 90 and low_from_ratio > high_to_ratio), false) as is_apart,
        string_agg(
            format(
                '{} days {:+.1f} against {:+.1f} % (n {} and {}){}', horizon_days, 100 * low_return_ratio,
                100 * high_return_ratio, low_count, high_count,
                coalesce(
                    format(
                        ', intervals {:+.0f} to {:+.0f} and {:+.0f} to {:+.0f} %', 100 * low_from_ratio,
                        100 * low_to_ratio, 100 * high_from_ratio, 100 * high_to_ratio
                    ),
                    ''
                )
            ), '; '
            order by horizon_days
        ) as figures
    from terciles
)

select
    utc_date,
    gap_ratio as value,
    cast(null as double) as control_value,
    cast(null as double) as p_value,
    case
        when coalesce(least_count, 0) < 3 or horizon_count < 3 then 'no data'
        when better_count = 3 and is_apart then 'supported'
        when better_count = 0 then 'contradicted'
        else 'partly'
    end as verdict,
    concat_ws(
        '; ',
        case
            when coalesce(least_count, 0) < 3 or horizon_count < 3
                then 'fewer than three windows that do not overlap in each third at 90 days'
        end,
        'after the lowest and the highest third: ' || figures
    ) as evidence
from compared
