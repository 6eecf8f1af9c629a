-- R18: who pays no fee may trade with himself.
with promotions as (select * from {{ ref('fee_promotions') }}),

run as (select * from {{ ref('int_run_selected') }}),

promoted as (
    select
        promotions.exchange || ' ' || promotions.base_asset || '/' || promotions.quote_asset as scope,
        max(flows.utc_date) as utc_date,
        count(*) as day_count,
        coalesce(
            sum(flows.net_taker_usd) filter (
                where flows.flow_group = 'ALT' and flows.utc_date > run.last_date - 365
            ),
            0
        ) as impact_usd,
        count(*) filter (where flows.utc_date > run.last_date - 365) as recent_count
    from {{ ref('int_spot_flows_converted') }} as flows
    inner join promotions
        on
            flows.exchange = promotions.exchange
            and flows.base_asset = promotions.base_asset
            and flows.quote_asset = promotions.quote_asset
            and flows.utc_date >= promotions.valid_from
            and flows.utc_date < promotions.valid_to
    cross join run
    group by promotions.exchange, promotions.base_asset, promotions.quote_asset, promotions.valid_from
),

flagged as (
    select
        scope,
        utc_date,
        recent_count = 0 as passed,
        recent_count as value,
        0 as threshold,
        impact_usd,
        'of the last 365 days those traded without fees; of all stored days ' || day_count
        || '; impact: net flow of altcoins on these of the last 365' as reason
    from promoted
),

nothing as (
    select
        'all exchanges' as scope,
        run.last_date as utc_date,
        true as passed,
        0 as value,
        0 as threshold,
        0 as impact_usd,
        'no stored day lies in a known promotion' as reason
    from run
    where not exists (select 1 from promoted)
)

select {{ check_result('R18', "'flag'") }}
from flagged
union all
select {{ check_result('R18', "'flag'") }}
from nothing
