{{ config(materialized="view") }}

-- A view: its rows stand in int_spot_flows_converted, and publishing writes them out.
with flows as (select * from {{ ref('int_spot_flows_converted') }})

select
    exchange,
    symbol,
    utc_date,
    base_asset,
    quote_asset,
    asset_class,
    flow_group,
    close_price,
    volume_usd,
    taker_buy_usd,
    taker_sell_usd,
    net_taker_usd,
    cast(net_taker_usd as double) / nullif(cast(volume_usd as double), 0) as imbalance_ratio,
    trade_count,
    trust_tier,
    is_usd_pegged_quote,
    quote_price_usd,
    conversion_method,
    is_usd_flagged,
    source_kind,
    body_sha256
from flows
