-- sentence: The deficit of altcoins is the deepest since 2020.
-- unit: ratio
-- rule: value is the rank of the 365-day sum in its valid history, 0 the lowest. Supported only where the lowest of the
--   valid history lies in the last ten days in US dollars, in imbalance and on the fixed panel; partly where in one or
--   two of them; contradicted where in none. p is that of a record today with a mean of zero (H0-A, blocks of 60 days).
--   Since 2020 means: in the sample, which begins with the first valid day. Control: Bitcoin's rank on the same days.
with newest as (
    select max(utc_date) as utc_date
    from daily_altcoin_flow
    where definition_id = 'rolling_365d.ex_btc_eth.all.all' and cumulative_net_taker_usd is not null
),

headline as (
    select
        count(*) as day_count,
        min(utc_date) as first_date,
        min(cumulative_net_taker_usd) as lowest_usd,
        arg_min(utc_date, cumulative_net_taker_usd) as lowest_usd_date,
        arg_min(utc_date, window_imbalance_ratio) as lowest_ratio_date,
        min(window_imbalance_ratio) as lowest_ratio,
        arg_max(percentile_rank_ratio, utc_date) as rank_ratio,
        arg_max(window_imbalance_ratio, utc_date) as newest_ratio
    from daily_altcoin_flow
    where definition_id = 'rolling_365d.ex_btc_eth.all.all' and cumulative_net_taker_usd is not null
),

imbalance as (
    select avg(case when flows.window_imbalance_ratio < headline.newest_ratio then 1 else 0 end) as rank_ratio
    from daily_altcoin_flow as flows
    cross join headline
    where flows.definition_id = 'rolling_365d.ex_btc_eth.all.all' and flows.cumulative_net_taker_usd is not null
),

panel as (
    select
        arg_min(utc_date, cumulative_net_taker_usd) as lowest_usd_date,
        min(cumulative_net_taker_usd) as lowest_usd
    from daily_altcoin_flow
    where
        definition_id = 'rolling_365d.ex_btc_eth.all.all.fixed_panel' and cumulative_net_taker_usd is not null
),

bitcoin as (
    select control.rolling_365d_net_taker_usd as net_usd
    from daily_control_flow as control
    inner join daily_altcoin_flow as flows
        on
            control.utc_date = flows.utc_date
            and flows.definition_id = 'rolling_365d.ex_btc_eth.all.all'
            and flows.cumulative_net_taker_usd is not null
    where control.flow_group = 'BTC' and control.quotes = 'all'
),

bitcoin_rank as (
    select
        count(*) filter (where bitcoin.net_usd < control.rolling_365d_net_taker_usd)
        / nullif(cast(count(*) - 1 as double), 0) as rank_ratio
    from bitcoin
    cross join newest
    inner join daily_control_flow as control
        on newest.utc_date = control.utc_date and control.flow_group = 'BTC' and control.quotes = 'all'
),

nulls as (
    select
        any_value(p_value) filter (where statistic = 'is_record_low_today') as today_p,
        any_value(p_value) filter (where statistic = 'is_record_low_within_10_days') as ten_days_p
    from flow_null_tests
    where
        definition_id = 'rolling_365d.ex_btc_eth.all.all' and null_hypothesis = 'zero_mean' and block_days = 60
),

records as (
    select
        case when headline.lowest_usd_date > newest.utc_date - 10 then 1 else 0 end
        + case when headline.lowest_ratio_date > newest.utc_date - 10 then 1 else 0 end
        + case when panel.lowest_usd_date > newest.utc_date - 10 then 1 else 0 end as record_count
    from newest
    cross join headline
    cross join panel
)

select
    newest.utc_date,
    headline.rank_ratio as value,
    case when headline.rank_ratio is not null then bitcoin_rank.rank_ratio end as control_value,
    nulls.today_p as p_value,
    case
        when headline.day_count < 365 then 'no data'
        when records.record_count = 3 then 'supported'
        when records.record_count = 0 then 'contradicted'
        else 'partly'
    end as verdict,
    case
        when headline.day_count < 365 then format('{} valid windows of 365 days, fewer than 365', headline.day_count)
        else concat_ws(
            '; ',
            format(
                'lowest of {} valid days since {}: {:.2f} billion dollars on {}, {:.2f} % of volume on {}',
                headline.day_count, headline.first_date, cast(headline.lowest_usd as double) / 1e9,
                headline.lowest_usd_date, 100 * headline.lowest_ratio, headline.lowest_ratio_date
            ),
            format(
                'on a fixed panel {:.2f} billion on {}', cast(panel.lowest_usd as double) / 1e9, panel.lowest_usd_date
            ),
            format('{:.0f} % of days had a lower imbalance than the newest', 100 * imbalance.rank_ratio),
            format(
                'noise with a mean of zero ends on a record with p = {:.3f}, within ten days of one with p = {:.3f}',
                nulls.today_p, nulls.ten_days_p
            )
        )
    end as evidence
from newest
cross join headline
cross join imbalance
cross join panel
cross join bitcoin_rank
cross join nulls
cross join records
