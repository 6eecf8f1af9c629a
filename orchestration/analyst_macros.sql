-- Table macros of the published file. Names are unqualified: connect to the file, or attach it and `use` it.
-- Days are UTC days; start_date and end_date are both included. Amounts are taker-signed: a buy is a trade whose
-- aggressor bought. For DuckDB 1.2 and later, which takes arguments by position; hence no defaults.

create or replace macro cumulative_flow(days, universe, quotes, trust) as table
with daily as (
    select
        flows.utc_date,
        flows.net_taker_usd,
        flows.volume_usd,
        flows.symbol_count,
        flows.coverage_ratio
    from daily_altcoin_flow as flows
    where
        flows.window_name = 'rolling_365d'
        and flows.panel = 'all'
        and flows.universe = universe
        and flows.quotes = quotes
        and flows.trust = trust
),

windows as (
    select
        daily.*,
        daily.utc_date - (cast(days as integer) - 1) as window_start_date,
        sum(daily.net_taker_usd) over window_days as window_net_taker_usd,
        sum(daily.volume_usd) over window_days as window_volume_usd,
        sum(daily.symbol_count) over window_days as window_symbol_count,
        sum(round(daily.symbol_count / nullif(daily.coverage_ratio, 0))) over window_days as window_expected_count,
        count(*) filter (where daily.coverage_ratio >= 0.5) over window_days as covered_days
    from daily
    window window_days as (
        order by daily.utc_date
        range between to_days(cast(days as integer) - 1) preceding and current row
    )
),

judged as (
    select
        windows.*,
        windows.covered_days = cast(days as integer) as is_window_complete,
        case
            when windows.covered_days = cast(days as integer)
                then windows.window_symbol_count / windows.window_expected_count
        end as window_coverage_ratio
    from windows
)

select
    judged.utc_date,
    judged.window_start_date,
    judged.net_taker_usd,
    judged.volume_usd,
    judged.window_net_taker_usd,
    judged.window_volume_usd,
    cast(judged.window_net_taker_usd as double) / nullif(cast(judged.window_volume_usd as double), 0)
        as window_imbalance_ratio,
    judged.is_window_complete,
    judged.window_coverage_ratio,
    case when judged.window_coverage_ratio >= 0.95 then judged.window_net_taker_usd end as cumulative_net_taker_usd
from judged
order by judged.utc_date;

comment on macro table cumulative_flow is
'One row per UTC day. Taker buys less sells over the last `days` days, the day included, for any window length, from the daily rows of daily_altcoin_flow. cumulative_net_taker_usd is NULL where the window is not complete or its coverage is below 0.95. universe: ex_btc_eth or ex_btc; quotes: all or usd_pegged; trust: all or trusted. Example: from cumulative_flow(180, ''ex_btc_eth'', ''all'', ''all'')';

create or replace macro top_sellers(start_date, end_date, n) as table
with summed as (
    select
        flows.base_asset,
        sum(flows.net_taker_usd) as net_taker_usd,
        sum(flows.volume_usd) as volume_usd,
        count(*) as day_count
    from daily_asset_flows as flows
    where
        flows.flow_group = 'ALT'
        and flows.utc_date between cast(start_date as date) and cast(end_date as date)
    group by flows.base_asset
)

select
    summed.base_asset,
    summed.net_taker_usd,
    summed.volume_usd,
    cast(summed.net_taker_usd as double) / nullif(cast(summed.volume_usd as double), 0) as imbalance_ratio,
    summed.day_count
from summed
where summed.net_taker_usd < 0
qualify row_number() over (order by summed.net_taker_usd, summed.base_asset) <= n
order by summed.net_taker_usd, summed.base_asset;

comment on macro table top_sellers is
'One row per altcoin, the most sold first, at most `n`. Taker buys less sells from start_date to end_date, both included; only coins sold on balance. day_count: days with trades.';

create or replace macro flow_by_exchange(start_date, end_date) as table
select
    flows.exchange,
    flows.flow_group,
    sum(flows.net_taker_usd) as net_taker_usd,
    sum(flows.volume_usd) as volume_usd,
    cast(sum(flows.net_taker_usd) as double) / nullif(cast(sum(flows.volume_usd) as double), 0) as imbalance_ratio,
    count(distinct flows.symbol) as symbol_count,
    count(distinct flows.utc_date) as day_count
from daily_symbol_flows as flows
where
    flows.net_taker_usd is not null
    and flows.utc_date between cast(start_date as date) and cast(end_date as date)
group by flows.exchange, flows.flow_group
order by flows.exchange, flows.flow_group;

comment on macro table flow_by_exchange is
'One row per exchange and flow_group (ALT, BTC, ETH, STABLE, OTHER). Taker buys less sells and volume from start_date to end_date, both included.';

create or replace macro asset_history(asset) as table
select
    flows.*,
    sum(flows.net_taker_usd) over (order by flows.utc_date rows unbounded preceding) as cumulative_net_taker_usd
from daily_asset_flows as flows
where flows.base_asset = upper(asset)
order by flows.utc_date;

comment on macro table asset_history is
'One row per UTC day on which the asset traded. All columns of daily_asset_flows, and the net flow cumulated since the first of these days.';

create or replace macro flow_as_of(as_of) as table
with known as (
    select headlines.*
    from published_headlines as headlines
    where
        headlines.published_at < case
            when cast(as_of as timestamp) = date_trunc('day', cast(as_of as timestamp))
                then cast(as_of as timestamp) + interval 1 day
            else cast(as_of as timestamp) + interval 1 microsecond
        end
)

select
    known.definition_id,
    known.utc_date,
    known.value,
    known.published_at,
    known.run_id
from known
qualify row_number() over (
    partition by known.definition_id, known.utc_date
    order by known.published_at desc, known.run_id desc
) = 1
order by known.definition_id, known.utc_date;

comment on macro table flow_as_of is
'One row per definition_id and UTC day. The window sum (window_net_taker_usd) that stood published at as_of: at that moment, or at the end of that UTC day if as_of is a day. Read from published_headlines, never recomputed; published_at and run_id say when that value was first published.';
