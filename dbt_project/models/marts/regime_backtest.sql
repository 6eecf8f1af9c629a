with drawn as (select * from {{ ref('int_regime_returns_drawn') }})

select
    regime,
    bucket,
    horizon_days,
    first_date,
    last_date,
    observation_count,
    nonoverlapping_count,
    mean_return_ratio,
    median_return_ratio,
    positive_share_ratio,
    ci_low_ratio,
    ci_high_ratio,
    path_count,
    seed
from drawn
