-- sentence: The market is bifurcated: altcoins go apart instead of together.
-- unit: ratio
-- rule: value is the average pairwise correlation of daily log returns over 90 days, control (here no Bitcoin) its mean
--   over the 365 days before. Three signs: correlation and first component below their means of the 365 days,
--   dispersion of returns over 30, over 90 and over 180 days each above its mean of 365: a sign that turns with the
--   window is no sign. Supported where all three are there, partly where some are, contradicted where none is.
with newest as (
    select max(utc_date) as utc_date
    from daily_market_dispersion
    where is_covered and average_correlation_90d_ratio is not null
),

signs as (
    select
        any_value(days.average_correlation_90d_ratio) filter (where days.utc_date = newest.utc_date)
            as correlation_ratio,
        any_value(days.first_component_share_90d_ratio) filter (where days.utc_date = newest.utc_date)
            as component_ratio,
        any_value(days.correlated_asset_count) filter (where days.utc_date = newest.utc_date) as asset_count,
        avg(days.average_correlation_90d_ratio) filter (where days.utc_date < newest.utc_date)
            as mean_correlation_ratio,
        avg(days.first_component_share_90d_ratio) filter (where days.utc_date < newest.utc_date)
            as mean_component_ratio,
        count(days.average_correlation_90d_ratio) filter (where days.utc_date < newest.utc_date) as window_count,
        avg(days.cross_section_return_ratio) filter (where days.utc_date > newest.utc_date - 30)
            as dispersion_30d_ratio,
        avg(days.cross_section_return_ratio) filter (where days.utc_date > newest.utc_date - 90)
            as dispersion_90d_ratio,
        avg(days.cross_section_return_ratio) filter (where days.utc_date > newest.utc_date - 180)
            as dispersion_180d_ratio,
        avg(days.cross_section_return_ratio) as mean_dispersion_ratio
    from newest
    left join daily_market_dispersion as days
        on newest.utc_date - 365 < days.utc_date and newest.utc_date >= days.utc_date and days.is_covered
),

counted as (
    select
        case when correlation_ratio < mean_correlation_ratio then 1 else 0 end
        + case when component_ratio < mean_component_ratio then 1 else 0 end
        + case
            when least(dispersion_30d_ratio, dispersion_90d_ratio, dispersion_180d_ratio) > mean_dispersion_ratio then 1
            else 0
        end as sign_count
    from signs
)

select
    newest.utc_date,
    signs.correlation_ratio as value,
    signs.mean_correlation_ratio as control_value,
    null as p_value,
    case
        when signs.mean_correlation_ratio is null then 'no data'
        when counted.sign_count = 3 then 'supported'
        when counted.sign_count = 0 then 'contradicted'
        else 'partly'
    end as verdict,
    case
        when signs.mean_correlation_ratio is null then 'no two covered windows of 90 days with twenty altcoins'
        else concat_ws(
            '; ',
            format(
                'average correlation {:.2f} ({} altcoins; {:.2f} before, {} windows), first component {:.2f} ({:.2f})',
                signs.correlation_ratio, signs.asset_count, signs.mean_correlation_ratio, signs.window_count,
                signs.component_ratio, signs.mean_component_ratio
            ),
            format(
                'dispersion of a day {:.2f} % over 30, {:.2f} % over 90, {:.2f} % over 180 days, {:.2f} % over 365',
                100 * signs.dispersion_30d_ratio, 100 * signs.dispersion_90d_ratio, 100 * signs.dispersion_180d_ratio,
                100 * signs.mean_dispersion_ratio
            )
        )
    end as evidence
from newest
cross join signs
cross join counted
