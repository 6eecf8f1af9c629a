-- R22: the shares of a day add up to 1. They are divided one by one, nothing is filled up to 1.
with shares as (
    select
        definition_id,
        utc_date,
        abs(btc_share_ratio + eth_share_ratio + stablecoin_share_ratio + other_share_ratio - 1) as deviation_ratio,
        abs(
            covered_btc_share_ratio + covered_eth_share_ratio + covered_stablecoin_share_ratio
            + covered_other_share_ratio - 1
        ) as covered_deviation_ratio
    from {{ ref('daily_dominance') }}
)

select
    definition_id,
    count(deviation_ratio) as share_days,
    count(covered_deviation_ratio) as covered_share_days,
    -- greatest() passes over a NULL.
    max(greatest(deviation_ratio, covered_deviation_ratio)) as max_deviation_ratio,
    max_by(
        case when covered_deviation_ratio is not null then utc_date end,
        (greatest(deviation_ratio, covered_deviation_ratio), utc_date)
    ) as worst_date
from shares
group by definition_id
