-- sentence: Most altcoins trade 50 to 80 % below their peak of 2021.
-- unit: ratio
-- rule: value is the share of surviving altcoins (close on 2021-12-31 and on the day) that lie 50 to 80 % below their
--   highest close up to 2021-12-31. Supported where it is above 0.5; partly where only the share that lies 50 % or more
--   below is; else contradicted. Delisted coins at their last price and at -100 % stand beside; survivors alone
--   flatter.
with newest as (
    select max(utc_date) as utc_date
    from daily_drawdown_breadth
    where definition_id = 'peak_2021.basket_2021' and survivor_50_to_80_share_ratio is not null
),

breadth as (
    select
        newest.utc_date,
        days.survivor_count,
        days.delisted_count,
        days.survivor_50_to_80_share_ratio,
        days.survivor_below_50_share_ratio,
        days.survivor_below_80_share_ratio,
        days.survivor_median_drawdown_ratio,
        days.last_price_50_to_80_share_ratio,
        days.total_loss_50_to_80_share_ratio
    from newest
    left join daily_drawdown_breadth as days
        on newest.utc_date = days.utc_date and days.definition_id = 'peak_2021.basket_2021'
),

end_of_2024 as (
    select
        any_value(survivor_50_to_80_share_ratio) as share_ratio,
        any_value(survivor_below_80_share_ratio) as below_80_ratio,
        any_value(survivor_count) as survivor_count
    from daily_drawdown_breadth
    where utc_date = '2024-12-31' and definition_id = 'peak_2021.basket_2021.by_ticker'
),

bitcoin as (
    select
        any_value(flows.close_price_usd) filter (where flows.utc_date = newest.utc_date)
        / max(flows.close_price_usd) filter (where flows.utc_date <= '2021-12-31') - 1 as drawdown_ratio
    from daily_asset_flows as flows
    cross join newest
    where flows.base_asset = 'BTC'
)

select
    breadth.utc_date,
    breadth.survivor_50_to_80_share_ratio as value,
    cast(null as double) as control_value,
    null as p_value,
    case
        when breadth.survivor_50_to_80_share_ratio is null then 'no data'
        when breadth.survivor_50_to_80_share_ratio > 0.5 then 'supported'
        when breadth.survivor_below_50_share_ratio > 0.5 then 'partly'
        else 'contradicted'
    end as verdict,
    case
        when breadth.survivor_50_to_80_share_ratio is null then 'no covered day with altcoins of 2021-12-31'
        else concat_ws(
            '; ',
            format(
                '{:.1f} % of {} survivors are 50 to 80 % below, {:.1f} % more than 80 %, {:.1f} % at least 50 %, '
                || 'median {:.0f} %',
                100 * breadth.survivor_50_to_80_share_ratio, breadth.survivor_count,
                100 * breadth.survivor_below_80_share_ratio, 100 * breadth.survivor_below_50_share_ratio,
                100 * breadth.survivor_median_drawdown_ratio
            ),
            format(
                'with {} delisted at their last price {:.1f} %, at -100 % {:.1f} %', breadth.delisted_count,
                100 * breadth.last_price_50_to_80_share_ratio, 100 * breadth.total_loss_50_to_80_share_ratio
            ),
            format(
                'on 2024-12-31 by ticker {:.1f} % and {:.0f} % of {}', 100 * end_of_2024.share_ratio,
                100 * end_of_2024.below_80_ratio, end_of_2024.survivor_count
            ),
            format('Bitcoin {:+.0f} %', 100 * bitcoin.drawdown_ratio)
        )
    end as evidence
from breadth
cross join end_of_2024
cross join bitcoin
