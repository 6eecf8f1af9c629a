-- Exact: the classes of quote assets split the altcoins' flow, nothing is left and nothing is twice.
with classes as (
    select
        utc_date,
        sum(volume_usd) as volume_usd,
        sum(net_taker_usd) as net_taker_usd
    from {{ ref('daily_quote_rotation') }}
    group by utc_date
    having sum(volume_usd) is not null
),

altcoins as (
    select
        utc_date,
        sum(volume_usd) as volume_usd,
        sum(net_taker_usd) as net_taker_usd
    from {{ ref('daily_asset_flows') }}
    where flow_group = 'ALT'
    group by utc_date
)

select
    utc_date,
    classes.net_taker_usd as classes_net_taker_usd,
    altcoins.net_taker_usd as altcoins_net_taker_usd
from classes
full outer join altcoins using (utc_date)
where
    classes.net_taker_usd is distinct from altcoins.net_taker_usd
    or classes.volume_usd is distinct from altcoins.volume_usd
