{{ config(materialized="incremental") }}
-- depends_on: {{ ref('int_days_changed') }}
-- Down to an asset's markets before anything looks back a year.
with symbol_days as (
    select * from {{ ref('int_symbol_days_expected') }}
    {% if is_incremental() %}where utc_date in {{ days_changed() }}{% endif %}
),

flows as (
    select * from {{ ref('int_spot_flows_converted') }}
    {% if is_incremental() %}where utc_date in {{ days_changed() }}{% endif %}
)

select
    symbol_days.base_asset,
    symbol_days.flow_group,
    symbol_days.is_usd_pegged_quote,
    symbol_days.is_trusted,
    symbol_days.utc_date,
    sum(flows.net_taker_usd) as net_taker_usd,
    sum(flows.volume_usd) filter (where flows.net_taker_usd is not null) as volume_usd,
    count(flows.net_taker_usd) as symbol_count,
    count(*) as expected_count
from symbol_days
left join flows
    on
        symbol_days.exchange = flows.exchange
        and symbol_days.symbol = flows.symbol
        and symbol_days.utc_date = flows.utc_date
where symbol_days.flow_group in ('ALT', 'ETH')
group by all
