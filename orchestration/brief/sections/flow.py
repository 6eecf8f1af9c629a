"""Who sold: against Bitcoin and Ether, by exchange, by asset, by definition, and beside what others have read."""

from orchestration.brief import charts
from orchestration.brief.parts import Chart, Column, Note, Section, Sentence, Table
from orchestration.brief.sections.lead import GROUPS, HEADLINE
from orchestration.brief.snapshot import Snapshot

QUOTED = f"""(
        select max(utc_date) from daily_altcoin_flow
        where definition_id = '{HEADLINE}' and cumulative_net_taker_usd is not null
    )"""

LAST = f"""
with daily as (
    select utc_date, net_taker_usd, volume_usd, imbalance_ratio, coverage_ratio
    from daily_altcoin_flow
    where definition_id = '{HEADLINE}' and net_taker_usd is not null
)
select
    max(utc_date) as utc_date,
    arg_max(net_taker_usd, utc_date) as day_usd,
    arg_max(volume_usd, utc_date) as day_volume_usd,
    arg_max(imbalance_ratio, utc_date) as day_ratio,
    arg_max(coverage_ratio, utc_date) as day_coverage_ratio,
    sum(net_taker_usd) filter (where utc_date > (select max(utc_date) from daily) - 30) as month_usd,
    sum(volume_usd) filter (where utc_date > (select max(utc_date) from daily) - 30) as month_volume_usd
from daily
"""

SINCE_2020 = """
with newest as (select max(utc_date) as utc_date from daily_control_flow),
cumulated as (
    select
        flow_group, utc_date,
        sum(net_taker_usd) over (partition by flow_group order by utc_date) as cumulated_usd
    from daily_control_flow
    where quotes = 'all' and flow_group in ('ALT', 'BTC', 'ETH')
)
select
    cumulated.utc_date,
    any_value(cumulated_usd) filter (where flow_group = 'ALT') as altcoins,
    any_value(cumulated_usd) filter (where flow_group = 'BTC') as bitcoin,
    any_value(cumulated_usd) filter (where flow_group = 'ETH') as ether
from cumulated cross join newest
where date_diff('day', cumulated.utc_date, newest.utc_date) % 7 = 0
group by cumulated.utc_date
order by cumulated.utc_date
"""
IMBALANCE = f"""
select
    flows.utc_date,
    flows.window_imbalance_ratio as altcoins,
    any_value(control.rolling_365d_imbalance_ratio) filter (where control.flow_group = 'BTC') as bitcoin,
    any_value(control.rolling_365d_imbalance_ratio) filter (where control.flow_group = 'ETH') as ether
from daily_altcoin_flow as flows
left join daily_control_flow as control on flows.utc_date = control.utc_date and control.quotes = 'all'
where
    flows.definition_id = '{HEADLINE}' and flows.cumulative_net_taker_usd is not null
    and date_diff('day', flows.utc_date, {QUOTED}) % 7 = 0
group by all
order by flows.utc_date
"""
MONTHS = """
select
    cast(date_trunc('month', utc_date) as date) as utc_date,
    sum(net_taker_usd) as altcoins_usd,
    count(*) as day_count
from daily_control_flow
where flow_group = 'ALT' and quotes = 'all' and net_taker_usd is not null
group by 1
order by 1
"""
STREAK = f"""
with headline as (
    select * from daily_altcoin_flow where definition_id = '{HEADLINE}'
)
select
    (select max(utc_date) from headline where cumulative_net_taker_usd is not null) as utc_date,
    max(negative_month_streak_count) as longest_months,
    arg_max(negative_month_streak_count, utc_date) as running_months,
    max(negative_window_streak_days) as longest_days,
    (
        select p_value from flow_null_tests
        where
            definition_id = '{HEADLINE}' and null_hypothesis = 'zero_mean' and block_days = 60
            and statistic = 'longest_negative_months'
    ) as p_value,
    (
        select observed_value from flow_null_tests
        where
            flow_group = 'BTC' and null_hypothesis = 'zero_mean' and block_days = 60
            and statistic = 'longest_negative_months'
    ) as bitcoin_months
from headline
"""
EXCHANGES = """
select
    exchange as label,
    sum(net_taker_usd) as net_usd,
    sum(volume_usd) as volume_usd,
    cast(sum(net_taker_usd) as double) / nullif(cast(sum(volume_usd) as double), 0) as imbalance_ratio,
    count(distinct symbol) as symbol_count,
    min(utc_date) as first_date,
    max(utc_date) as last_date
from daily_symbol_flows
where
    flow_group = 'ALT' and net_taker_usd is not null
    and utc_date > (select last_date from run_info) - 365
group by exchange
order by net_usd
"""
ASSETS = """
with summed as (
    select
        base_asset as label,
        sum(net_taker_usd) as net_usd,
        sum(volume_usd) as volume_usd,
        cast(sum(net_taker_usd) as double) / nullif(cast(sum(volume_usd) as double), 0) as imbalance_ratio
    from daily_asset_flows
    where flow_group = 'ALT' and utc_date > (select last_date from run_info) - 365
    group by base_asset
)
select label, net_usd, volume_usd, imbalance_ratio
from summed
qualify row_number() over (order by net_usd, label) <= 14 or row_number() over (order by net_usd desc, label) <= 8
order by net_usd, label
"""
MATRIX = f"""
with days as (
    -- the last day on which the headline can be quoted, else the newest
    select coalesce({QUOTED}, (select max(utc_date) from daily_altcoin_flow)) as utc_date
)
select
    case window_name
        when 'rolling_365d' then '365 d' when 'rolling_90d' then '90 d' when 'since_2020' then 'since 2020'
        when 'since_2025' then 'since 2025' else 'this year'
    end || case when panel = 'fixed' then ', fixed panel' else '' end as label_window,
    case universe when 'ex_btc_eth' then 'ex BTC+ETH' else 'ex BTC' end
    || case quotes when 'all' then '' else ', $ quotes' end
    || case trust when 'all' then '' else ', trusted' end as label_variant,
    window_net_taker_usd as net_usd,
    window_imbalance_ratio as imbalance_ratio,
    window_imbalance_ratio / nullif(max(abs(window_imbalance_ratio)) over (), 0) as shade,
    cumulative_net_taker_usd is not null as is_quotable,
    flows.utc_date as day_date
from daily_altcoin_flow as flows
inner join days on flows.utc_date = days.utc_date
order by
    window_name <> 'rolling_365d', panel, window_name <> 'rolling_90d', window_name <> 'since_2020',
    window_name <> 'since_2025', universe desc, quotes, trust
"""
SPREAD = f"""
select
    utc_date,
    count(*) as definition_count,
    count(*) filter (where cumulative_net_taker_usd < 0) as negative_count,
    min(cumulative_net_taker_usd) as lowest_usd,
    max(cumulative_net_taker_usd) as highest_usd
from daily_altcoin_flow
where
    window_name = 'rolling_365d' and cumulative_net_taker_usd is not null
    and utc_date = {QUOTED}
group by utc_date
"""
READINGS = """
select
    case date_precision when 'day' then strftime(utc_date, '%Y-%m-%d') else strftime(utc_date, '%Y-%m') end as dated,
    comparison, value_usd, wording, outlet, window_net_taker_usd, window_coverage_ratio, exchange_count, verdict, reason
from external_readings_compared
order by utc_date, reading_id
"""


def section(snapshot: Snapshot) -> Section:
    matrix: Chart = charts.heat_map(
        "matrix",
        "One question, many definitions",
        MATRIX,
        "Heat map of the net taker flow by window and by universe, quotes and trust.",
        x="label_window",
        y="label_variant",
        value="net_usd",
        ratio="imbalance_ratio",
        shade="shade",
        unit="US dollars on the last day that can be quoted; shaded by the share of volume.",
        note="Plain sums of each window, filled also where a window cannot be quoted (the data say is quotable).",
    )
    return Section(
        "flow",
        "Flow",
        (
            Note(
                "A buy is a trade whose aggressor (the taker) bought; somebody sold to him, and the maker's sign of "
                "the same trade is the opposite. Net taker selling is aggressor imbalance, not capital that leaves. "
                "Zero is not neutral: most coins are net taker-sold most of the time, so read every line against "
                "Bitcoin's."
            ),
            Sentence(
                "day",
                LAST,
                "On {utc_date:day} takers' buys less sells of altcoins were {day_usd:usd} ({day_ratio:percent} of "
                "{day_volume_usd:usd}; {day_coverage_ratio:percent1} of the expected pairs); over the last 30 days "
                "{month_usd:usd}.",
                ("day_usd",),
            ),
            charts.lines(
                "imbalance",
                "The same without dollars: net flow as a share of volume",
                IMBALANCE,
                GROUPS,
                "percent",
                "Lines of the 365-day imbalance of altcoins, Bitcoin and Ether.",
                unit="365 days; per cent of the volume traded",
            ),
            charts.lines(
                "since-2020",
                "Everything since 2020, cumulated",
                SINCE_2020,
                GROUPS,
                "usd",
                "Lines of the net taker flow cumulated since the first day, of altcoins, Bitcoin and Ether.",
                unit="US dollars, plain sums: few altcoins are covered before October 2020 on the recorded market",
            ),
            charts.bars(
                "months",
                "Month by month, altcoins",
                MONTHS,
                "usd",
                "Bars of the net taker flow of altcoins by calendar month.",
                column="altcoins_usd",
                unit="US dollars by calendar month; the newest may be unfinished",
                note="All days of a month; the data say how many there were.",
            ),
            Sentence(
                "streak",
                STREAK,
                "The longest run of calendar months with more taker sells than buys of altcoins is "
                "{longest_months:count} (Bitcoin {bitcoin_months:count}); {running_months:count} are running. Length "
                "says nothing of depth.",
                ("longest_months",),
            ),
            charts.ranked(
                "exchanges",
                "By exchange, altcoins",
                EXCHANGES,
                "usd",
                "Bars of the 365-day net taker flow of altcoins by exchange.",
                label="label",
                column="net_usd",
                unit="US dollars, the last 365 days; of each exchange the days that are there (the data say from when)",
            ),
            charts.ranked(
                "assets",
                "By asset: the most sold and the most bought",
                ASSETS,
                "usd",
                "Bars of the 365-day net taker flow of the fourteen most sold and the eight most bought altcoins.",
                label="label",
                column="net_usd",
                unit="US dollars, the last 365 days",
                note="14 most sold and 8 most bought altcoins, all exchanges.",
            ),
            Sentence(
                "spread",
                SPREAD,
                "On {utc_date:day} {negative_count:count} of {definition_count:count} definitions of the same 365 days "
                "are negative, from {lowest_usd:usd} to {highest_usd:usd}.",
                ("lowest_usd",),
                "Definitions of 365 days: none can be quoted.",
            ),
            matrix,
            Table(
                "readings",
                "What others have read, and why it cannot be compared",
                READINGS,
                (
                    Column("dated", "dated"),
                    Column("comparison", "it says"),
                    Column("value_usd", "reading", "usd"),
                    Column("wording", "in its words"),
                    Column("outlet", "from"),
                    Column("window_net_taker_usd", "ours that day", "usd"),
                    Column("window_coverage_ratio", "our coverage", "percent1"),
                    Column("verdict", "verdict", "verdict"),
                    Column("reason", "why"),
                ),
                note="Another vendor's number, of undisclosed exchanges, symbols and window. Never ours.",
            ),
        ),
        (1, 2, 3, 4, 5, 6, 8, 9, 46, 49, 51, 52, 55),
    )
