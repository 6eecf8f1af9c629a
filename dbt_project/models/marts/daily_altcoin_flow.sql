with windows as (select * from {{ ref('int_flow_windows_summed') }}),

ranks as (select * from {{ ref('int_flow_windows_ranked') }}),

streaks as (select * from {{ ref('int_flow_streaks_counted') }}),

bands as (select * from {{ ref('int_coverage_bands_estimated') }}),

compared as (
    select
        altcoins.*,
        altcoins.window_imbalance_ratio - bitcoin.window_imbalance_ratio as excess_imbalance_ratio
    from windows as altcoins
    left join windows as bitcoin
        on
            altcoins.window_name = bitcoin.window_name
            and altcoins.quotes = bitcoin.quotes
            and altcoins.trust = bitcoin.trust
            and altcoins.utc_date = bitcoin.utc_date
            and bitcoin.universe = 'btc'
    where altcoins.universe != 'btc'
),

-- A window that is not valid ends the streak, as a window at or above zero does.
window_streaks as (
    select
        *,
        utc_date - coalesce(
            max(utc_date) filter (where not (is_window_valid and window_net_taker_usd < 0)) over so_far,
            min(utc_date) over so_far - 1
        ) as negative_window_streak_days
    from compared
    window so_far as (partition by definition_id order by utc_date rows unbounded preceding)
)

select
    flows.definition_id,
    flows.utc_date,
    flows.window_name,
    flows.universe,
    flows.quotes,
    flows.trust,
    flows.panel,
    flows.net_taker_usd,
    flows.volume_usd,
    cast(flows.net_taker_usd as double) / nullif(cast(flows.volume_usd as double), 0) as imbalance_ratio,
    flows.window_start_date,
    flows.window_net_taker_usd,
    flows.window_volume_usd,
    flows.window_imbalance_ratio,
    (flows.window_imbalance_ratio + 1) / 2 as window_taker_buy_ratio,
    flows.window_coverage_ratio,
    flows.is_window_complete,
    case when flows.is_window_valid then flows.window_net_taker_usd end as cumulative_net_taker_usd,
    flows.excess_imbalance_ratio,
    bands.band_low_usd,
    bands.band_high_usd,
    flows.symbol_count / nullif(flows.expected_count, 0) as coverage_ratio,
    flows.symbol_count,
    flows.exchange_count,
    ranks.percentile_rank_ratio,
    ranks.is_record_low,
    ranks.days_since_lower,
    case when flows.is_window_valid then streaks.negative_streak_days end as negative_streak_days,
    case when flows.is_window_valid then streaks.negative_week_streak_count end as negative_week_streak_count,
    case when flows.is_window_valid then streaks.negative_month_streak_count end as negative_month_streak_count,
    case when flows.is_window_valid then flows.negative_window_streak_days end as negative_window_streak_days,
    bands.band_range_low_usd,
    bands.band_range_high_usd,
    bands.band_missing_volume_usd,
    bands.band_exchange_count,
    case when flows.panel = 'fixed' then 'not estimated for a fixed panel' else bands.band_reason end as band_reason
from window_streaks as flows
inner join streaks
    on
        flows.universe = streaks.universe
        and flows.quotes = streaks.quotes
        and flows.trust = streaks.trust
        and flows.panel = streaks.panel
        and flows.utc_date = streaks.utc_date
left join ranks on flows.definition_id = ranks.definition_id and flows.utc_date = ranks.utc_date
left join bands on flows.definition_id = bands.definition_id and flows.utc_date = bands.utc_date
