{{ config(materialized="incremental", meta={"reach_days": "quarter"}) }}
-- depends_on: {{ ref('int_days_changed') }}
with flows as (
    select
        *,
        cast(date_trunc('quarter', utc_date) as date) as quarter_date
    from {{ ref('int_spot_flows_converted') }}
    where
        flow_group in ('ALT', 'BTC', 'ETH')
        and is_usd_pegged_quote
        -- A quarter has 92 days at most, and its first return needs the day before.
        {% if is_incremental() %}and utc_date >= {{ first_day_changed(92) }}{% endif %}
),

eras as (
    select
        asset,
        utc_date
    from {{ ref('asset_renames_and_eras') }}
    where kind in ('redenomination', 'reused_ticker')
),

returns as (
    select
        today.exchange,
        today.symbol,
        today.flow_group,
        today.utc_date,
        today.quarter_date,
        today.net_taker_usd,
        cast(today.net_taker_usd as double) / nullif(cast(today.volume_usd as double), 0) as imbalance_ratio,
        -- The first price of an era is in another unit than the last one of the era before.
        case
            when eras.utc_date is null and today.close_price > 0 and yesterday.close_price > 0
                then ln(today.close_price / yesterday.close_price)
        end as log_return_ratio
    from flows as today
    left join flows as yesterday
        on
            today.exchange = yesterday.exchange
            and today.symbol = yesterday.symbol
            and today.utc_date - 1 = yesterday.utc_date
    left join eras on today.base_asset = eras.asset and today.utc_date = eras.utc_date
    {% if is_incremental() %}where today.quarter_date in {{ quarters_changed() }}{% endif %}
),

-- Sums of doubles depend on the order of their rows, sums of integers do not: units of 1e-12.
pairs as (
    select
        *,
        case when imbalance_ratio is not null then cast(round(log_return_ratio * 1e12) as hugeint) end as x,
        case when log_return_ratio is not null then cast(round(imbalance_ratio * 1e12) as hugeint) end as y
    from returns
),

sums as (
    select
        exchange,
        symbol,
        quarter_date,
        count(x) as day_count,
        count(x) * sum(x * x) - sum(x) * sum(x) as squares_x,
        count(x) * sum(y * y) - sum(y) * sum(y) as squares_y,
        count(x) * sum(x * y) - sum(x) * sum(y) as products,
        sum(net_taker_usd) filter (where flow_group = 'ALT') as altcoin_net_taker_usd
    from pairs
    group by exchange, symbol, quarter_date
)

select
    exchange,
    symbol,
    quarter_date as utc_date,
    day_count,
    cast(products as double) / nullif(sqrt(cast(squares_x as double) * cast(squares_y as double)), 0)
        as return_flow_correlation,
    altcoin_net_taker_usd
from sums
