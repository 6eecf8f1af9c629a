-- sentence: A few altcoins recover selectively, on sustained demand.
-- unit: ratio
-- rule: value is the share of altcoins that on the newest covered day have been net bought over 90 days, ahead of
--   Bitcoin and with a rising share of volume for 60 days. Supported where there are some and more coins of the newest
--   month recover than in shuffled months (p < .05); partly where there are some, or where only the whole history has
--   more than shuffled months; contradicted where neither. Bitcoin has no figure: it cannot beat itself.
with newest as (
    select max(utc_date) as utc_date from daily_market_dispersion where is_covered
),

coins as (
    select
        count(*) as known_count,
        count(*) filter (where recovery.is_persistent) as persistent_count,
        count(*) filter (where recovery.is_recovering) as recovering_count,
        count(*) filter (where recovery.is_net_bought) as bought_count,
        count(*) filter (where recovery.is_beating_btc) as beating_count,
        string_agg(case when recovery.is_persistent then recovery.base_asset end, ', ' order by recovery.base_asset)
            as names
    from newest
    inner join daily_selective_recovery as recovery on newest.utc_date = recovery.utc_date
    where recovery.score_count is not null
),

null_tests as (
    select
        max(case when statistic = 'persistent_recovery_share_newest' then p_value end) as newest_p,
        max(case when statistic = 'persistent_recovery_share_newest' then value end) as newest_ratio,
        max(case when statistic = 'persistent_recovery_share_newest' then ci_high end) as newest_high_ratio,
        max(case when statistic = 'persistent_recovery_share' then p_value end) as history_p,
        max(case when statistic = 'persistent_recovery_share' then value end) as history_ratio,
        max(case when statistic = 'persistent_recovery_share' then ci_low end) as history_low_ratio,
        max(case when statistic = 'persistent_recovery_share' then ci_high end) as history_high_ratio,
        max(case when statistic = 'persistent_recovery_share' then observation_count end) as history_count
    from market_statistics
    where statistic like 'persistent_recovery_share%' and scope = 'ALT'
)

select
    newest.utc_date,
    case when null_tests.newest_p is not null then coins.persistent_count / nullif(coins.known_count, 0) end as value,
    cast(null as double) as control_value,
    null_tests.newest_p as p_value,
    case
        when coins.known_count = 0 or null_tests.newest_p is null then 'no data'
        when coins.persistent_count > 0 and null_tests.newest_p < 0.05 then 'supported'
        when coins.persistent_count > 0 or null_tests.history_p < 0.05 then 'partly'
        else 'contradicted'
    end as verdict,
    concat_ws(
        '; ',
        case
            when coins.known_count = 0 then 'no covered day with 150 days of history'
            else format(
                '{} of {} altcoins pass for 60 days, {} on the day ({} net bought, {} ahead of Bitcoin)',
                coins.persistent_count, coins.known_count, coins.recovering_count, coins.bought_count,
                coins.beating_count
            )
        end,
        coins.names,
        coalesce(
            format(
                'by months {:.2f} % of the newest, shuffled up to {:.2f} %', 100 * null_tests.newest_ratio,
                100 * null_tests.newest_high_ratio
            ),
            'no months to shuffle'
        ),
        format(
            'whole history {:.2f} % of {} coin-months, shuffled {:.2f} to {:.2f} % (p {:.3f})',
            100 * null_tests.history_ratio, null_tests.history_count, 100 * null_tests.history_low_ratio,
            100 * null_tests.history_high_ratio, null_tests.history_p
        )
    ) as evidence
from newest
cross join coins
cross join null_tests
