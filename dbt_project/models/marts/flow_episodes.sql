with detected as (select * from {{ ref('int_flow_episodes_detected') }})

select
    flow_group,
    case
        when reversal_share is null then kind
        else kind || '_' || cast(cast(round(100 * reversal_share) as integer) as varchar)
    end as detector_id,
    episode_number,
    first_date,
    last_date,
    last_date - first_date + 1 as duration_days,
    cast(net_usd as decimal(38, 8)) as net_taker_usd,
    mean_imbalance as imbalance_ratio,
    largest_day_share as largest_day_share_ratio,
    largest_day_date,
    skewness as skewness_ratio,
    covered_share as covered_share_ratio
from detected
