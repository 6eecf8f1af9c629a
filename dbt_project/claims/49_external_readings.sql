-- sentence: The deficit grew from 36 billion dollars in June 2025 to 209 billion in February 2026.
-- unit: usd
-- rule: not comparable, whatever the figures: exchanges, symbols, conversion and window of the readings are not public,
--   and no two of them need be one series. Value is the flow that the two readings imply between their days; beside it
--   the lowest sum of as many days that was covered here, and our own figure on the first day with its coverage.
with implied as (
    select
        arg_max(utc_date, net_since_reading_usd is not null) as utc_date,
        max(net_since_reading_usd) as net_since_reading_usd,
        max(case when net_since_reading_usd is not null then since_reading_days end) as since_reading_days,
        count(*) as reading_count
    from external_readings_compared
    where utc_date <= date '2026-02-17'
),

first_reading as (
    select
        max(value_usd) as value_usd,
        max(utc_date) as utc_date,
        max(window_net_taker_usd) as window_net_taker_usd,
        max(window_coverage_ratio) as window_coverage_ratio,
        max(symbol_count) as symbol_count,
        max(exchange_count) as exchange_count
    from external_readings_compared
    where reading_id = '2025-06-18'
),

sums as (
    select
        flows.utc_date,
        sum(flows.net_taker_usd) over days_244 as net_taker_usd,
        count(flows.net_taker_usd) filter (where dispersions.is_covered) over days_244 as day_count
    from daily_altcoin_flow as flows
    left join daily_market_dispersion as dispersions on flows.utc_date = dispersions.utc_date
    where flows.definition_id = 'rolling_365d.ex_btc_eth.all.all'
    window days_244 as (order by flows.utc_date - date '1970-01-01' range between 243 preceding and current row)
),

lowest as (
    select
        min(net_taker_usd) as net_taker_usd,
        arg_min(utc_date, net_taker_usd) as utc_date
    from sums
    where day_count = 244
)

select
    implied.utc_date,
    implied.net_since_reading_usd as value,
    cast(null as double) as control_value,
    cast(null as double) as p_value,
    'not comparable' as verdict,
    concat_ws(
        '; ',
        format('{} readings up to 2026-02-17', implied.reading_count),
        format(
            'the two dated ones imply {:.0f} billion dollars in {} days',
            cast(implied.net_since_reading_usd as double) / 1e9, implied.since_reading_days
        ),
        coalesce(
            format(
                'the lowest sum of 244 covered days here is {:.2f} billion (to {})',
                cast(lowest.net_taker_usd as double) / 1e9, lowest.utc_date
            ),
            'no 244 covered days here'
        ),
        coalesce(
            format(
                'on {} ours is {:.2f} billion of {} symbols on {} exchanges (coverage {:.2f}), the reading {:.0f} of '
                || 'unknown ones',
                first_reading.utc_date, cast(first_reading.window_net_taker_usd as double) / 1e9,
                first_reading.symbol_count, first_reading.exchange_count, first_reading.window_coverage_ratio,
                cast(first_reading.value_usd as double) / 1e9
            ),
            'ours does not reach 2025-06-18'
        )
    ) as evidence
from implied
cross join first_reading
cross join lowest
