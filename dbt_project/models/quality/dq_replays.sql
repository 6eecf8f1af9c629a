-- R24: what flow_as_of answers today for the moment of a publish is what was published then. Both are compared by their
-- number and exact sum: raw.publications was written from the published file, the log of headlines grows by changes.
with publications as (select * from {{ ref('stg_publications') }}),

headlines as (select * from {{ ref('stg_published_headlines') }}),

-- The log, as steps from what stood before.
steps as (
    select
        definition_id,
        published_at,
        cast(value is not null as integer) - cast(lag(value) over of_day is not null as integer) as value_step,
        coalesce(value, 0) - coalesce(lag(value) over of_day, 0) as sum_step
    from headlines
    window of_day as (partition by definition_id, utc_date order by published_at, run_id)
),

moments as (
    select
        definition_id,
        published_at,
        sum(value_step) as value_step,
        sum(sum_step) as sum_step
    from steps
    group by definition_id, published_at
),

replayed as (
    select
        definition_id,
        published_at,
        sum(value_step) over so_far as value_count,
        sum(sum_step) over so_far as value_sum_usd
    from moments
    window so_far as (partition by definition_id order by published_at rows unbounded preceding)
),

compared as (
    select
        publications.run_id,
        publications.published_at,
        coalesce(replayed.value_count, 0) = publications.value_count
        and coalesce(replayed.value_sum_usd, 0) = publications.value_sum_usd as is_equal,
        coalesce(replayed.value_sum_usd, 0) - publications.value_sum_usd as difference_usd,
        publications.definition_id = 'rolling_365d.ex_btc_eth.all.all' as is_headline
    from publications
    asof left join replayed
        on
            publications.definition_id = replayed.definition_id
            and publications.published_at >= replayed.published_at
),

-- What stood published on a day is what its last publish left.
days as (
    select
        cast(published_at as date) as utc_date,
        published_at,
        run_id,
        count(*) as definition_count,
        count(*) filter (where not is_equal) as differing_count,
        sum(difference_usd) filter (where is_headline) as impact_usd
    from compared
    group by published_at, run_id
    qualify row_number() over (partition by cast(published_at as date) order by published_at desc, run_id desc) = 1
),

judged as (
    select
        'flow_as_of' as scope,
        utc_date,
        differing_count = 0 as passed,
        differing_count as value,
        0 as threshold,
        impact_usd,
        'of ' || definition_count || ' definitions those that flow_as_of does not answer as published on this day;'
        || ' impact: on the sum of the headline over its days' as reason
    from days
    qualify differing_count > 0 or utc_date = max(utc_date) over ()
    union all
    select
        'flow_as_of' as scope,
        run.last_date as utc_date,
        null as passed,
        null as value,
        0 as threshold,
        null as impact_usd,
        'not measurable: nothing was published before this run' as reason
    from {{ ref('int_run_selected') }} as run
    where not exists (select 1 from days)
)

select {{ check_result('R24', "'warning'") }}
from judged
