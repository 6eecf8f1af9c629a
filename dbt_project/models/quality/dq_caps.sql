-- R21: two sources of a market cap are near to each other.
with run as (select * from {{ ref('int_run_selected') }}),

reported as (
    select
        upstream,
        asset,
        utc_date,
        cap_usd
    from {{ ref('int_asset_caps_named') }}
    where cap_usd > 0
    union all
    select
        'coingecko' as upstream,
        matched.asset,
        snapshots.utc_date,
        snapshots.cap_usd
    from {{ ref('stg_coin_snapshots') }} as snapshots
    inner join {{ ref('int_coin_snapshots_matched') }} as matched
        on snapshots.coin_id = matched.coin_id and snapshots.utc_date = matched.utc_date
    where snapshots.cap_usd > 0 and matched.asset is not null
    union all
    select
        'imported' as upstream,
        asset,
        utc_date,
        cap_usd
    from {{ ref('stg_imported_caps') }}
    where cap_usd > 0 and asset is not null
),

compared as (
    select
        a.upstream || ' and ' || b.upstream as scope,
        a.utc_date,
        count(*) as asset_count,
        median(abs(cast(a.cap_usd as double) / cast(b.cap_usd as double) - 1)) as deviation_ratio
    from reported as a
    inner join reported as b on a.asset = b.asset and a.utc_date = b.utc_date and a.upstream < b.upstream
    group by a.upstream, b.upstream, a.utc_date
),

judged as (
    select
        scope,
        utc_date,
        deviation_ratio <= 0.02 as passed,
        deviation_ratio as value,
        0.02 as threshold,
        null as impact_usd,
        asset_count || ' assets that both sources tell: median distance; impact: no cap is in the headline' as reason
    from compared
    qualify deviation_ratio > 0.02 or utc_date = max(utc_date) over (partition by scope)
    union all
    select
        'all caps' as scope,
        run.last_date as utc_date,
        null as passed,
        null as value,
        0.02 as threshold,
        null as impact_usd,
        'not measurable: one source, or none with a day of another' as reason
    from run
    where not exists (select 1 from compared)
)

select {{ check_result('R21', "'warning'") }}
from judged
