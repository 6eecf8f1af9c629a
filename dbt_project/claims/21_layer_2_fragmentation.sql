-- sentence: Layer-2 chains fragment liquidity.
-- unit: ratio
-- rule: HHI over chains of value locked (value), of the volume of decentralised exchanges and of stablecoins, newest
--   covered day against 365 days before (the control, of value locked). Supported where at least two of the three are
--   covered and all of them fell; partly where one fell; contradicted where none did. Roll-ups are Arbitrum, Optimism,
--   Base and zkSync. A second service with other chains would refute it: a new chain changes all shares.
with covered as (
    select
        measure,
        utc_date,
        hhi_ratio,
        four_rollups_share_ratio,
        chain_count
    from daily_chain_fragmentation
    where is_covered and hhi_ratio is not null
),

newest as (
    select
        measure,
        max(utc_date) as utc_date
    from covered
    group by measure
),

compared as (
    select
        newest.measure,
        newest.utc_date,
        today.hhi_ratio,
        today.four_rollups_share_ratio,
        today.chain_count,
        earlier.hhi_ratio as earlier_hhi_ratio,
        earlier.four_rollups_share_ratio as earlier_rollups_ratio
    from newest
    inner join covered as today on newest.measure = today.measure and newest.utc_date = today.utc_date
    inner join covered as earlier on newest.measure = earlier.measure and newest.utc_date - 365 = earlier.utc_date
),

facts as (
    select
        max(utc_date) as utc_date,
        count(*) as measure_count,
        count(*) filter (where hhi_ratio < earlier_hhi_ratio) as fallen_count,
        any_value(hhi_ratio) filter (where measure = 'tvl') as tvl_ratio,
        any_value(earlier_hhi_ratio) filter (where measure = 'tvl') as earlier_tvl_ratio,
        string_agg(
            format(
                '{}: HHI {:.3f} over {} chains on {}, {:.3f} a year before, four roll-ups {}', measure, hhi_ratio,
                chain_count, utc_date, earlier_hhi_ratio,
                coalesce(
                    format(
                        '{:.1f} % after {}', 100 * four_rollups_share_ratio,
                        coalesce(format('{:.1f} %', 100 * earlier_rollups_ratio), 'no figure')
                    ),
                    'not told'
                )
            ),
            '; '
            order by measure desc
        ) as compared_text
    from compared
)

select
    utc_date,
    tvl_ratio as value,
    earlier_tvl_ratio as control_value,
    null as p_value,
    case
        when measure_count = 0 then 'no data'
        when fallen_count = 0 then 'contradicted'
        when fallen_count = measure_count and measure_count >= 2 then 'supported'
        else 'partly'
    end as verdict,
    case
        when measure_count = 0 then 'no measure is covered on two days a year apart'
        else format('{} of 3 measures covered; {}', measure_count, compared_text)
    end as evidence
from facts
