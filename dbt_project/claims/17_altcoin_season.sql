-- sentence: The altcoin season index stands in the middle or below.
-- unit: index
-- rule: 75 and more is called an altcoin season, 25 and less a Bitcoin season. Supported where the index of the 50
--   largest coins and that of the 100 largest are both below 50; partly where one is; contradicted where none is.
--   Members are those of the day, Ether included; CoinMarketCap's list is another one (45 on 2025-01-13).
with newest as (
    select max(utc_date) as utc_date
    from daily_altseason
    where definition_id = 'top_50' and altseason_index is not null
),

named as (
    select
        any_value(altseason_index) filter (where utc_date = '2024-12-05') as december_index,
        any_value(altseason_index) filter (where utc_date = '2025-01-13') as january_index
    from daily_altseason
    where definition_id = 'top_50'
)

select
    newest.utc_date,
    fifty.altseason_index as value,
    cast(null as double) as control_value,
    null as p_value,
    case
        when fifty.altseason_index is null then 'no data'
        when fifty.altseason_index < 50 and hundred.altseason_index < 50 then 'supported'
        when fifty.altseason_index < 50 or hundred.altseason_index < 50 then 'partly'
        else 'contradicted'
    end as verdict,
    case
        when fifty.altseason_index is null then 'no day has fifty coins with ninety days of history'
        else concat_ws(
            '; ',
            format(
                '{:.0f} of 100 with 50 coins (ranked by {}; {} could be members)', fifty.altseason_index, fifty.ranking,
                fifty.eligible_count
            ),
            format('{:.0f} with 100 coins', hundred.altseason_index),
            format(
                'median return over 90 days {:+.0f} %, Bitcoin {:+.0f} %', 100 * fifty.median_return_90d_ratio,
                100 * fifty.btc_return_90d_ratio
            ),
            format('{:.0f} on 2024-12-05, {:.0f} on 2025-01-13', named.december_index, named.january_index)
        )
    end as evidence
from newest
cross join named
left join daily_altseason as fifty on newest.utc_date = fifty.utc_date and fifty.definition_id = 'top_50'
left join daily_altseason as hundred on newest.utc_date = hundred.utc_date and hundred.definition_id = 'top_100'
