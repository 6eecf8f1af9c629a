"""What is missing, what failed, what was restated, and what that is worth in dollars."""

from orchestration.brief import charts
from orchestration.brief.parts import Column, Section, Sentence, Series, Table
from orchestration.brief.snapshot import Snapshot

NEWEST = """
select
    max(utc_date) as utc_date,
    count(distinct exchange) as exchange_count,
    sum(present_count) as present_count,
    sum(expected_count) as expected_count,
    cast(sum(present_count) as double) / nullif(cast(sum(expected_count) as double), 0) as coverage_ratio
from coverage_daily
where utc_date > (select max(utc_date) from coverage_daily) - 365 and dataset = 'spot_flows'
"""
SYMBOLS = """
select
    utc_date, sum(present_count) as present, sum(expected_count) as expected
from coverage_daily
where
    dataset = 'spot_flows'
    and date_diff('day', utc_date, (select max(utc_date) from coverage_daily)) % 7 = 0
group by utc_date
order by utc_date
"""
REASONS = """
select
    exchange,
    coalesce(reason, 'nothing is missing') as reason,
    count(*) as day_count,
    min(utc_date) as first_date,
    max(utc_date) as last_date,
    sum(greatest(expected_count - present_count, 0)) as missing_count,
    cast(sum(present_count) as double) / nullif(cast(sum(expected_count) as double), 0) as coverage_ratio
from coverage_daily
where dataset = 'spot_flows'
group by all
order by exchange, missing_count desc, reason
"""
CHECKS = """
select
    check_id,
    count(*) as result_count,
    count(*) filter (where not passed) as failed_count,
    max(severity) filter (where not passed) as severity,
    max(abs(impact_usd)) as impact_usd,
    arg_max(utc_date, abs(impact_usd)) as impact_date,
    any_value(reason) filter (where not passed) as reason
from data_quality_results
group by check_id
order by impact_usd desc nulls last, check_id
"""
REVISIONS = """
select
    table_name, row_key, column_name, old_value, new_value, changed_at, impact_usd
from revisions
order by abs(impact_usd) desc nulls last, changed_at desc
limit 25
"""
FLAGGED = """
select
    coalesce(conversion_method, 'none') as method,
    is_usd_flagged,
    count(*) as row_count,
    sum(volume_usd) as volume_usd,
    sum(net_taker_usd) as net_usd
from daily_symbol_flows
where flow_group = 'ALT' and utc_date > (select last_date from run_info) - 365
group by all
order by volume_usd desc
"""
SOURCES = """
select upstream, count(*) as body_count, sum(byte_count) as byte_count, max(fetched_at) as fetched_at
from source_files
group by upstream
order by body_count desc, upstream
"""


def section(snapshot: Snapshot) -> Section:
    return Section(
        "coverage",
        "Coverage and data quality",
        (
            Sentence(
                "covered",
                NEWEST,
                "Over the last 365 days {present_count:count} of {expected_count:count} expected symbol-days of "
                "{exchange_count:exchanges} are there: {coverage_ratio:percent1}.",
                ("coverage_ratio",),
            ),
            charts.lines(
                "coverage",
                "Symbols that are there, and symbols that should be",
                SYMBOLS,
                (Series("expected", "expected", 5), Series("present", "present", 3)),
                "count",
                "Lines of the number of symbols present and expected on the covered exchanges.",
                unit="Symbols of all groups on the covered exchanges",
            ),
            Table(
                "reasons",
                "What is missing, by exchange and reason",
                REASONS,
                (
                    Column("exchange", "exchange"),
                    Column("reason", "reason of most"),
                    Column("day_count", "days", "count"),
                    Column("missing_count", "symbol-days missing", "count"),
                    Column("coverage_ratio", "there", "percent1"),
                    Column("first_date", "first", "day"),
                    Column("last_date", "last", "day"),
                ),
            ),
            Table(
                "checks",
                "Checks, by what they are worth on the headline",
                CHECKS,
                (
                    Column("check_id", "check"),
                    Column("result_count", "results", "count"),
                    Column("failed_count", "failed", "count"),
                    Column("severity", "severity"),
                    Column("impact_usd", "largest impact", "usd"),
                    Column("impact_date", "on", "day"),
                    Column("reason", "a reason"),
                ),
                note="What blocks has passed, else nothing would have been published.",
            ),
            Table(
                "revisions",
                "Largest restatements by upstreams",
                REVISIONS,
                (
                    Column("table_name", "table"),
                    Column("row_key", "row"),
                    Column("column_name", "column"),
                    Column("old_value", "before"),
                    Column("new_value", "after"),
                    Column("changed_at", "seen", "day"),
                    Column("impact_usd", "impact", "usd"),
                ),
                is_collapsed=True,
            ),
            Table(
                "conversions",
                "How altcoin volume became dollars, last 365 days",
                FLAGGED,
                (
                    Column("method", "method"),
                    Column("is_usd_flagged", "flagged", "yes"),
                    Column("row_count", "symbol-days", "count"),
                    Column("volume_usd", "volume", "usd"),
                    Column("net_usd", "net", "usd"),
                ),
                is_collapsed=True,
            ),
            Table(
                "sources",
                "What it was read from",
                SOURCES,
                (
                    Column("upstream", "upstream"),
                    Column("body_count", "bodies", "count"),
                    Column("byte_count", "bytes", "count"),
                    Column("fetched_at", "last fetched", "day"),
                ),
                is_collapsed=True,
            ),
        ),
        (48,),
    )
