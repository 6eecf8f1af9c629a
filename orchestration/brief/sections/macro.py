"""Money and mood outside: money supply, rates, balance sheet, fear and greed."""

from orchestration.brief import charts
from orchestration.brief.parts import Section, Sentence, Series
from orchestration.brief.snapshot import Snapshot

NEWEST = """
select
    max(utc_date) as utc_date,
    max(utc_date) filter (where series_id = 'M2SL') as m2_date,
    arg_max(yoy_change_ratio, utc_date) filter (where series_id = 'M2SL') as m2_ratio,
    arg_max(value, utc_date) filter (where series_id = 'DFF') / 100 as rate_ratio,
    arg_max(yoy_change_ratio, utc_date) filter (where series_id = 'WALCL') as balance_ratio,
    arg_max(value, utc_date) filter (where series_id = 'FNG') as fear_greed
from daily_macro
where is_newest
"""
MONEY = """
select
    utc_date,
    any_value(yoy_change_ratio) filter (where series_id = 'M2SL') as money,
    any_value(value) filter (where series_id = 'FEDFUNDS') / 100 as rate
from daily_macro
where is_newest and utc_date >= date '2019-01-01' and series_id in ('M2SL', 'FEDFUNDS')
group by utc_date
order by utc_date
"""
MOOD = """
select utc_date, value as fear_greed
from daily_macro
where
    is_newest and series_id = 'FNG' and utc_date >= date '2020-01-01'
    and date_diff('day', utc_date, (select max(utc_date) from daily_macro where series_id = 'FNG')) % 7 = 0
order by utc_date
"""
CORRELATIONS = """
select
    series_id || ' ' || replace(replace(transform, '_ratio', ''), '_', ' ') || ', ' || lag_days || ' d' as label_series,
    correlation_ratio, lower_ratio, upper_ratio, p_value, holm_p_value
from macro_correlations
where flow_group = 'ALT' and lag_days in (0, 90, 180)
order by series_id, transform, lag_days
"""
COUNTED = """
select
    max(last_date) as utc_date,
    count(*) as test_count,
    count(*) filter (where p_value < 0.05) as alone_count,
    count(*) filter (where holm_p_value < 0.05) as corrected_count,
    max(window_count) as window_count,
    min(effective_window_count) as effective_count
from macro_correlations
where flow_group = 'ALT'
"""


def section(snapshot: Snapshot) -> Section:
    return Section(
        "macro",
        "Macro",
        (
            Sentence(
                "macro",
                NEWEST,
                "Over a year M2 changed by {m2_ratio:percent_plus} (month of {m2_date:day}) and the balance sheet of "
                "the Federal Reserve by {balance_ratio:percent_plus}; its rate is {rate_ratio:percent}. Fear and "
                "greed: {fear_greed:count} of 100.",
                ("m2_ratio",),
            ),
            charts.lines(
                "money",
                "Money supply and the policy rate",
                MONEY,
                (Series("money", "M2, change over a year", 3), Series("rate", "federal funds rate", 0)),
                "percent",
                "Lines of the yearly change of M2 and of the federal funds rate.",
                unit="Per cent; values as known today, not as they were first reported",
                note="Monthly points, five digits.",
            ),
            charts.lines(
                "mood",
                "Fear and greed",
                MOOD,
                (Series("fear_greed", "index", 4),),
                "number",
                "A line of the fear and greed index.",
                unit="0 is extreme fear, 100 extreme greed",
                domain=[0, 100],
            ),
            Sentence(
                "correlations",
                COUNTED,
                "Of {test_count:count} correlations of the altcoins' flow with these series {alone_count:count} differ "
                "from zero at p < .05 alone, {corrected_count:count} after correction for many tests. "
                "{window_count:count} windows of 30 days tell as much as {effective_count:count} independent ones.",
                ("window_count",),
                "The covered stretch is too short for correlations with macro series.",
            ),
            charts.intervals(
                "correlations",
                "Correlation with the altcoins' flow, at three lags",
                CORRELATIONS,
                "number",
                "Points of the correlations of macro series with the altcoins' flow, with their intervals.",
                label="label_series",
                column="correlation_ratio",
                low="lower_ratio",
                high="upper_ratio",
                unit="Correlation and its 95 % interval; lag of the series in days",
                note="Lags of 0, 90 and 180 days; all lags are in macro_correlations.",
            ),
        ),
        (36, 37),
    )
