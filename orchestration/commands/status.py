"""`altflow status`: how fresh and how complete the published snapshot is, and how the last run ended."""

import argparse
import sys
from datetime import UTC, date, datetime

from orchestration import freshness
from orchestration import status as run_status
from orchestration.commands import FAILED
from orchestration.publish import Connection, NothingPublished, open_published
from orchestration.settings import Settings, load_for_reading
from orchestration.sources.exchange import Klines, TradeFiles, TradePages
from orchestration.sources.registry import EXCHANGES
from orchestration.warehouse import lock_holder

READ_FROM = {Klines: "bars", TradeFiles: "trade files", TradePages: "pages"}

QUERY = """
WITH datasets AS (
    SELECT 'spot flows of ' || exchange AS dataset, exchange, max(utc_date) AS last_date
    FROM daily_symbol_flows GROUP BY exchange
    UNION ALL
    SELECT 'stablecoin supply', NULL, max(utc_date) FROM daily_stablecoin_supply
    UNION ALL
    SELECT 'dominance (' || definition_id || ')', NULL, max(utc_date) FROM daily_dominance
    WHERE definition_id IN ('cap_all', 'spot_volume') GROUP BY definition_id
)
SELECT dataset, exchange, last_date FROM datasets ORDER BY dataset
"""

COVERAGE = """
SELECT exchange, dataset, sum(present_count)::DOUBLE / nullif(sum(expected_count), 0) AS coverage_ratio,
    sum(expected_count - present_count)::BIGINT AS missing_count
FROM coverage_daily WHERE utc_date > (SELECT max(utc_date) FROM coverage_daily) - INTERVAL 30 DAY
GROUP BY ALL ORDER BY ALL
"""

FAILING = """
SELECT check_id, severity, count(*) AS failed_count, arg_max(scope, utc_date) AS scope, max(utc_date) AS utc_date,
    arg_max(value, utc_date) AS value, arg_max(reason, utc_date) AS reason
FROM data_quality_results WHERE NOT passed GROUP BY check_id, severity
ORDER BY severity = 'flag', length(check_id), check_id
"""


def main(args: argparse.Namespace) -> int:
    settings = load_for_reading(args.source)
    try:
        con = open_published(settings)
    except NothingPublished as error:
        print(f"altflow status: {error}", file=sys.stderr)
        _print_run(settings)
        return FAILED
    with con:
        info = con.execute("SELECT run_id, source, synthetic, last_date, code_version, published_at FROM run_info")
        run_id, source, synthetic, last, code, published_at = info.fetchall()[0]
        rows = con.execute(QUERY).fetchall()
        coverage = con.execute(COVERAGE).fetchall()
        failing = _failing(con)
    today = datetime.now(UTC).date() if source == "live" else last
    _print(settings, run_id, source, synthetic, last, code, published_at, rows, coverage, today)
    for line in failing:
        print(line)
    _print_run(settings)
    return 0


def _print(
    settings: Settings, run_id, source, synthetic, last: date, code, published_at, rows, coverage, today
) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    if synthetic:
        console.print("[bold red]SYNTHETIC[/]: a generated market. None of these figures is real.")
    console.print(f"published: {settings.published_dir / 'marts.duckdb'}", highlight=False)
    console.print(f"up to {last}, source {source}, run {run_id}, code {code}, at {published_at} UTC", highlight=False)
    table = Table(title="freshness")
    for name in ("dataset", "last day", "age (days)", "state"):
        table.add_column(name)
    for dataset, exchange, newest in rows:
        age = (today - newest).days if newest else None
        table.add_row(
            dataset, str(newest or ""), "" if age is None else str(age), freshness.state(exchange, newest, today)
        )
    console.print(table)
    table = Table(title="coverage in symbol-days, last 30 days")
    for name in ("exchange", "read from", "coverage", "missing", "not there"):
        table.add_column(name)
    absent = _absent(run_status.read(settings).get("absences") or [])
    ratios = {exchange: (ratio, missing) for exchange, dataset, ratio, missing in coverage if dataset == "spot_flows"}
    for exchange in sorted(ratios.keys() | absent.keys()):
        ratio, missing = ratios.get(exchange, (None, None))
        table.add_row(
            exchange,
            READ_FROM.get(type(EXCHANGES[exchange].flows), "") if exchange in EXCHANGES else "",
            "" if ratio is None else f"{100 * ratio:.2f} %",
            "" if missing is None else f"{missing:,}",
            "\n".join(absent.get(exchange, [])),
        )
    console.print(table)


def _failing(con: Connection) -> list[str]:
    """The checks that fail in the snapshot, a line each with the newest case; none in one older than its checks."""
    if not con.execute("FROM duckdb_tables() WHERE table_name = 'data_quality_results'").fetchall():
        return []
    rows = con.execute(FAILING).fetchall()
    return [
        f"check {check_id} ({severity}): {count} failing, newest {day} {scope}: {value:.6g}, {reason}"
        if value is not None
        else f"check {check_id} ({severity}): {count} failing, newest {day} {scope}: {reason}"
        for check_id, severity, count, scope, day, value, reason in rows
    ]


def _absent(absences: list[dict]) -> dict[str, list[str]]:
    """By exchange what it says that it does not have, a line each; days from the first to the last."""
    lines: dict[str, list[str]] = {}
    for absence in absences:
        count = (date.fromisoformat(absence["end"]) - date.fromisoformat(absence["start"])).days
        what = f"{absence['reason'].replace('_', ' ')}: {count} day{'' if count == 1 else 's'}"
        dataset = absence.get("dataset", "spot_flows")
        lines.setdefault(absence["upstream"], []).append(what if dataset == "spot_flows" else f"{dataset} {what}")
    return lines


def _print_run(settings: Settings) -> None:
    holder = lock_holder(settings.lock_path)
    if holder:
        print(f"a run is writing now: pid {holder.get('pid')}, since {holder.get('started_at')}")
    last = run_status.read(settings)
    if last:
        print(f"last run: {last.get('run_id')} started {last.get('started_at')}, {last.get('state')}")
    for gap in last.get("gaps") or []:
        print(f"  missing: {gap['upstream']}/{gap['dataset']}: {gap['count']} x {gap['reason']}: {gap['message']}")
