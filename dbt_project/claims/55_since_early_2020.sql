-- sentence: Such a deficit of altcoins has not been observed since early 2020.
-- unit: days
-- rule: value is the number of days between 2020-01-01 and 2020-03-31 with at least 100 altcoins observed. With fewer
--   than 80 of them there is nothing that today could be compared with: no data, and the deepest of the valid history
--   is claim 4. Where there are, supported if the newest 365-day sum is below all earlier ones, else contradicted.
with early as (
    select
        count(*) filter (
            where altcoin_count >= 100 and utc_date between date '2020-01-01' and date '2020-03-31'
        ) as broad_days,
        min(altcoin_count) filter (where utc_date between date '2020-01-01' and date '2020-10-03') as least_count,
        max(altcoin_count) filter (where utc_date between date '2020-01-01' and date '2020-10-03') as most_count,
        min(utc_date) filter (where altcoin_count >= 100) as first_broad_date,
        min(utc_date) as first_date
    from daily_regime
    where definition_id = 'absorption' and altcoin_count > 0
),

headline as (
    select
        max(utc_date) as utc_date,
        min(utc_date) as first_valid_date,
        arg_max(is_record_low, utc_date) as is_record_low,
        arg_max(days_since_lower, utc_date) as days_since_lower
    from daily_altcoin_flow
    where definition_id = 'rolling_365d.ex_btc_eth.all.all' and cumulative_net_taker_usd is not null
)

select
    headline.utc_date,
    case when early.first_date is not null then early.broad_days end as value,
    cast(null as double) as control_value,
    cast(null as double) as p_value,
    case
        when early.broad_days < 80 or headline.utc_date is null then 'no data'
        when headline.is_record_low then 'supported'
        else 'contradicted'
    end as verdict,
    concat_ws(
        '; ',
        format('history begins on {}', early.first_date),
        format('before 2020-10-04 it holds {} to {} altcoins a day', early.least_count, early.most_count),
        coalesce(format('100 and more from {} on', early.first_broad_date), 'never 100 altcoins on a day'),
        coalesce(
            format('the first valid window of 365 days ends on {}', headline.first_valid_date),
            'no complete window of 365 days'
        ),
        format('the newest sum was last lower {} days before', headline.days_since_lower)
    ) as evidence
from early
cross join headline
