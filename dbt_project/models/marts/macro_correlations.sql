with measured as (select * from {{ ref('int_macro_correlations_measured') }})

select
    flow_group,
    series_id,
    transform,
    lag_days,
    first_date,
    last_date,
    window_count,
    effective_window_count,
    correlation_ratio,
    lower_ratio,
    upper_ratio,
    p_value,
    holm_p_value,
    benjamini_hochberg_p_value,
    test_count,
    coalesce(holm_p_value < 0.05, false) as is_significant
from measured
