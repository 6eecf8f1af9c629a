-- sentence: Trading altcoins is player versus player: the same money goes round, no new money comes.
-- unit: ratio
-- rule: value is the mean recycling index 1 - |sum of net| / sum of |net| of the covered days, control what random
--   signs of the same flows give (here no Bitcoin). Supported where the index is at least that and no new money came in
--   90 days (change of all stablecoins plus imported ETF flow at most 0); partly where one of the two; contradicted
--   where flows are more one-sided than chance and new money came. Every trade has both sides, so money going round is
--   a figure of speech.
with newest as (
    select max(utc_date) as utc_date from daily_meme_rotation
),

indexes as (
    select
        count(*) as day_count,
        avg(days.recycling_index_ratio) as index_ratio,
        avg(days.random_sign_mean_ratio) as random_ratio,
        avg(case when days.is_one_sided then 1 else 0 end) as one_sided_ratio,
        avg(days.recycling_index_ratio) filter (where days.utc_date > newest.utc_date - 365) as year_index_ratio,
        avg(days.random_sign_mean_ratio) filter (where days.utc_date > newest.utc_date - 365) as year_random_ratio
    from daily_meme_rotation as days
    cross join newest
),

stablecoins as (
    select any_value(days.total_net_90d_change_usd) as change_usd
    from newest
    inner join daily_stablecoin_supply as days on newest.utc_date = days.utc_date
),

funds as (
    select
        count(days.net_flow_usd) as day_count,
        sum(days.net_flow_usd) as net_usd
    from newest
    inner join etf_flows_daily as days on newest.utc_date - 90 < days.utc_date and newest.utc_date >= days.utc_date
),

money as (
    select stablecoins.change_usd + coalesce(funds.net_usd, 0) as new_usd
    from stablecoins
    cross join funds
)

select
    newest.utc_date,
    indexes.index_ratio as value,
    indexes.random_ratio as control_value,
    null as p_value,
    case
        when indexes.index_ratio is null then 'no data'
        when indexes.index_ratio >= indexes.random_ratio and money.new_usd <= 0 then 'supported'
        when indexes.index_ratio >= indexes.random_ratio or money.new_usd <= 0 then 'partly'
        else 'contradicted'
    end as verdict,
    case
        when indexes.index_ratio is null then 'no covered day'
        else concat_ws(
            '; ',
            format(
                'recycling index {:.2f}, random signs {:.2f}, n = {} days of which {:.0f} % are more one-sided than '
                || '95 % of chance; last 365 days {:.2f} and {:.2f}',
                indexes.index_ratio, indexes.random_ratio, indexes.day_count, 100 * indexes.one_sided_ratio,
                indexes.year_index_ratio, indexes.year_random_ratio
            ),
            coalesce(
                format(
                    'stablecoins {:+.1f} billion dollars in 90 days', cast(stablecoins.change_usd as double) / 1e9
                ),
                'change of stablecoins not known'
            ),
            case when funds.day_count = 0 then 'no ETF flows imported' end,
            format('ETFs {:+.1f} billion', cast(funds.net_usd as double) / 1e9)
        )
    end as evidence
from newest
cross join indexes
cross join stablecoins
cross join funds
cross join money
