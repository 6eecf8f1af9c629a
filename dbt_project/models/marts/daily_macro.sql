with vintages as (select * from {{ ref('int_macro_vintages_dated') }}),

series as (select * from {{ ref('macro_series') }}),

newest as (
    select
        series_id,
        utc_date,
        value
    from vintages
    where is_newest and value is not null
),

-- The weeks of two years do not begin on the same dates: the last observation of the week that ends a year before.
compared as (
    select
        vintages.*,
        earlier.utc_date as earlier_date,
        earlier.value as earlier_value
    from vintages
    asof left join newest as earlier
        on
            vintages.series_id = earlier.series_id
            and cast(vintages.utc_date - interval 1 year as date) >= earlier.utc_date
)

select
    compared.series_id,
    compared.utc_date,
    cast(compared.revision_count as bigint) as revision_count,
    compared.is_newest,
    series.title,
    series.unit,
    series.frequency,
    compared.upstream,
    compared.value,
    case
        when
            series.unit not in ('percent') and compared.series_id <> 'FNG' and compared.earlier_value > 0
            and compared.earlier_date > cast(compared.utc_date - interval 1 year as date) - 7
            then cast(compared.value as double) / cast(compared.earlier_value as double) - 1
    end as yoy_change_ratio,
    compared.fetched_at,
    compared.is_vintage_known,
    compared.body_sha256
from compared
left join series on compared.series_id = series.series_id
