with readings as (select * from {{ ref('external_readings') }}),

flows as (
    select * from {{ ref('daily_altcoin_flow') }}
    where definition_id = 'rolling_365d.ex_btc_eth.all.all'
),

-- The worst change of ours over as many days as lie between two readings with a figure.
dated as (
    select
        *,
        lag(utc_date) over (order by utc_date) as before_date,
        lag(value_usd) over (order by utc_date) as before_value_usd
    from readings
    where date_precision = 'day'
)

select
    readings.reading_id,
    readings.utc_date,
    readings.date_precision,
    readings.value_usd,
    readings.comparison,
    readings.wording,
    readings.outlet,
    flows.window_net_taker_usd,
    flows.window_imbalance_ratio,
    flows.window_coverage_ratio,
    flows.symbol_count,
    flows.exchange_count,
    cast(readings.value_usd as double) / nullif(cast(flows.window_net_taker_usd as double), 0) as reading_to_ours_ratio,
    dated.utc_date - dated.before_date as since_reading_days,
    dated.value_usd - dated.before_value_usd as net_since_reading_usd,
    'not comparable' as verdict,
    'venues, symbols, conversion and window of the reading are not public; '
    || case
        when flows.utc_date is null then 'ours has no such day'
        else 'ours covers ' || flows.symbol_count || ' symbols on ' || flows.exchange_count || ' exchange(s)'
    end as reason
from readings
left join flows on readings.utc_date = flows.utc_date
left join dated on readings.reading_id = dated.reading_id
