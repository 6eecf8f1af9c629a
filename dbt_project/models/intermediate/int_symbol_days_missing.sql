{{ config(materialized="incremental") }}
-- depends_on: {{ ref('int_days_changed') }}
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
    symbol_days.symbol,
    symbol_days.utc_date
from symbol_days
anti join flows
    on
        symbol_days.exchange = flows.exchange
        and symbol_days.symbol = flows.symbol
        and symbol_days.utc_date = flows.utc_date
