-- sentence: Stablecoins are dry powder: buying power is high against Bitcoin.
-- unit: index
-- rule: two definitions. Value is the oscillator of the stablecoin supply ratio (z over 200 days), low where
--   stablecoins are many; the control is the z of Bitcoin's own price over the same days. Supported where the
--   oscillator is at or below -1 and the ratio lies in the lowest quarter of the days since 2020; partly where one
--   holds; else contradicted. The oscillator largely repeats Bitcoin's price.
with newest as (
    select max(utc_date) as utc_date
    from daily_stablecoin_ratio
    where oscillator is not null and utc_date >= '2020-01-01'
),

history as (
    select
        count(*) as day_count,
        avg(case when days.ssr < today.ssr then 1 else 0 end) as rank_ratio
    from newest
    inner join daily_stablecoin_ratio as today on newest.utc_date = today.utc_date
    inner join daily_stablecoin_ratio as days
        on days.utc_date >= '2020-01-01' and newest.utc_date >= days.utc_date and days.ssr is not null
)

select
    newest.utc_date,
    ratios.oscillator as value,
    ratios.btc_price_z as control_value,
    null as p_value,
    case
        when ratios.oscillator is null then 'no data'
        when ratios.oscillator <= -1 and history.rank_ratio <= 0.25 then 'supported'
        when ratios.oscillator <= -1 or history.rank_ratio <= 0.25 then 'partly'
        else 'contradicted'
    end as verdict,
    case
        when ratios.oscillator is null then 'no 200 days with Bitcoin''s capitalisation and the supply of stablecoins'
        else concat_ws(
            '; ',
            format(
                'ratio {:.2f}, {:.0f} % of {} days since 2020 had a lower one; oscillator {:.2f}', ratios.ssr,
                100 * history.rank_ratio, history.day_count, ratios.oscillator
            ),
            format(
                'Bitcoin''s price z {:.2f}, correlated {:.2f} with the oscillator over {} days', ratios.btc_price_z,
                ratios.price_z_correlation_ratio, ratios.price_z_correlation_days
            ),
            format('capitalisation estimated on {} of 200 days', ratios.estimated_days)
        )
    end as evidence
from newest
cross join history
left join daily_stablecoin_ratio as ratios on newest.utc_date = ratios.utc_date
