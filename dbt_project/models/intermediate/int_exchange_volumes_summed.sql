{{ config(materialized="view") }}
-- Reported is what an exchange says of a closed UTC day: rows with or without the taker's side, and what it tells of
-- days whose trades it has not published yet. A day of which it says nothing has no row: nothing is imputed.
with trust as (
    select
        exchange,
        valid_from,
        tier
    from {{ ref('exchange_trust') }}
),

classes as (select * from {{ ref('int_assets_classified') }}),

-- Told against all quote assets together, so that nothing of it is known to be against a pegged one. An exchange with
-- such a day has no rows of its own on it.
told as (
    select
        estimates.exchange,
        estimates.utc_date,
        classes.flow_group,
        sum(estimates.volume_usd) as reported_volume_usd
    from {{ ref('daily_taker_estimates') }} as estimates
    inner join classes
        on
            estimates.base_asset = classes.asset
            and estimates.utc_date >= classes.valid_from
            and estimates.utc_date < classes.valid_to
    where estimates.volume_usd is not null
    group by estimates.exchange, estimates.utc_date, classes.flow_group
)

select
    exchange,
    utc_date,
    flow_group,
    is_usd_pegged_quote,
    is_trusted,
    net_taker_usd,
    volume_usd,
    reported_volume_usd
from {{ ref('int_flow_days_summed') }}
where reported_volume_usd is not null
union all
select
    told.exchange,
    told.utc_date,
    told.flow_group,
    false as is_usd_pegged_quote,
    coalesce(trust.tier = 'trusted', false) as is_trusted,
    cast(null as decimal(38, 8)) as net_taker_usd,
    cast(null as decimal(38, 8)) as volume_usd,
    told.reported_volume_usd
from told
asof left join trust on told.exchange = trust.exchange and told.utc_date >= trust.valid_from
