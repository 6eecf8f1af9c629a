-- Shares and indices that cannot leave their range, and curves that cannot rise.
select
    'daily_altseason' as mart_name,
    utc_date as where_found
from {{ ref('daily_altseason') }}
where altseason_index not between 0 and 100
union all
select
    'daily_meme_rotation' as mart_name,
    utc_date as where_found
from {{ ref('daily_meme_rotation') }}
where
    recycling_index_ratio not between 0 and 1
    or random_sign_p05_ratio > random_sign_p95_ratio
    or random_sign_mean_ratio not between 0 and 1
    or meme_volume_share_ratio + layer_2_volume_share_ratio > 1
    or meme_flow_share_ratio + layer_2_flow_share_ratio > 1
union all
select
    'daily_selective_recovery' as mart_name,
    utc_date as where_found
from {{ ref('daily_selective_recovery') }}
where score_count not between 0 and 4 or volume_share_30d_ratio not between 0 and 1
union all
select
    'survival_curves' as mart_name,
    null as where_found
from {{ ref('survival_curves') }}
qualify
    survival_ratio > lag(survival_ratio, 1, 1.0) over (partition by cohort order by age_days)
    or survival_ratio not between coalesce(survival_low_ratio, 0) and coalesce(survival_high_ratio, 1)
    or at_risk_count < event_count + censored_count
