-- sentence: Yield elsewhere pulls money away from altcoins.
-- unit: ratio
-- rule: yields on stablecoins are not collected, so the policy rate stands for what money earns elsewhere, and at most
--   partly. Value is the lowest correlation (lags of 0 to 180 days) of the altcoins' 30-day flow with the change of the
--   Federal Reserve's rate over a year, control Bitcoin's at the same lag. Partly where it is below 0 and significant
--   after Holm's correction; contradicted where its 95 % interval lies above -0.5; else no data: too few independent
--   windows to tell nothing from much. A stablecoin's yield against the 3-month bill would decide.
with lags as (
    select
        count(correlation_ratio) as lag_count,
        min(correlation_ratio) as lowest_ratio,
        arg_min(lag_days, correlation_ratio) as lag_days,
        arg_min(lower_ratio, correlation_ratio) as lower_ratio,
        arg_min(upper_ratio, correlation_ratio) as upper_ratio,
        arg_min(p_value, correlation_ratio) as single_p,
        arg_min(holm_p_value, correlation_ratio) as holm_p,
        arg_min(effective_window_count, correlation_ratio) as effective_count,
        arg_min(window_count, correlation_ratio) as window_count,
        arg_min(last_date, correlation_ratio) as last_date,
        max(correlation_ratio) as highest_ratio,
        max(test_count) as test_count
    from macro_correlations
    where flow_group = 'ALT' and series_id = 'DFF'
),

rates as (
    select
        max(utc_date) as utc_date,
        arg_max(value, utc_date) as rate_percent
    from daily_macro
    where series_id = 'DFF' and is_newest and value is not null
)

select
    lags.last_date as utc_date,
    lags.lowest_ratio as value,
    bitcoin.correlation_ratio as control_value,
    lags.holm_p as p_value,
    case
        when lags.lowest_ratio < 0 and lags.holm_p < 0.05 then 'partly'
        when lags.lower_ratio > -0.5 then 'contradicted'
        else 'no data'
    end as verdict,
    concat_ws(
        '; ',
        case when lags.lag_count = 0 then 'fewer than 24 windows of flow and rate: no correlation' end,
        format(
            'correlation {:.2f} ({:.2f} to {:.2f}) at a lag of {} days, {:.2f} at the weakest; {} windows of 30 days '
            || 'tell as much as {:.0f}; p = {:.2f} alone, {:.2f} after correction for {} tests',
            lags.lowest_ratio, lags.lower_ratio, lags.upper_ratio, lags.lag_days, lags.highest_ratio, lags.window_count,
            lags.effective_count, lags.single_p, lags.holm_p, lags.test_count
        ),
        format('Bitcoin {:+.2f}', bitcoin.correlation_ratio),
        format('policy rate {:.2f} % on {}', cast(rates.rate_percent as double), rates.utc_date),
        'no yields on stablecoins are collected'
    ) as evidence
from lags
cross join rates
left join macro_correlations as bitcoin
    on lags.lag_days = bitcoin.lag_days and bitcoin.flow_group = 'BTC' and bitcoin.series_id = 'DFF'
