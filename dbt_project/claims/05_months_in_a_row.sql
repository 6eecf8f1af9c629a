-- sentence: Altcoins have been sold on balance for thirteen months in a row, which is extraordinary.
-- unit: months
-- rule: value is the longest run of calendar months with net flow below 0 in the covered stretch, and Bitcoin's is the
--   control. Supported where it is at least 13 and noise with a mean of zero (H0-A, blocks of 60 days) gives neither 13
--   such months nor 395 days with a negative 365-day sum in 5 % of its paths; partly where it gives one of the two;
--   contradicted where it gives both, or where no run is that long. Length says nothing of depth (claim 4).
with newest as (
    select
        max(utc_date) as utc_date,
        arg_max(negative_month_streak_count, utc_date) as month_count,
        arg_max(negative_window_streak_days, utc_date) as window_days
    from daily_altcoin_flow
    where definition_id = 'rolling_365d.ex_btc_eth.all.all' and cumulative_net_taker_usd is not null
),

nulls as (
    select
        any_value(observed_value) filter (where statistic = 'longest_negative_months' and flow_group = 'ALT')
            as alt_months,
        any_value(observed_value) filter (where statistic = 'longest_negative_months' and flow_group = 'BTC')
            as btc_months,
        any_value(observed_value) filter (where statistic = 'longest_negative_months' and flow_group = 'ETH')
            as eth_months,
        any_value(p_value) filter (where statistic = 'longest_negative_months_claimed' and flow_group = 'ALT')
            as months_p,
        any_value(p_value) filter (where statistic = 'longest_negative_window_days_claimed' and flow_group = 'ALT')
            as days_p,
        -- No path is no proof of none.
        any_value(greatest(p_value, 1 / path_count)) filter (
            where statistic = 'longest_negative_months' and flow_group = 'ALT'
        ) as longest_p
    from flow_null_tests
    where null_hypothesis = 'zero_mean' and block_days = 60
),

sensitivity as (
    select
        min(p_value) as lowest_p,
        max(p_value) as highest_p
    from flow_null_tests
    where
        statistic = 'longest_negative_months_claimed' and flow_group = 'ALT'
        and null_hypothesis in ('zero_mean', 'zero_mean_net')
)

select
    newest.utc_date,
    nulls.alt_months as value,
    nulls.btc_months as control_value,
    nulls.months_p as p_value,
    case
        when nulls.alt_months is null then 'no data'
        when nulls.alt_months < 13 or (nulls.months_p >= 0.05 and nulls.days_p >= 0.05) then 'contradicted'
        when nulls.months_p < 0.05 and nulls.days_p < 0.05 then 'supported'
        else 'partly'
    end as verdict,
    case
        when nulls.alt_months is null then 'less than a year of covered days: no run is counted'
        else concat_ws(
            '; ',
            format(
                'longest run of negative months {:.0f}, Bitcoin {:.0f}, Ether {:.0f}; {} running',
                nulls.alt_months, nulls.btc_months, nulls.eth_months, newest.month_count
            ),
            format(
                'noise has 13 such months with p = {:.3f} (other blocks and nulls: {:.3f} to {:.3f}), {:.0f} with p '
                || '<= {:.4f}',
                nulls.months_p, sensitivity.lowest_p, sensitivity.highest_p, nulls.alt_months, nulls.longest_p
            ),
            format(
                '365-day sum negative for {} days; noise has 395 such days with p = {:.2f}',
                newest.window_days, nulls.days_p
            )
        )
    end as evidence
from newest
cross join nulls
cross join sensitivity
