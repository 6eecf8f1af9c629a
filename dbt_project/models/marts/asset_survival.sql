with lives as (select * from {{ ref('int_altcoin_lives_measured') }}),

curves as (select * from {{ ref('int_survival_curves_estimated') }})

select
    lives.base_asset,
    lives.era_date,
    lives.cohort,
    case when not lives.is_left_censored then lives.first_date end as listed_date,
    lives.first_date as first_seen_date,
    lives.last_traded_date,
    case when lives.life_status in ('delisted', 'dormant') then lives.last_traded_date end as ended_date,
    lives.life_status,
    lives.life_status not in ('delisted', 'dormant') as is_censored,
    lives.is_left_censored,
    lives.age_days,
    curves.survival_ratio as cohort_survival_ratio,
    curves.cumulative_hazard_ratio as cohort_cumulative_hazard_ratio
from lives
inner join curves on lives.cohort = curves.cohort and lives.age_days = curves.age_days
