with detected as (select * from {{ ref('int_flow_episodes_detected') }}),

days as (
    select * from {{ ref('int_control_days_summed') }}
    where quotes = 'all'
)

-- Detected with doubles, summed as decimals: the figure is that of its days to the last digit.
select
    detected.flow_group,
    case
        when detected.reversal_share is null then detected.kind
        else detected.kind || '_' || cast(cast(round(100 * detected.reversal_share) as integer) as varchar)
    end as detector_id,
    detected.episode_number,
    detected.first_date,
    detected.last_date,
    detected.last_date - detected.first_date + 1 as duration_days,
    sum(days.net_taker_usd) as net_taker_usd,
    any_value(detected.mean_imbalance) as imbalance_ratio,
    any_value(detected.largest_day_share) as largest_day_share_ratio,
    any_value(detected.largest_day_date) as largest_day_date,
    any_value(detected.skewness) as skewness_ratio,
    any_value(detected.covered_share) as covered_share_ratio
from detected
left join days
    on
        detected.flow_group = days.flow_group
        and days.utc_date between detected.first_date and detected.last_date
group by
    detected.flow_group, detected.kind, detected.reversal_share, detected.episode_number, detected.first_date,
    detected.last_date
