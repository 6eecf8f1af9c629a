-- sentence: Altcoins reached their record highs in 2021.
-- unit: ratio
-- rule: value is the share of altcoins with a close on 2021-12-31 whose highest close up to the newest one lies between
--   2020-10-01 and 2022-01-31. Supported from a half on, partly from a quarter on, else contradicted. Coins listed
--   within those months stand beside; a second source of prices (another exchange) would refute single peaks.
with peaks as (
    select
        count(*) as coin_count,
        max(last_date) as last_date,
        avg(case when peak_date >= '2020-10-01' and peak_date < '2022-02-01' then 1 else 0 end) as peaked_ratio,
        avg(case when peak_date >= '2020-10-01' and peak_date < '2022-02-01' then 1 else 0 end) filter (
            where first_date < '2020-10-01'
        ) as older_peaked_ratio,
        count(*) filter (where first_date < '2020-10-01') as older_count,
        avg(case when peak_date >= '2021-04-01' and peak_date < '2021-06-01' then 1 else 0 end) as spring_ratio,
        avg(case when peak_date >= '2021-09-01' and peak_date < '2021-12-01' then 1 else 0 end) as autumn_ratio
    from asset_drawdowns
    where definition_id = 'running_peak' and is_in_basket_2021
),

bitcoin as (
    select arg_max(utc_date, close_price_usd) as peak_date
    from daily_asset_flows
    where base_asset = 'BTC'
),

sources as (
    select max(exchange_count) as exchange_count
    from daily_altcoin_flow
    where definition_id = 'rolling_365d.ex_btc_eth.all.all'
)

select
    peaks.last_date as utc_date,
    peaks.peaked_ratio as value,
    cast(null as double) as control_value,
    null as p_value,
    case
        when peaks.coin_count = 0 then 'no data'
        when peaks.peaked_ratio >= 0.5 then 'supported'
        when peaks.peaked_ratio >= 0.25 then 'partly'
        else 'contradicted'
    end as verdict,
    case
        when peaks.coin_count = 0 then 'no altcoin has a close on 2021-12-31'
        else concat_ws(
            '; ',
            format(
                '{:.0f} % of {} altcoins peaked then, {:.0f} % in April and May 2021, {:.0f} % from September to '
                || 'November',
                100 * peaks.peaked_ratio, peaks.coin_count, 100 * peaks.spring_ratio, 100 * peaks.autumn_ratio
            ),
            format(
                'of {} with closes before October 2020 {:.0f} %', peaks.older_count, 100 * peaks.older_peaked_ratio
            ),
            format('Bitcoin''s highest close in the data is of {}', bitcoin.peak_date),
            case
                when sources.exchange_count > 1 then format('closes of {} exchanges', sources.exchange_count)
                else 'closes of one exchange, no second source'
            end
        )
    end as evidence
from peaks
cross join bitcoin
cross join sources
