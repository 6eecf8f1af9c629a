-- sentence: The collective of altcoins does not regain its value of 2021, single winners do.
-- unit: ratio
-- rule: value is the largest capitalisation of altcoins without ETH and stablecoins since 2022 over their largest of
--   2021. Supported where it stayed below 1 in three definitions (without BTC, ETH and stablecoins; without BTC and
--   stablecoins; without BTC) and some but less than half of the coins of 2021-12-31 are above their peak of 2021;
--   contradicted where no definition stayed below 1; else partly, and partly with fewer than 40 totals in 2021, between
--   which a peak may hide. Only totals of the whole market count: with a changing set of coins a ratio says nothing. So
--   far, that is: nobody knows of never. Control: Bitcoin's own.
with totals as (
    select
        definition_id,
        utc_date,
        other_share_ratio * cast(covered_usd as double) / covered_cap_ratio as ex_btc_eth_stable_usd,
        (other_share_ratio + eth_share_ratio) * cast(covered_usd as double) / covered_cap_ratio as ex_btc_stable_usd,
        (1 - btc_share_ratio) * cast(covered_usd as double) / covered_cap_ratio as ex_btc_usd,
        btc_share_ratio * cast(covered_usd as double) / covered_cap_ratio as btc_usd
    from daily_dominance
    where definition_id in ('cap_all', 'cap_imported', 'cap_reported') and other_share_ratio is not null
),

largest as (
    select
        definition_id,
        max(utc_date) as utc_date,
        count(*) filter (where year(utc_date) = 2021) as day_count,
        max(ex_btc_eth_stable_usd) filter (where year(utc_date) >= 2022)
        / max(ex_btc_eth_stable_usd) filter (where year(utc_date) = 2021) as ex_btc_eth_stable_ratio,
        max(ex_btc_stable_usd) filter (where year(utc_date) >= 2022)
        / max(ex_btc_stable_usd) filter (where year(utc_date) = 2021) as ex_btc_stable_ratio,
        max(ex_btc_usd) filter (where year(utc_date) >= 2022)
        / max(ex_btc_usd) filter (where year(utc_date) = 2021) as ex_btc_ratio,
        max(btc_usd) filter (where year(utc_date) >= 2022)
        / max(btc_usd) filter (where year(utc_date) = 2021) as btc_ratio,
        arg_max(ex_btc_eth_stable_usd, utc_date) / max(ex_btc_eth_stable_usd) filter (where year(utc_date) = 2021)
            as newest_ratio,
        arg_max(utc_date, ex_btc_eth_stable_usd) filter (where year(utc_date) >= 2022) as largest_date
    from totals
    group by definition_id
),

chosen as (
    select * from largest where day_count >= 10 and utc_date > date '2021-12-31'
    order by utc_date desc, definition_id asc
    limit 1
),

winners as (
    select
        count(*) as coin_count,
        count(*) filter (where drawdown_ratio >= 0) as winner_count,
        max(last_date) as utc_date
    from asset_drawdowns
    where definition_id = 'peak_2021' and is_in_basket_2021
),

uncovered as (
    select
        arg_max(asset_count, utc_date) as asset_count,
        arg_max(covered_other_share_ratio * cast(covered_usd as double), utc_date)
        / max(case when year(utc_date) = 2021 then covered_other_share_ratio * cast(covered_usd as double) end)
            as other_ratio,
        max(case when year(utc_date) = 2021 then asset_count end) as earlier_asset_count
    from daily_dominance
    where definition_id = 'cap_all'
),

judged as (
    select
        chosen.*,
        case when chosen.ex_btc_eth_stable_ratio < 1 then 1 else 0 end
        + case when chosen.ex_btc_stable_ratio < 1 then 1 else 0 end
        + case when chosen.ex_btc_ratio < 1 then 1 else 0 end as below_count,
        winners.coin_count,
        winners.winner_count
    from winners
    left join chosen on true
)

select
    judged.utc_date,
    judged.ex_btc_eth_stable_ratio as value,
    judged.btc_ratio as control_value,
    cast(null as double) as p_value,
    case
        when judged.ex_btc_eth_stable_ratio is null or judged.coin_count = 0 then 'no data'
        when judged.below_count = 0 then 'contradicted'
        when
            judged.below_count = 3
            and judged.day_count >= 40
            and judged.winner_count > 0
            and judged.winner_count * 2 < judged.coin_count
            then 'supported'
        else 'partly'
    end as verdict,
    concat_ws(
        '; ',
        case
            when judged.ex_btc_eth_stable_ratio is null
                then concat_ws(
                    '; ', 'no series of the whole market''s capitalisation since 2021 (import one)',
                    format(
                        'of covered coins alone, {} now and up to {} in 2021, {:.2f} of the largest of 2021',
                        uncovered.asset_count, uncovered.earlier_asset_count, uncovered.other_ratio
                    )
                )
            else format(
                'since 2022 at most {:.2f} of the largest of 2021 without BTC, ETH and stablecoins (on {}), {:.2f} '
                || 'without BTC and stablecoins, {:.2f} without BTC; on {} {:.2f}; Bitcoin {:.2f}; {} totals of {} in '
                || '2021',
                judged.ex_btc_eth_stable_ratio, judged.largest_date, judged.ex_btc_stable_ratio, judged.ex_btc_ratio,
                judged.utc_date, judged.newest_ratio, judged.btc_ratio, judged.day_count, judged.definition_id
            )
        end,
        format(
            '{} of {} coins of 2021-12-31 were at or above their peak of 2021 at their last close', judged.winner_count,
            judged.coin_count
        )
    ) as evidence
from judged
cross join uncovered
