-- sentence: Altcoins fell much more than Bitcoin in 2022.
-- unit: ratio
-- rule: value is the median close of 2022-12-31 against the highest of 2021, of altcoins with a close on 2021-12-31
--   that still traded. Supported where it is at least ten points below Bitcoin's same figure and so is the median with
--   delisted coins at their last price; contradicted where it is not below Bitcoin's; else partly. The calendar year's
--   return, the dissenting definition, stands beside it. Control: Bitcoin's figure.
with altcoins as (
    select
        max(utc_date) as utc_date,
        max(survivor_median_drawdown_ratio) as survivor_ratio,
        max(last_price_median_drawdown_ratio) as last_price_ratio,
        max(total_loss_median_drawdown_ratio) as total_loss_ratio,
        max(survivor_count) as survivor_count,
        max(delisted_count) as delisted_count
    from daily_drawdown_breadth
    where definition_id = 'peak_2021.basket_2021' and utc_date = date '2022-12-31'
),

majors as (
    select
        base_asset,
        max(case when utc_date = date '2022-12-31' then close_price_usd end)
        / max(case when year(utc_date) = 2021 then close_price_usd end) - 1 as drawdown_ratio,
        max(case when utc_date = date '2022-12-31' then close_price_usd end)
        / max(case when utc_date = date '2021-12-31' then close_price_usd end) - 1 as return_ratio,
        count(*) filter (where year(utc_date) = 2021) as day_count
    from daily_asset_flows
    where
        base_asset in ('BTC', 'ETH')
        and (utc_date between date '2021-01-01' and date '2021-12-31' or utc_date = date '2022-12-31')
    group by base_asset
),

controls as (
    select
        max(case when base_asset = 'BTC' and day_count >= 347 then drawdown_ratio end) as btc_ratio,
        max(case when base_asset = 'ETH' and day_count >= 347 then drawdown_ratio end) as eth_ratio,
        max(case when base_asset = 'BTC' then return_ratio end) as btc_return_ratio,
        max(case when base_asset = 'ETH' then return_ratio end) as eth_return_ratio
    from majors
),

years as (
    select
        median(ends.close_price_usd / begins.close_price_usd - 1) as return_ratio,
        count(*) as coin_count
    from daily_asset_flows as begins
    inner join daily_asset_flows as ends
        on begins.base_asset = ends.base_asset and ends.utc_date = date '2022-12-31'
    inner join asset_drawdowns as eras
        on
            begins.base_asset = eras.base_asset
            and eras.definition_id = 'running_peak'
            and begins.utc_date >= eras.first_date
            and ends.utc_date <= eras.last_date
    where begins.utc_date = date '2021-12-31' and begins.flow_group = 'ALT'
),

judged as (
    select altcoins.survivor_ratio is not null and controls.btc_ratio is not null as is_known
    from altcoins
    cross join controls
)

select
    altcoins.utc_date,
    altcoins.survivor_ratio as value,
    controls.btc_ratio as control_value,
    cast(null as double) as p_value,
    case
        when not judged.is_known then 'no data'
        when altcoins.survivor_ratio >= controls.btc_ratio then 'contradicted'
        when greatest(altcoins.survivor_ratio, altcoins.last_price_ratio) <= controls.btc_ratio - 0.1 then 'supported'
        else 'partly'
    end as verdict,
    case
        when not judged.is_known then 'no closes of 2021 and of 2022-12-31'
        else concat_ws(
            '; ',
            format(
                'from the high of 2021 to 2022-12-31 the median altcoin {:.1f} % (n {}), with {} delisted ones at '
                || 'their last price {:.1f} %, at -100 % {:.1f} %; Bitcoin {:.1f} %',
                100 * altcoins.survivor_ratio, altcoins.survivor_count, altcoins.delisted_count,
                100 * altcoins.last_price_ratio, 100 * altcoins.total_loss_ratio, 100 * controls.btc_ratio
            ),
            format('ETH {:.1f} %', 100 * controls.eth_ratio),
            format(
                'return of the calendar year: median altcoin {:.1f} % (n {}), Bitcoin {:.1f} %, ETH {:.1f} %',
                100 * years.return_ratio, years.coin_count, 100 * controls.btc_return_ratio,
                100 * controls.eth_return_ratio
            )
        )
    end as evidence
from altcoins
cross join controls
cross join years
cross join judged
