-- sentence: Liquidity is concentrated in a few blue chips.
-- unit: ratio
-- rule: HHI of the day's spot volume, of altcoins alone (value) and with Bitcoin and Ether (control). Supported where
--   both are at least 0.18, which competition authorities call highly concentrated; partly where one is, or where the
--   ten largest have half of the volume in both; else contradicted. Without the 50 smallest assets the figure should
--   hardly move.
with newest as (
    select max(utc_date) as utc_date from daily_liquidity_concentration
),

means as (
    select
        avg(days.hhi_ratio) filter (where days.universe = 'alts') as alts_mean_ratio,
        avg(days.hhi_ratio) filter (where days.universe = 'alts_btc_eth') as all_mean_ratio,
        count(*) filter (where days.universe = 'alts') as day_count
    from daily_liquidity_concentration as days
    cross join newest
    where days.utc_date > newest.utc_date - 365
)

select
    newest.utc_date,
    alts.hhi_ratio as value,
    everything.hhi_ratio as control_value,
    null as p_value,
    case
        when alts.hhi_ratio is null or everything.hhi_ratio is null then 'no data'
        when alts.hhi_ratio >= 0.18 and everything.hhi_ratio >= 0.18 then 'supported'
        when
            alts.hhi_ratio >= 0.18 or everything.hhi_ratio >= 0.18
            or (alts.top_10_share_ratio >= 0.5 and everything.top_10_share_ratio >= 0.5)
            then 'partly'
        else 'contradicted'
    end as verdict,
    case
        when alts.hhi_ratio is null or everything.hhi_ratio is null then 'no covered day'
        else concat_ws(
            '; ',
            format(
                'altcoins: HHI {:.4f}, as {:.0f} equal coins of {}, ten largest {:.0f} %', alts.hhi_ratio,
                alts.effective_count, alts.asset_count, 100 * alts.top_10_share_ratio
            ),
            format('without the 50 smallest {:.4f}', alts.hhi_ex_smallest_50_ratio),
            format(
                'with Bitcoin and Ether: HHI {:.4f}, as {:.0f} equal coins, ten largest {:.0f} %', everything.hhi_ratio,
                everything.effective_count, 100 * everything.top_10_share_ratio
            ),
            format(
                'means of {} covered days of 365: {:.4f} and {:.4f}', means.day_count, means.alts_mean_ratio,
                means.all_mean_ratio
            )
        )
    end as evidence
from newest
cross join means
left join daily_liquidity_concentration as alts on newest.utc_date = alts.utc_date and alts.universe = 'alts'
left join daily_liquidity_concentration as everything
    on newest.utc_date = everything.utc_date and everything.universe = 'alts_btc_eth'
