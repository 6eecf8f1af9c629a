-- sentence: In 2022 many altcoins lost more than 90 % from their peak.
-- unit: ratio
-- rule: value is the share of the altcoins with a close on 2021-12-31 whose lowest close of 2022 lies 90 % or more
--   below their highest close up to 2021-12-31. Many is a half: supported where that share is at least 0.5 and so are
--   those at the year's end with delisted coins at their last price and at -100 %; partly where one of the three is;
--   else contradicted. Drawdowns belong to an era of the price; the figure by ticker stands beside.
with breadth as (
    select
        any_value(member_count) filter (where definition_id = 'peak_2021.basket_2021') as member_count,
        any_value(delisted_count) filter (where definition_id = 'peak_2021.basket_2021') as delisted_count,
        any_value(ever_below_90_share_ratio) filter (where definition_id = 'peak_2021.basket_2021') as trough_ratio,
        any_value(last_price_below_90_share_ratio) filter (where definition_id = 'peak_2021.basket_2021')
            as last_price_ratio,
        any_value(total_loss_below_90_share_ratio) filter (where definition_id = 'peak_2021.basket_2021')
            as total_loss_ratio,
        any_value(survivor_below_90_share_ratio) filter (where definition_id = 'peak_2021.basket_2021')
            as survivor_ratio,
        any_value(ever_below_90_share_ratio) filter (where definition_id = 'peak_2021.basket_2021.by_ticker')
            as ticker_ratio
    from daily_drawdown_breadth
    where utc_date = '2022-12-31'
),

bitcoin as (
    select
        min(close_price_usd) filter (where utc_date >= '2022-01-01' and utc_date <= '2022-12-31')
        / max(close_price_usd) filter (where utc_date <= '2021-12-31') - 1 as trough_ratio
    from daily_asset_flows
    where base_asset = 'BTC'
)

select
    case when breadth.trough_ratio is not null then cast('2022-12-31' as date) end as utc_date,
    breadth.trough_ratio as value,
    cast(null as double) as control_value,
    null as p_value,
    case
        when breadth.trough_ratio is null then 'no data'
        when
            breadth.trough_ratio >= 0.5 and coalesce(breadth.last_price_ratio, 0) >= 0.5
            and coalesce(breadth.total_loss_ratio, 0) >= 0.5
            then 'supported'
        when
            breadth.trough_ratio >= 0.5 or breadth.last_price_ratio >= 0.5 or breadth.total_loss_ratio >= 0.5
            then 'partly'
        else 'contradicted'
    end as verdict,
    case
        when breadth.trough_ratio is null then 'no altcoin has closes on 2021-12-31 and in 2022'
        else concat_ws(
            '; ',
            format(
                'trough of 2022 at -90 % or below for {:.1f} % of {} altcoins ({:.1f} % by ticker, eras ignored)',
                100 * breadth.trough_ratio, breadth.member_count, 100 * breadth.ticker_ratio
            ),
            format(
                'on 2022-12-31 {:.1f} % of survivors, {:.1f} % with {} delisted at their last price, {:.1f} % with '
                || 'these at -100 %',
                100 * breadth.survivor_ratio, 100 * breadth.last_price_ratio, breadth.delisted_count,
                100 * breadth.total_loss_ratio
            ),
            format('Bitcoin''s trough {:.1f} %', 100 * bitcoin.trough_ratio)
        )
    end as evidence
from breadth
cross join bitcoin
