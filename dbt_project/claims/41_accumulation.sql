-- sentence: Net selling of altcoins turns to accumulation.
-- unit: ratio
-- rule: value is the share of altcoins whose 30-day imbalance exceeds their own mean of 365 days, lagged by 30.
--   Supported where the state of accumulation holds on the newest covered day (entered at 55 % with the aggregate above
--   its mean on 21 of 30 days, left below 45 %), contradicted where it does not hold, breadth is below 45 % and fewer
--   than 15 of 30 days are above; else partly. Against zero the same state is useless and stands beside it. A state is
--   no forecast; what followed is told with n.
with newest as (
    select
        max(utc_date) as utc_date,
        arg_max(is_active, utc_date) as is_active,
        arg_max(breadth_share_ratio, utc_date) as breadth_ratio,
        arg_max(aggregate_days, utc_date) as aggregate_days,
        arg_max(cumulative_active_days, utc_date) as active_days,
        arg_max(cumulative_flip_count, utc_date) as flip_count
    from daily_regime
    where definition_id = 'accumulation' and is_covered and is_active is not null
),

against_zero as (
    select
        arg_max(is_active, utc_date) as is_active,
        arg_max(cumulative_flip_count, utc_date) as flip_count
    from daily_regime
    where definition_id = 'zero_threshold' and is_covered and is_active is not null
),

sweep as (
    select
        min(flip_count) as least_flip_count,
        max(flip_count) as most_flip_count,
        min(active_days) as least_active_days,
        max(active_days) as most_active_days
    from regime_sweep
    where definition_id like 'accumulation%'
),

followed as (
    select
        max(case when bucket = 'active' then mean_return_ratio end) as active_ratio,
        max(case when bucket = 'active' then nonoverlapping_count end) as active_count,
        max(case when bucket = 'inactive' then mean_return_ratio end) as inactive_ratio,
        max(case when bucket = 'inactive' then nonoverlapping_count end) as inactive_count
    from regime_backtest
    where regime = 'accumulation' and horizon_days = 90
)

select
    newest.utc_date,
    newest.breadth_ratio as value,
    cast(null as double) as control_value,
    cast(null as double) as p_value,
    case
        when newest.is_active is null then 'no data'
        when newest.is_active then 'supported'
        when newest.breadth_ratio < 0.45 and newest.aggregate_days < 15 then 'contradicted'
        else 'partly'
    end as verdict,
    case
        when newest.is_active is null then 'no covered day with the 425 days of history that the state takes'
        else concat_ws(
            '; ',
            format(
                'breadth {:.1f} %, aggregate above its mean on {} of 30 days: {}', 100 * newest.breadth_ratio,
                newest.aggregate_days, case when newest.is_active then 'accumulation' else 'no accumulation' end
            ),
            format(
                '{} days and {} flips so far, over all thresholds tried {} to {} days and {} to {} flips',
                newest.active_days, newest.flip_count, sweep.least_active_days, sweep.most_active_days,
                sweep.least_flip_count, sweep.most_flip_count
            ),
            format('against zero {} flips', against_zero.flip_count),
            format(
                '90 days later {:+.1f} % after such days and {:+.1f} % after others (n {} and {})',
                100 * followed.active_ratio, 100 * followed.inactive_ratio, followed.active_count,
                followed.inactive_count
            )
        )
    end as evidence
from newest
cross join against_zero
cross join sweep
cross join followed
