-- Exact: both are sums of the same decimals.
with symbols as (
    select
        utc_date,
        sum(net_taker_usd) as net_taker_usd,
        sum(volume_usd) as volume_usd
    from {{ ref('daily_symbol_flows') }}
    where net_taker_usd is not null
    group by utc_date
),

assets as (
    select
        utc_date,
        sum(net_taker_usd) as net_taker_usd,
        sum(volume_usd) as volume_usd
    from {{ ref('daily_asset_flows') }}
    group by utc_date
)

select
    utc_date,
    symbols.net_taker_usd as symbols_net_taker_usd,
    assets.net_taker_usd as assets_net_taker_usd
from symbols
full outer join assets using (utc_date)
where
    symbols.net_taker_usd is distinct from assets.net_taker_usd
    or symbols.volume_usd is distinct from assets.volume_usd
