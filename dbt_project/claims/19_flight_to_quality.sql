-- sentence: Money flees into the large altcoins.
-- unit: ratio
-- rule: value is the mean daily return, over 90 days, of the tenth of altcoins traded most less that of the tenth
--   traded least. Supported where it and the spread of imbalance are above 0 and so is the return spread of the whole
--   history against random tenths (p < .05); partly where one of the two of 90 days is above 0; else contradicted.
--   Tenths are formed on the 30 days before; a small coin's return is inflated where its last price bounces.
with newest as (
    select max(spreads.utc_date) as utc_date
    from daily_quality_spread as spreads
    inner join daily_market_dispersion as market on spreads.utc_date = market.utc_date and market.is_covered
    where spreads.rolling_90d_return_spread_ratio is not null and spreads.rolling_90d_imbalance_spread_ratio is not null
),

history as (
    select
        any_value(value) as spread_ratio,
        any_value(p_value) as p_value,
        any_value(observation_count) as day_count
    from market_statistics
    where statistic = 'big_less_small_return' and scope = 'ALT'
)

select
    newest.utc_date,
    spreads.rolling_90d_return_spread_ratio as value,
    cast(null as double) as control_value,
    history.p_value,
    case
        when newest.utc_date is null then 'no data'
        when
            spreads.rolling_90d_return_spread_ratio > 0 and spreads.rolling_90d_imbalance_spread_ratio > 0
            and history.spread_ratio > 0 and history.p_value < 0.05
            then 'supported'
        when spreads.rolling_90d_return_spread_ratio > 0 or spreads.rolling_90d_imbalance_spread_ratio > 0 then 'partly'
        else 'contradicted'
    end as verdict,
    case
        when newest.utc_date is null then 'fewer than sixty days on which fifty altcoins are ranked'
        else concat_ws(
            '; ',
            format(
                'over 90 days {:+.2f} % a day in return and {:+.2f} points in imbalance, {} altcoins ranked',
                100 * spreads.rolling_90d_return_spread_ratio, 100 * spreads.rolling_90d_imbalance_spread_ratio,
                spreads.altcoin_count
            ),
            format(
                'over the whole history {:+.2f} % a day, n = {} days, against random tenths p = {:.2g}',
                100 * history.spread_ratio, history.day_count, history.p_value
            )
        )
    end as evidence
from newest
cross join history
left join daily_quality_spread as spreads on newest.utc_date = spreads.utc_date
