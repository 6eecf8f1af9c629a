select
    flow_group,
    series_id,
    lag_days
from {{ ref('macro_correlations') }}
where
    p_value > benjamini_hochberg_p_value + 1e-12
    or benjamini_hochberg_p_value > holm_p_value + 1e-12
    or correlation_ratio not between lower_ratio and upper_ratio
