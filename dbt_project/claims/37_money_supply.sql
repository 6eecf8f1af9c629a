-- sentence: Altcoins follow money supply and global liquidity.
-- unit: ratio
-- rule: correlations of the altcoins' imbalance (30 days) with the yearly change of M2 and of the Federal Reserve's
--   balance sheet 0 to 180 days before; value is the one with the least p. Supported where a positive one survives the
--   correction for all tests (Holm, .05), partly where one is below .05 before it only, contradicted where none is.
--   Hindsight: today's revisions, and publication lags are not known. Control: Bitcoin's with the same series and lag.
with strongest as (
    select *
    from macro_correlations
    where flow_group = 'ALT' and series_id in ('M2SL', 'WALCL') and p_value is not null
    order by p_value, series_id, lag_days
    limit 1
),

counted as (
    select
        count(*) as correlation_count,
        count(*) filter (where correlation_ratio > 0 and p_value < 0.05) as uncorrected_count,
        count(*) filter (where correlation_ratio > 0 and holm_p_value < 0.05) as corrected_count,
        count(*) filter (where correlation_ratio < 0 and holm_p_value < 0.05) as negative_count
    from macro_correlations
    where flow_group = 'ALT' and series_id in ('M2SL', 'WALCL') and p_value is not null
)

select
    strongest.last_date as utc_date,
    strongest.correlation_ratio as value,
    control.correlation_ratio as control_value,
    strongest.holm_p_value as p_value,
    case
        when counted.correlation_count = 0 then 'no data'
        when counted.corrected_count > 0 then 'supported'
        when counted.uncorrected_count > 0 then 'partly'
        else 'contradicted'
    end as verdict,
    case
        when counted.correlation_count = 0 then 'fewer than 24 windows of 30 days with flow and money supply'
        else concat_ws(
            '; ',
            format(
                '{} of {} correlations are above 0 with p < .05, {} after correction for {} tests ({} below 0)',
                counted.uncorrected_count, counted.correlation_count, counted.corrected_count, strongest.test_count,
                counted.negative_count
            ),
            format(
                'strongest: {} at {} days, r {:+.2f} ({:+.2f} to {:+.2f}), p {:.3f}, corrected {:.3f}, {} windows '
                || 'worth {:.0f}',
                strongest.series_id, strongest.lag_days, strongest.correlation_ratio, strongest.lower_ratio,
                strongest.upper_ratio, strongest.p_value, strongest.holm_p_value, strongest.window_count,
                strongest.effective_window_count
            )
        )
    end as evidence
from counted
left join strongest on counted.correlation_count > 0
left join macro_correlations as control
    on
        strongest.series_id = control.series_id
        and strongest.lag_days = control.lag_days
        and control.flow_group = 'BTC'
