"""Capitulation, exhaustion, accumulation: states by rule, and what followed them."""

from orchestration.brief import charts
from orchestration.brief.parts import Column, Note, Section, Sentence, Series, Table
from orchestration.brief.snapshot import Snapshot

NEWEST = """
select
    max(utc_date) as utc_date,
    arg_max(score_count, utc_date) filter (where definition_id = 'exhaustion') as score,
    arg_max(breadth_share_ratio, utc_date) filter (where definition_id = 'accumulation') as breadth_ratio,
    arg_max(is_active, utc_date) filter (where definition_id = 'accumulation') as is_accumulating,
    arg_max(aggregate_days, utc_date) filter (where definition_id = 'accumulation') as aggregate_days,
    max(utc_date) filter (where definition_id = 'capitulation_d1' and is_active) as d1_date,
    max(utc_date) filter (where definition_id = 'capitulation_d2' and is_active) as d2_date,
    max(utc_date) filter (where definition_id = 'capitulation_d3' and is_active) as d3_date
from daily_regime
"""
STATES = """
select
    utc_date,
    any_value(score_count) filter (where definition_id = 'exhaustion') as exhaustion,
    any_value(is_active::int) filter (where definition_id = 'accumulation') as accumulation,
    any_value(is_active::int) filter (where definition_id = 'capitulation_d1') as capitulation
from daily_regime
group by utc_date
order by utc_date
"""
BREADTH = """
select
    utc_date,
    any_value(breadth_share_ratio) filter (where definition_id = 'accumulation') as breadth
from daily_regime
where date_diff('day', utc_date, (select max(utc_date) from daily_regime)) % 7 = 0
group by utc_date
order by utc_date
"""
BACKTEST = """
select
    replace(regime, '_', ' ') || ', ' || replace(bucket, '_', ' ') as label_regime,
    mean_return_ratio as mean_ratio,
    ci_low_ratio as low_ratio,
    ci_high_ratio as high_ratio,
    nonoverlapping_count
from regime_backtest
where horizon_days = 90 and (bucket in ('active', 'tercile_1', 'tercile_3'))
order by regime, bucket
"""
TABLE = """
select
    replace(regime, '_', ' ') as regime, replace(bucket, '_', ' ') as bucket, horizon_days, observation_count,
    nonoverlapping_count, mean_return_ratio, median_return_ratio, positive_share_ratio, ci_low_ratio, ci_high_ratio
from regime_backtest
order by regime, bucket, horizon_days
"""


def _said(row) -> str:
    state = "holds" if row["is_accumulating"] else "does not hold"
    return (
        "Exhaustion score {score:count} of 4. Accumulation "
        + state
        + ": {breadth_ratio:percent0} of altcoins have a better 30-day imbalance than their own past (55 % asked for), "
        "the aggregate on {aggregate_days:count} of 30 days (21 asked for). Capitulation last: D1 {d1_date:day}, D2 "
        "{d2_date:day}, D3 {d3_date:day}."
    )


def section(snapshot: Snapshot) -> Section:
    return Section(
        "regime",
        "Regime and exhaustion, with their backtest",
        (
            Note(
                "States by rules that were fixed before; nothing here is a forecast. At 90 days there are about a "
                "dozen windows that do not overlap: read n before the mean, and the interval before both."
            ),
            Sentence("regime", NEWEST, _said, ("breadth_ratio",)),
            charts.lines(
                "regime-breadth",
                "Breadth of accumulation",
                BREADTH,
                (Series("breadth", "share of altcoins", 3),),
                "percent",
                "A line of the share of altcoins whose 30-day imbalance is above their own lagged 365-day mean.",
                unit="Share of altcoins above their own past; entered at 55 %, left below 45 %",
                domain=[0, 1],
            ),
            charts.lines(
                "regime-states",
                "Exhaustion score and states",
                STATES,
                (
                    Series("exhaustion", "exhaustion, 0 to 4", 0),
                    Series("accumulation", "accumulation, 0 or 1", 3),
                    Series("capitulation", "capitulation D1, 0 or 1", 5),
                ),
                "number",
                "Lines of the exhaustion score and of the states accumulation and capitulation by day.",
                unit="Score of 0 to 4; states are 1 where they hold",
                note=charts.DAILY,
                domain=[0, 4],
            ),
            charts.intervals(
                "backtest",
                "What altcoins returned in the 90 days after",
                BACKTEST,
                "percent",
                "Points of the mean 90-day forward return by regime, with bootstrap intervals.",
                label="label_regime",
                column="mean_ratio",
                low="low_ratio",
                high="high_ratio",
                unit="Mean forward return and its 95 % interval (block bootstrap); n in the data",
                note="No interval: too few days. All horizons stand in the table below.",
            ),
            Table(
                "backtest",
                "Backtest: all regimes and horizons",
                TABLE,
                (
                    Column("regime", "regime"),
                    Column("bucket", "bucket"),
                    Column("horizon_days", "days ahead", "count"),
                    Column("nonoverlapping_count", "n apart", "count"),
                    Column("observation_count", "days", "count"),
                    Column("mean_return_ratio", "mean", "percent0_plus"),
                    Column("ci_low_ratio", "95 % low", "percent0_plus"),
                    Column("ci_high_ratio", "95 % high", "percent0_plus"),
                    Column("median_return_ratio", "median", "percent0_plus"),
                    Column("positive_share_ratio", "above 0", "percent0"),
                ),
                is_sortable=True,
                is_collapsed=True,
            ),
        ),
        (31, 32, 33, 34, 35, 41),
    )
