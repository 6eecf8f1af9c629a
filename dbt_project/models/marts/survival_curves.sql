select
    cohort,
    age_days,
    at_risk_count,
    event_count,
    censored_count,
    survival_ratio,
    survival_low_ratio,
    survival_high_ratio,
    cumulative_hazard_ratio
from {{ ref('int_survival_curves_estimated') }}
