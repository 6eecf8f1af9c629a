with parameters as (select * from {{ ref('regime_parameters') }}),

measured as (select * from {{ ref('int_regime_days_measured') }}),

crossed as (
    select
        parameters.definition_id,
        parameters.family,
        parameters.is_published,
        parameters.sell_z_min,
        parameters.return_rank_max,
        parameters.breadth_min,
        parameters.breadth_leave,
        parameters.enter_days,
        measured.*,
        case parameters.breadth_basis
            when 'net_sold' then measured.net_sold_share_ratio
            when 'net_sold_3d' then measured.net_sold_3d_share_ratio
            when 'net_bought' then measured.net_bought_share_ratio
            when 'falling' then measured.falling_share_ratio
            when 'above_own_mean' then measured.above_own_mean_share_ratio
        end as breadth_share_ratio,
        case parameters.return_days when 3 then measured.return_3d_rank_ratio else measured.return_rank_ratio end
            as rank_ratio,
        case parameters.aggregate_basis
            when 'excess_day' then measured.excess_day_days
            when 'excess_30d' then measured.excess_30d_days
            when 'net_day' then measured.net_day_days
            when 'net_30d' then measured.net_30d_days
        end as aggregate_days
    from measured
    cross join parameters
),

-- The last word holds until the other one is said.
events as (
    select
        *,
        case
            when family != 'accumulation' then null
            when breadth_share_ratio >= breadth_min and aggregate_days >= enter_days then true
            when breadth_share_ratio < breadth_leave then false
        end as is_entering,
        case
            when
                family = 'exhaustion'
                and cumulative_rank_ratio is not null
                and cumulative_slope_usd is not null
                and volume_rank_ratio is not null
                and lambda_minus is not null
                and mean_lambda_minus is not null
                then
                    cast(cumulative_rank_ratio <= return_rank_max as integer)
                    + cast(cumulative_slope_usd >= 0 as integer)
                    + cast(volume_rank_ratio <= 0.30 as integer)
                    + cast(lambda_minus < mean_lambda_minus as integer)
        end as score_count
    from crossed
),

flagged as (
    select
        *,
        case
            when family = 'capitulation' and sell_z_min is null
                then rank_ratio <= return_rank_max and breadth_share_ratio >= breadth_min
            when family = 'capitulation'
                then
                    rank_ratio <= return_rank_max
                    and breadth_share_ratio >= breadth_min
                    and sell_z >= sell_z_min
            when family = 'accumulation' and breadth_share_ratio is not null
                then coalesce(last_value(is_entering ignore nulls) over so_far, false)
            when family = 'exhaustion' then score_count = 4
            when definition_id = 'absorption' then net_taker_usd < 0 and weighted_return_ratio >= 0
            when definition_id = 'absorption_btc' then bitcoin_net_taker_usd < 0 and bitcoin_return_ratio >= 0
        end as is_active
    from events
    window so_far as (partition by definition_id order by utc_date rows unbounded preceding)
)

select
    definition_id,
    utc_date,
    family,
    is_published,
    is_active,
    coalesce(
        is_active != coalesce(lag(is_active ignore nulls) over (partition by definition_id order by utc_date), false),
        false
    ) as is_flip,
    cast(score_count as bigint) as score_count,
    breadth_share_ratio,
    case family when 'capitulation' then rank_ratio when 'exhaustion' then cumulative_rank_ratio end as rank_ratio,
    case when sell_z_min is not null then sell_z end as sell_z,
    aggregate_days,
    is_covered,
    altcoin_count
from flagged
