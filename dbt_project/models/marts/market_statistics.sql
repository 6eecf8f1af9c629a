with drawn as (
    select * from {{ ref('int_market_statistics_drawn') }}
    union all
    select * from {{ ref('int_rate_changes_studied') }}
    union all
    select * from {{ ref('int_recovery_months_shuffled') }}
    union all
    select * from {{ ref('int_dominance_flows_correlated') }}
),

stretch as (
    select
        min(utc_date) as first_date,
        max(utc_date) as last_date
    from {{ ref('int_group_days_covered') }}
)

select
    drawn.statistic,
    drawn.scope,
    drawn.value,
    drawn.observation_count,
    drawn.ci_low,
    drawn.ci_high,
    drawn.p_value,
    drawn.path_count,
    drawn.seed,
    stretch.first_date,
    stretch.last_date
from drawn
cross join stretch
