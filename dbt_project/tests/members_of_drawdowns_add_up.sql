-- Every member is a survivor, delisted, gone on under another name or unit, or not observed; shares are shares, and
-- what counts the delisted as lost is never better than what looks at survivors alone.
select
    definition_id,
    utc_date,
    member_count,
    survivor_count,
    delisted_count,
    continued_count,
    not_observed_count
from {{ ref('daily_drawdown_breadth') }}
where
    not_observed_count < 0
    or ever_below_90_share_ratio not between 0 and 1
    or survivor_below_80_share_ratio > survivor_below_50_share_ratio
    or abs(survivor_50_to_80_share_ratio + survivor_below_80_share_ratio - survivor_below_50_share_ratio) > 1e-12
    or survivorship_below_90_difference_ratio < 0
    or total_loss_below_90_share_ratio < last_price_below_90_share_ratio
