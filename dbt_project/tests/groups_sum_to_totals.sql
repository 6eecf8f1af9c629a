-- ALT + BTC + ETH + STABLE + OTHER is everything; the headline's universes are ALT, and ALT + ETH.
with assets as (
    select
        utc_date,
        sum(net_taker_usd) as net_taker_usd,
        sum(net_taker_usd) filter (where flow_group = 'OTHER') as other_net_taker_usd
    from {{ ref('daily_asset_flows') }}
    group by utc_date
),

groups as (
    select
        utc_date,
        sum(net_taker_usd) as net_taker_usd,
        sum(rolling_365d_net_taker_usd) filter (where flow_group = 'ALT') as alt_net_taker_usd,
        sum(rolling_365d_net_taker_usd) filter (where flow_group in ('ALT', 'ETH')) as alt_and_eth_net_taker_usd
    from {{ ref('daily_control_flow') }}
    where quotes = 'all'
    group by utc_date
),

headlines as (
    select
        utc_date,
        sum(window_net_taker_usd) filter (where universe = 'ex_btc_eth') as alt_net_taker_usd,
        sum(window_net_taker_usd) filter (where universe = 'ex_btc') as alt_and_eth_net_taker_usd
    from {{ ref('daily_altcoin_flow') }}
    where window_name = 'rolling_365d' and quotes = 'all' and trust = 'all' and panel = 'all'
    group by utc_date
)

select
    utc_date,
    assets.net_taker_usd as assets_net_taker_usd,
    groups.net_taker_usd as groups_net_taker_usd,
    headlines.alt_net_taker_usd as headline_net_taker_usd
from assets
full outer join groups using (utc_date)
full outer join headlines using (utc_date)
where
    coalesce(assets.net_taker_usd, 0) != coalesce(groups.net_taker_usd, 0) + coalesce(assets.other_net_taker_usd, 0)
    or groups.alt_net_taker_usd is distinct from headlines.alt_net_taker_usd
    or groups.alt_and_eth_net_taker_usd is distinct from headlines.alt_and_eth_net_taker_usd
