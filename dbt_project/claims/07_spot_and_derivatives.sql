-- sentence: Flow on spot is genuine demand, that of derivatives is leverage, and spot leads.
-- unit: ratio
-- rule: what is genuine is an interpretation, so at most partly. Value is the correlation of spot's imbalance with that
--   of perpetuals on the next day (180 days, altcoins), control is Bitcoin's. Partly where its 95 % interval lies above
--   0 and it is greater than the correlation the other way round; else contradicted. No data with fewer than 60 pairs
--   of days.
with newest as (
    select max(utc_date) filter (where spot_first_correlation_ratio is not null) as utc_date
    from daily_spot_vs_perpetual
    where asset_group = 'ALT'
),

found as (
    select
        count(distinct utc_date) filter (where asset_group = 'ALT') as day_count,
        max(asset_count) filter (where asset_group = 'ALT') as asset_count,
        max(utc_date) as last_date,
        sum(cast(perpetual_volume_usd as double)) filter (where asset_group = 'ALT')
        / nullif(sum(cast(spot_volume_usd as double)) filter (where asset_group = 'ALT'), 0) as alt_volume_ratio,
        sum(cast(perpetual_volume_usd as double)) filter (where asset_group = 'BTC')
        / nullif(sum(cast(spot_volume_usd as double)) filter (where asset_group = 'BTC'), 0) as btc_volume_ratio
    from daily_spot_vs_perpetual
)

select
    newest.utc_date,
    alts.spot_first_correlation_ratio as value,
    bitcoin.spot_first_correlation_ratio as control_value,
    null as p_value,
    case
        when alts.spot_first_correlation_ratio is null then 'no data'
        when
            alts.spot_first_lower_ratio > 0
            and alts.spot_first_correlation_ratio > coalesce(alts.perpetual_first_correlation_ratio, 0)
            then 'partly'
        else 'contradicted'
    end as verdict,
    case
        when found.day_count = 0 then 'no day has both spot pairs and contracts'
        when alts.spot_first_correlation_ratio is null
            then format(
                '{} days with spot and perpetuals, fewer than 60: no correlation; perpetual volume is {:.1f} times '
                || 'spot ({} altcoins), Bitcoin {:.1f} times',
                found.day_count, found.alt_volume_ratio, found.asset_count, found.btc_volume_ratio
            )
        else concat_ws(
            '; ',
            format(
                'spot first {:.2f} ({:.2f} to {:.2f}), n = {} days', alts.spot_first_correlation_ratio,
                alts.spot_first_lower_ratio, alts.spot_first_upper_ratio, alts.same_day_count
            ),
            format(
                'perpetuals first {:.2f} ({:.2f} to {:.2f})', alts.perpetual_first_correlation_ratio,
                alts.perpetual_first_lower_ratio, alts.perpetual_first_upper_ratio
            ),
            format('same day {:.2f}', alts.same_day_correlation_ratio),
            format('perpetual volume is {:.1f} times spot', alts.perpetual_spot_volume_ratio),
            'intervals take days for independent'
        )
    end as evidence
from newest
cross join found
left join daily_spot_vs_perpetual as alts on newest.utc_date = alts.utc_date and alts.asset_group = 'ALT'
left join daily_spot_vs_perpetual as bitcoin on newest.utc_date = bitcoin.utc_date and bitcoin.asset_group = 'BTC'
