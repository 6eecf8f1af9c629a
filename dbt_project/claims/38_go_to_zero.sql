-- sentence: Thousands of altcoins go to zero.
-- unit: count
-- rule: value is the number of altcoins that ended on the covered exchanges (delisted on all of them, or 30 days
--   without a trade). Supported from 1,000 on. Where fewer were ever followed than that, "thousands" cannot be seen:
--   partly where the lower end of the 95 % interval of the share that ends within four years is above a tenth,
--   contradicted where the upper end is below it, no data between. Zero is more than delisted: where a coin was last
--   priced stands beside it. Coins that trade on or leave the recording are censored, not alive.
with lives as (
    select
        count(*) as coin_count,
        count(*) filter (where not is_censored) as ended_count,
        count(*) filter (where life_status = 'not_observed') as unseen_count,
        max(last_traded_date) as utc_date
    from asset_survival
),

curve as (
    select
        max(age_days) as age_days,
        arg_max(1 - survival_ratio, age_days) as ended_ratio,
        arg_max(1 - survival_high_ratio, age_days) as ended_low_ratio,
        arg_max(1 - survival_low_ratio, age_days) as ended_high_ratio,
        arg_max(cumulative_hazard_ratio, age_days) as hazard_ratio,
        arg_max(at_risk_count, age_days) as at_risk_count
    from survival_curves
    where cohort = 'all' and age_days <= 1461
),

prices as (
    select
        median(drawdown_ratio) filter (where life_status = 'delisted') as delisted_ratio,
        count(*) filter (where life_status = 'delisted' and drawdown_ratio <= -0.99) as lost_99_count
    from asset_drawdowns
    where definition_id = 'running_peak'
),

judged as (
    select coalesce(curve.age_days >= 1096 and curve.ended_low_ratio is not null, false) as is_known
    from curve
)

select
    lives.utc_date,
    case when lives.coin_count > 0 then lives.ended_count end as value,
    cast(null as double) as control_value,
    cast(null as double) as p_value,
    case
        when lives.ended_count >= 1000 then 'supported'
        when not judged.is_known then 'no data'
        when curve.ended_low_ratio > 0.1 then 'partly'
        when curve.ended_high_ratio < 0.1 then 'contradicted'
        else 'no data'
    end as verdict,
    concat_ws(
        '; ',
        format(
            '{} of {} altcoins ended on the covered exchanges, {} left the recording', lives.ended_count,
            lives.coin_count, lives.unseen_count
        ),
        case
            when judged.is_known
                then format(
                    '{:.1f} % end within four years ({:.1f} to {:.1f} %, Kaplan-Meier, {} at risk then, {:.2f} ends '
                    || 'per coin)',
                    100 * curve.ended_ratio, 100 * curve.ended_low_ratio, 100 * curve.ended_high_ratio,
                    curve.at_risk_count, curve.hazard_ratio
                )
            else 'no altcoin with a known listing has been followed for three years, or none has ended'
        end,
        format(
            'the median delisted coin was last priced {:.1f} % below its peak, {} of them 99 % or more',
            100 * prices.delisted_ratio, prices.lost_99_count
        )
    ) as evidence
from lives
cross join curve
cross join prices
cross join judged
