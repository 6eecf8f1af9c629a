with flagged as (select * from {{ ref('int_regime_days_flagged') }})

select
    definition_id,
    family,
    is_published,
    count(is_active) as known_days,
    count(*) filter (where is_active) as active_days,
    count(*) filter (where is_flip) as flip_count,
    min(utc_date) filter (where is_active) as first_active_date,
    max(utc_date) filter (where is_active) as last_active_date
from flagged
group by definition_id, family, is_published
