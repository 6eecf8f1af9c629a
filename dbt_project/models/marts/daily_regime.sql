with flagged as (
    select *
    from {{ ref('int_regime_days_flagged') }}
    where is_published
)

select
    definition_id,
    utc_date,
    family,
    is_active,
    is_flip,
    cast(count(*) filter (where is_flip) over so_far as bigint) as cumulative_flip_count,
    cast(count(*) filter (where is_active) over so_far as bigint) as cumulative_active_days,
    score_count,
    breadth_share_ratio,
    rank_ratio,
    sell_z as sell_deviation_ratio,
    aggregate_days,
    altcoin_count,
    is_covered
from flagged
window so_far as (partition by definition_id order by utc_date rows unbounded preceding)
