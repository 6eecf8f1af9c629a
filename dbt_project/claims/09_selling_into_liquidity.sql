-- sentence: Holders of altcoins use every bit of liquidity to get out.
-- unit: ratio
-- rule: value is the mean imbalance of days with a negative return less that of all other days; Bitcoin is the control.
--   Supported where its 95 % interval lies below 0 and below Bitcoin's; partly where it lies below 0 but not below
--   Bitcoin's; contradicted where it reaches 0. Flow and return of a day are simultaneous: this says that takers sell
--   when prices fall, not why.
with alts as (
    select
        max(last_date) as utc_date,
        any_value(value) as down_ratio,
        any_value(ci_low) as low_ratio,
        any_value(ci_high) as high_ratio,
        any_value(p_value) as p_value,
        any_value(observation_count) as day_count
    from market_statistics
    where statistic = 'imbalance_down_days_less_others' and scope = 'ALT'
),

controls as (
    select
        any_value(value) filter (where scope = 'BTC') as btc_ratio,
        any_value(ci_low) filter (where scope = 'BTC') as btc_low_ratio,
        any_value(value) filter (where scope = 'ETH') as eth_ratio
    from market_statistics
    where statistic = 'imbalance_down_days_less_others'
)

select
    alts.utc_date,
    alts.down_ratio as value,
    controls.btc_ratio as control_value,
    alts.p_value,
    case
        when alts.down_ratio is null then 'no data'
        when alts.high_ratio >= 0 then 'contradicted'
        when alts.high_ratio < controls.btc_low_ratio then 'supported'
        else 'partly'
    end as verdict,
    case
        when alts.down_ratio is null then 'less than a year of covered days'
        else concat_ws(
            '; ',
            format(
                'down days have {:.2f} points less imbalance than others, which is {:.2f} points more taker sells',
                -100 * alts.down_ratio, -50 * alts.down_ratio
            ),
            format(
                '{:.2f} ({:.2f} to {:.2f}), n = {} days', 100 * alts.down_ratio, 100 * alts.low_ratio,
                100 * alts.high_ratio, alts.day_count
            ),
            format('Bitcoin {:.2f}', 100 * controls.btc_ratio),
            format('Ether {:.2f}', 100 * controls.eth_ratio)
        )
    end as evidence
from alts
cross join controls
