{{ config(materialized="incremental") }}
-- depends_on: {{ ref('int_days_changed') }}
-- Down to a few rows a day before anything is multiplied by the definitions.
with symbol_days as (
    select * from {{ ref('int_symbol_days_expected') }}
    {% if is_incremental() %}where utc_date in {{ days_changed() }}{% endif %}
),

flows as (
    select * from {{ ref('int_spot_flows_converted') }}
    {% if is_incremental() %}where utc_date in {{ days_changed() }}{% endif %}
)

select
    symbol_days.exchange,
    symbol_days.utc_date,
    symbol_days.flow_group,
    symbol_days.is_usd_pegged_quote,
    symbol_days.is_trusted,
    sum(flows.net_taker_usd) as net_taker_usd,
    sum(flows.volume_usd) filter (where flows.net_taker_usd is not null) as volume_usd,
    sum(flows.volume_usd) as reported_volume_usd,
    count(flows.net_taker_usd) as symbol_count,
    cast(sum(flows.trade_count) filter (where flows.volume_usd is not null) as bigint) as trade_count,
    sum(flows.volume_usd) filter (where flows.trade_count is not null) as counted_volume_usd,
    count(flows.symbol) as present_count,
    count(*) as expected_count,
    coalesce(bool_or(flows.source_kind = 'trades'), false) as is_from_trades
from symbol_days
left join flows
    on
        symbol_days.exchange = flows.exchange
        and symbol_days.symbol = flows.symbol
        and symbol_days.utc_date = flows.utc_date
group by all
