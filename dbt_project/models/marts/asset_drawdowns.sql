with closes as (select * from {{ ref('int_drawdown_days_measured') }}),

peaks as (select * from {{ ref('int_peaks_2021_found') }}),

days as (
    select
        closes.*,
        peaks.era_2021_peak_price,
        coalesce(peaks.is_era_in_basket, false) as is_era_in_basket
    from closes
    left join peaks on closes.base_asset = peaks.base_asset and closes.era_date = peaks.era_date
),

lives as (select * from {{ ref('int_altcoin_lives_ended') }}),

-- Peaks are reached on days of can_peak, drawdowns counted on those of can_fall: below a peak of 2021 one can be from
-- 2022 on.
measured as (
    select
        'running_peak' as definition_id,
        base_asset,
        era_date,
        utc_date,
        close_price,
        running_peak_price as peak_price,
        is_era_in_basket,
        true as can_peak,
        true as can_fall
    from days
    union all
    select
        'peak_2021' as definition_id,
        base_asset,
        era_date,
        utc_date,
        close_price,
        era_2021_peak_price as peak_price,
        is_era_in_basket,
        utc_date <= date '2021-12-31' as can_peak,
        utc_date > date '2021-12-31' as can_fall
    from days
    where era_2021_peak_price is not null
),

summed as (
    select
        definition_id,
        base_asset,
        era_date,
        bool_or(is_era_in_basket) as is_in_basket_2021,
        max(peak_price) as peak_price,
        min_by(utc_date, (-close_price, utc_date)) filter (where can_peak) as peak_date,
        max_by(close_price, utc_date) as last_price,
        min(close_price / peak_price - 1) filter (where can_fall) as deepest_drawdown_ratio,
        min_by(utc_date, (close_price / peak_price, utc_date)) filter (where can_fall) as deepest_date,
        min(close_price / peak_price - 1) filter (where can_fall and year(utc_date) = 2022)
            as deepest_2022_drawdown_ratio
    from measured
    group by definition_id, base_asset, era_date
)

select
    summed.definition_id,
    summed.base_asset,
    summed.era_date,
    lives.first_date,
    lives.last_date,
    lives.life_status,
    summed.is_in_basket_2021,
    summed.peak_price,
    summed.peak_date,
    summed.last_price,
    summed.last_price / summed.peak_price - 1 as drawdown_ratio,
    case when lives.life_status = 'delisted' then -1 else summed.last_price / summed.peak_price - 1 end
        as total_loss_drawdown_ratio,
    summed.deepest_drawdown_ratio,
    summed.deepest_date,
    summed.deepest_2022_drawdown_ratio
from summed
inner join lives on summed.base_asset = lives.base_asset and summed.era_date = lives.era_date
