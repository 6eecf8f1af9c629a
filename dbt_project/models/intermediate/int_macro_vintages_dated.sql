with vintages as (select * from {{ ref('stg_macro_vintages') }}),

run as (select * from {{ ref('int_run_selected') }}),

loads as (select * from {{ ref('stg_loads') }}),

bodies as (
    select
        body_sha256,
        min(fetched_at) as fetched_at
    from {{ ref('stg_source_files') }}
    group by body_sha256
),

-- A first answer that was cut before the day on which it came tells nothing of the days behind the cut: what a later
-- answer brings of them may have been published long before.
firsts as (
    select
        firsts.series_id,
        firsts.load_id,
        loads.end_date,
        cast(loads.loaded_at as date) as loaded_date
    from (select series_id, min(load_id) as load_id from vintages group by series_id) as firsts
    left join loads on firsts.load_id = loads.load_id
),

dated as (
    select
        vintages.series_id,
        vintages.utc_date,
        vintages.upstream,
        vintages.value,
        vintages.body_sha256,
        row_number() over newest_last - 1 as revision_count,
        lead(vintages.load_id) over newest_last is null as is_newest,
        bodies.fetched_at,
        run.source = 'live'
        and vintages.load_id > firsts.load_id
        and coalesce(firsts.end_date >= firsts.loaded_date or vintages.utc_date < firsts.end_date, false)
        and bodies.fetched_at is not null as is_vintage_known
    from vintages
    inner join firsts on vintages.series_id = firsts.series_id
    left join bodies on vintages.body_sha256 = bodies.body_sha256
    cross join run
    window newest_last as (partition by vintages.series_id, vintages.utc_date order by vintages.load_id)
)

select
    series_id,
    utc_date,
    revision_count,
    is_newest,
    upstream,
    value,
    case when is_vintage_known then fetched_at end as fetched_at,
    is_vintage_known,
    body_sha256
from dated
