with definitions as (select * from {{ ref('int_flow_definitions_listed') }}),

universe_days as (select * from {{ ref('int_universe_days_summed') }}),

panel_days as (select * from {{ ref('int_panel_days_summed') }}),

run as (select * from {{ ref('int_run_selected') }}),

-- The windows of the headline, and for each of them the same window over BTC.
series as (
    select definition_id, window_name, universe, quotes, trust, panel, window_day_count, anchor_date
    from definitions
    where panel = 'all'
    union all
    select
        window_name || '.btc.' || quotes || '.' || trust as definition_id,
        window_name,
        'btc' as universe,
        quotes,
        trust,
        panel,
        window_day_count,
        anchor_date
    from definitions
    where panel = 'all' and universe = 'ex_btc'
),

days as (
    select
        series.definition_id,
        series.window_name,
        series.universe,
        series.quotes,
        series.trust,
        series.panel,
        universe_days.utc_date,
        universe_days.net_taker_usd,
        universe_days.volume_usd,
        universe_days.symbol_count,
        universe_days.expected_count,
        universe_days.exchange_count,
        universe_days.is_covered,
        case
            when series.window_day_count is not null then universe_days.utc_date - (series.window_day_count - 1)
            when series.anchor_date is not null then series.anchor_date
            else cast(date_trunc('year', universe_days.utc_date) as date)
        end as window_start_date,
        to_days(cast(universe_days.utc_date - window_start_date as integer)) as window_reach
    from series
    inner join universe_days
        on
            series.universe = universe_days.universe
            and series.quotes = universe_days.quotes
            and series.trust = universe_days.trust
    where series.anchor_date is null or universe_days.utc_date >= series.anchor_date
),

-- The frame counts calendar days: a missing day adds nothing and never lets an older day in.
windows as (
    select
        *,
        sum(net_taker_usd) over window_days as window_net_taker_usd,
        sum(volume_usd) over window_days as window_volume_usd,
        cast(sum(symbol_count) over window_days as bigint) as window_symbol_count,
        cast(sum(expected_count) over window_days as bigint) as window_expected_count,
        count(*) filter (where is_covered) over window_days as covered_day_count
    from days
    window window_days as (
        partition by definition_id
        order by utc_date
        range between window_reach preceding and current row
    )
),

completed as (
    select
        windows.*,
        run.first_date <= windows.window_start_date
        and windows.covered_day_count = windows.utc_date - windows.window_start_date + 1 as is_window_complete
    from windows
    cross join run
),

-- A panel changes with its day: its sums come from the assets, its days from the universe that it is taken from.
panels as (
    select
        definitions.definition_id,
        completed.window_name,
        completed.universe,
        completed.quotes,
        completed.trust,
        definitions.panel,
        completed.utc_date,
        panel_days.net_taker_usd,
        panel_days.volume_usd,
        coalesce(panel_days.symbol_count, 0) as symbol_count,
        coalesce(panel_days.expected_count, 0) as expected_count,
        completed.exchange_count,
        completed.is_covered,
        completed.window_start_date,
        panel_days.window_net_taker_usd,
        panel_days.window_volume_usd,
        panel_days.window_symbol_count,
        panel_days.window_expected_count,
        completed.is_window_complete
    from definitions
    inner join completed
        on
            definitions.window_name = completed.window_name
            and definitions.universe = completed.universe
            and definitions.quotes = completed.quotes
            and definitions.trust = completed.trust
    left join panel_days
        on
            definitions.universe = panel_days.universe
            and definitions.quotes = panel_days.quotes
            and definitions.trust = panel_days.trust
            and completed.utc_date = panel_days.utc_date
    where definitions.panel = 'fixed'
),

all_windows as (
    select * exclude (window_reach, covered_day_count) from completed
    union all by name
    select * from panels
)

select
    *,
    cast(window_net_taker_usd as double) / nullif(cast(window_volume_usd as double), 0) as window_imbalance_ratio,
    window_symbol_count / nullif(window_expected_count, 0) as window_coverage_ratio,
    coalesce(is_window_complete and window_coverage_ratio >= 0.95, false) as is_window_valid
from all_windows
