-- An index over n shares that sum to 1 lies between 1/n and 1, and no part is more than the whole.
select
    measure,
    utc_date
from {{ ref('daily_chain_fragmentation') }}
where
    hhi_ratio > 1 + 1e-12
    or hhi_ratio < 1.0 / chain_count - 1e-12
    or four_rollups_share_ratio not between 0 and 1 + 1e-12
