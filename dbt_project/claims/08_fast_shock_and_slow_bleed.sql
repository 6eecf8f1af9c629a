-- sentence: 2020 was a fast shock, what altcoins go through now is a slow bleed.
-- unit: days
-- rule: declines of the flow cumulated since the start, by five detectors (recovery of 1 to 20 % of the range). Slow:
--   the newest decline takes 180 days or more and no day makes more than 5 % of it. Fast: the one that began in the
--   first half of 2020 takes 60 days or fewer, or one day makes 25 % of it, altcoins being covered on 95 % of its days.
--   Supported where both hold by all detectors, contradicted where the newest is slow by none, else partly. Value and
--   control (Bitcoin): days of the newest decline by the detector of 5 %.
with declines as (
    select
        flow_group,
        detector_id,
        first_date,
        last_date,
        duration_days,
        net_taker_usd,
        largest_day_share_ratio,
        skewness_ratio,
        covered_share_ratio,
        row_number() over (
            partition by flow_group, detector_id order by last_date desc, first_date desc
        ) as newest_rank,
        row_number() over (partition by flow_group, detector_id order by first_date asc) as oldest_rank
    from flow_episodes
    where starts_with(detector_id, 'decline_')
),

newest as (
    select
        count(*) as detector_count,
        count(*) filter (where duration_days >= 180 and largest_day_share_ratio <= 0.05) as slow_count,
        min(duration_days) as shortest_days,
        max(duration_days) as longest_days,
        max(largest_day_share_ratio) as largest_share_ratio,
        max(last_date) as last_date,
        any_value(duration_days) filter (where detector_id = 'decline_5') as value_days,
        any_value(net_taker_usd) filter (where detector_id = 'decline_5') as net_usd,
        any_value(skewness_ratio) filter (where detector_id = 'decline_5') as skewness_ratio
    from declines
    where flow_group = 'ALT' and newest_rank = 1
),

shock as (
    select
        count(*) as detector_count,
        count(*) filter (
            where (duration_days <= 60 or largest_day_share_ratio >= 0.25) and covered_share_ratio >= 0.95
        ) as fast_count,
        max(covered_share_ratio) as covered_share_ratio,
        min(duration_days) as shortest_days
    from declines
    where flow_group = 'ALT' and oldest_rank = 1 and first_date >= '2020-01-01' and first_date < '2020-07-01'
),

bitcoin as (
    select
        any_value(duration_days) as duration_days,
        any_value(largest_day_share_ratio) as largest_share_ratio
    from declines
    where flow_group = 'BTC' and newest_rank = 1 and detector_id = 'decline_5'
)

select
    newest.last_date as utc_date,
    newest.value_days as value,
    bitcoin.duration_days as control_value,
    null as p_value,
    case
        when newest.detector_count = 0 then 'no data'
        when newest.slow_count = 0 then 'contradicted'
        when
            newest.slow_count = newest.detector_count and shock.detector_count > 0
            and shock.fast_count = shock.detector_count
            then 'supported'
        else 'partly'
    end as verdict,
    case
        when newest.detector_count = 0 then 'no decline of the cumulated flow is on record'
        else concat_ws(
            '; ',
            format(
                'newest decline slow by {} of {} detectors: {} to {} days, largest day at most {:.1f} %',
                newest.slow_count, newest.detector_count, newest.shortest_days, newest.longest_days,
                100 * newest.largest_share_ratio
            ),
            format(
                'by that of 5 % {:.1f} billion dollars, skewness of days {:.1f}',
                cast(newest.net_usd as double) / 1e9, newest.skewness_ratio
            ),
            format(
                'Bitcoin {} days, largest day {:.1f} %', bitcoin.duration_days, 100 * bitcoin.largest_share_ratio
            ),
            case
                when shock.detector_count = 0 then 'no decline that began early in 2020'
                else format(
                    'early 2020: {} days or more, fast by {} of {} detectors; {:.0f} % of its days covered, '
                    || '95 % needed',
                    shock.shortest_days, shock.fast_count, shock.detector_count, 100 * shock.covered_share_ratio
                )
            end
        )
    end as evidence
from newest
cross join shock
cross join bitcoin
