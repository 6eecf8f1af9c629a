-- 1 / n <= HHI <= largest share <= 1, squares of the largest inside; Gini from 0 to 1 - 1 / n.
select
    universe,
    utc_date,
    hhi_ratio,
    top_1_share_ratio,
    gini_ratio,
    asset_count
from {{ ref('daily_liquidity_concentration') }}
where
    hhi_ratio < (1 - 1e-12) / asset_count
    or hhi_ratio > top_1_share_ratio * (1 + 1e-12)
    or hhi_ratio < top_1_share_ratio * top_1_share_ratio * (1 - 1e-12)
    or top_1_share_ratio > top_5_share_ratio
    or top_5_share_ratio > top_10_share_ratio
    or top_10_share_ratio > 1
    or gini_ratio not between -1e-12 and 1 - 1 / asset_count + 1e-12
    or promoted_volume_share_ratio not between 0 and 1
