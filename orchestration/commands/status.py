"""`altflow status`: how fresh and complete the published snapshot is, what it was built from, how runs ended."""

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from typing import Any

from orchestration import status as run_status
from orchestration.commands import FAILED
from orchestration.freshness import OK_DAYS, WARN_DAYS, judged, late_days
from orchestration.publish import Connection, NothingPublished, open_published
from orchestration.settings import Settings, load_for_reading
from orchestration.sources.exchange import Klines, TradeFiles, TradePages
from orchestration.sources.registry import EXCHANGES
from orchestration.warehouse import lock_holder

THRESHOLDS = f"late by up to {OK_DAYS} days: ok; {OK_DAYS} to {WARN_DAYS}: warn; more than {WARN_DAYS}: FAIL"
NEXT_AFTER = {"daily": 4, "weekly": 16, "monthly": 89}
"""Days from an observation of an official series to the day on which the next one is there: it is dated with the first
day of its period, and published after the period's end, on working days."""
READ_FROM = {Klines: "bars", TradeFiles: "trade files", TradePages: "pages"}
COLOURS = {"ok": "green", "warn": "yellow", "FAIL": "bold red"}
RUNS = 5
FETCHED = ("first_fetched_at", "last_fetched_at")

FLOWS = """
WITH flows AS (SELECT exchange, max(utc_date) AS last_date FROM daily_symbol_flows GROUP BY exchange),
coverage AS (
    SELECT exchange, sum(present_count)::DOUBLE / nullif(sum(expected_count), 0) AS coverage_ratio,
        sum(expected_count - present_count)::BIGINT AS missing_count
    FROM coverage_daily
    WHERE dataset = 'spot_flows' AND utc_date > (SELECT max(utc_date) FROM coverage_daily) - INTERVAL 30 DAY
    GROUP BY exchange
)
SELECT exchange, last_date, coverage_ratio, missing_count
FROM flows FULL JOIN coverage USING (exchange) ORDER BY exchange
"""
DATASETS = """
SELECT dataset, upstream, NULL AS frequency, max(last_date), count(DISTINCT series) FROM source_spans
WHERE last_date IS NOT NULL AND dataset != 'macro_observations' GROUP BY ALL
UNION ALL
SELECT 'order_books', exchange, NULL, max(utc_date), count(DISTINCT symbol) FROM daily_order_book_depth
WHERE depth_kind = 'look' GROUP BY ALL
UNION ALL
SELECT series_id, upstream, any_value(frequency), max(utc_date), 1 FROM daily_macro GROUP BY ALL
ORDER BY ALL
"""
BUILT_FROM = """
SELECT upstream, count(DISTINCT body_sha256), min(fetched_at), max(fetched_at)
FROM source_files GROUP BY ALL ORDER BY ALL
"""
FAILING = """
SELECT check_id, severity, count(*) AS failed_count, arg_max(scope, utc_date) AS scope, max(utc_date) AS utc_date,
    arg_max_null(value, utc_date) AS value, arg_max(reason, utc_date) AS reason
FROM data_quality_results WHERE NOT passed GROUP BY check_id, severity
ORDER BY severity = 'flag', length(check_id), check_id
"""
LAST_RUNS = f"""
SELECT run_id, max(published_at), count(*), max(utc_date) FROM published_headlines GROUP BY ALL
ORDER BY 2 DESC LIMIT {RUNS}
"""


@dataclass(frozen=True)
class Flows:
    """Spot flows of one exchange; coverage in symbol-days of 30 days. `absent`: what it says that it has not got."""

    exchange: str
    read_from: str
    last_date: date | None
    late_days: int | None
    state: str
    coverage_ratio: float | None
    missing_count: int | None
    absent: list[str]


@dataclass(frozen=True)
class Dataset:
    """Any other data: raw table (or series), who tells it, how many series of it reach how far."""

    dataset: str
    upstream: str
    last_date: date | None
    late_days: int | None
    state: str
    series_count: int


def main(args: argparse.Namespace) -> int:
    settings = load_for_reading(args.source)
    if args.sizes:
        from orchestration.commands.sizes import show

        return show(settings, args.json)
    try:
        con = open_published(settings)
    except NothingPublished as error:
        print(f"altflow status: {error}", file=sys.stderr)
        for line in _run_lines(settings):
            print(line, file=sys.stderr)
        return FAILED
    with con:
        told = _told(con, settings)
    if args.json:
        print(json.dumps(told, indent=1, default=_as_data))
    else:
        _print(told, settings)
    return 0


def _as_data(value: Any) -> Any:
    return asdict(value) if isinstance(value, (Flows, Dataset)) else str(value)


def _told(con: Connection, settings: Settings) -> dict[str, Any]:
    """Everything that is shown, as data."""
    names = ("run_id", "source", "synthetic", "first_date", "last_date", "code_version", "published_at")
    info = dict(zip(names, con.execute(f"SELECT {', '.join(names)} FROM run_info").fetchall()[0], strict=True))
    today = datetime.now(UTC).date() if info["source"] == "live" else info["last_date"]
    absent = _absent(run_status.read(settings).get("absences") or [])
    flows = {row[0]: row[1:] for row in con.execute(FLOWS).fetchall()}
    has_spans = con.execute("FROM duckdb_tables() WHERE table_name = 'source_spans'").fetchall()
    has_checks = con.execute("FROM duckdb_tables() WHERE table_name = 'data_quality_results'").fetchall()
    checks = con.execute(FAILING).fetchall() if has_checks else []
    bodies = con.execute(BUILT_FROM).fetchall()
    runs = con.execute(LAST_RUNS).fetchall()
    return {
        "published": info | {"file": str(settings.published_dir / "marts.duckdb")},
        "thresholds": {"ok_days": OK_DAYS, "warn_days": WARN_DAYS},
        "spot_flows": [
            _flows(exchange, flows.get(exchange, (None, None, None)), today, absent.get(exchange, []))
            for exchange in sorted(flows.keys() | absent.keys() & EXCHANGES.keys())
        ],
        "datasets": [_dataset(row, today) for row in (con.execute(DATASETS).fetchall() if has_spans else [])],
        "absent": {name: lines for name, lines in absent.items() if name not in EXCHANGES},
        "failing_checks": [
            dict(
                zip(("check_id", "severity", "failed_count", "scope", "utc_date", "value", "reason"), row, strict=True)
            )
            for row in checks
        ],
        "built_from": [
            {"upstream": name, "body_count": count, "first_fetched_at": first, "last_fetched_at": last}
            for name, count, first, last in bodies
        ],
        "last_runs": [
            {"run_id": run_id, "published_at": at, "changed_headline_count": count, "last_date": last}
            for run_id, at, count, last in runs
        ],
        "run": run_status.read(settings) | {"writing_now": lock_holder(settings.lock_path)},
    }


def _flows(exchange: str, row: tuple, today: date, absent: list[str]) -> Flows:
    newest, coverage, missing = row
    late = late_days(exchange, newest, today)
    read_from = READ_FROM.get(type(EXCHANGES[exchange].flows), "") if exchange in EXCHANGES else ""
    return Flows(exchange, read_from, newest, late, judged(late), coverage, missing, absent)


def _dataset(row: tuple, today: date) -> Dataset:
    dataset, upstream, frequency, newest, series_count = row
    if upstream == "import":
        # Nobody but its owner knows when the next file is due.
        return Dataset(dataset, "imported", newest, None, "", series_count)
    late = None if newest is None else max(0, (today - newest).days - NEXT_AFTER.get(frequency, 0))
    return Dataset(dataset, upstream, newest, late, judged(late), series_count)


def _absent(absences: list[dict]) -> dict[str, list[str]]:
    """By exchange what it says that it does not have, a line each; days from the first to the last."""
    lines: dict[str, list[str]] = {}
    for absence in absences:
        count = (date.fromisoformat(absence["end"]) - date.fromisoformat(absence["start"])).days
        what = f"{absence['reason'].replace('_', ' ')}: {count} day{'' if count == 1 else 's'}"
        dataset = absence.get("dataset", "spot_flows")
        lines.setdefault(absence["upstream"], []).append(what if dataset == "spot_flows" else f"{dataset} {what}")
    return lines


def _print(told: dict[str, Any], settings: Settings) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console, info = Console(highlight=False, soft_wrap=False), told["published"]
    if info["synthetic"]:
        console.print("[bold red]SYNTHETIC[/]: a generated market. None of these figures is real.")

    def say(line: str) -> None:
        console.print(Text(line), soft_wrap=True)

    def draw(title: str, columns: dict[str, str], rows: list[list[str]]) -> None:
        table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
        for name, justify in columns.items():
            table.add_column(name, justify="right" if justify == "right" else "left", overflow="fold")
        for row in rows:
            table.add_row(*(Text(cell, style=COLOURS.get(cell, "")) for cell in row))
        console.print(table)

    say(f"published: {info['file']}")
    say(f"days {info['first_date']} .. {info['last_date']}, source {info['source']}, code {info['code_version']}")
    say(f"run {info['run_id']}, published {info['published_at']} UTC")
    say(THRESHOLDS)
    draw(
        "spot flows; coverage in symbol-days of the last 30 days",
        {"exchange": "", "read from": "", "last day": "", "late": "right", "state": "", "coverage": "right"}
        | {"missing": "right"},
        [
            [
                *(row.exchange, row.read_from, _text(row.last_date), _text(row.late_days), row.state),
                "" if row.coverage_ratio is None else f"{100 * row.coverage_ratio:.2f} %",
                "" if row.missing_count is None else f"{row.missing_count:,}",
            ]
            for row in told["spot_flows"]
        ],
    )
    for name, lines in ({row.exchange: row.absent for row in told["spot_flows"]} | told["absent"]).items():
        for line in lines:
            say(f"  not there: {name} {line}")
    draw(
        "everything else",
        {"data": "", "from": "", "last day": "", "late": "right", "state": "", "series": "right"},
        [
            [row.dataset, row.upstream, _text(row.last_date), _text(row.late_days), row.state, f"{row.series_count:,}"]
            for row in told["datasets"]
        ],
    )
    for check in told["failing_checks"]:
        measured = "" if check["value"] is None else f"{check['value']:.6g}, "
        newest = f"newest {check['utc_date']} {check['scope']}: {measured}{check['reason']}"
        say(f"check {check['check_id']} ({check['severity']}): {check['failed_count']} failing, {newest}")
    draw(
        "built from",
        {"upstream": "", "bodies": "right", "first fetched (UTC)": "", "last fetched (UTC)": ""},
        [
            [row["upstream"], f"{row['body_count']:,}", *(_text(row[name])[:19] for name in FETCHED)]
            for row in told["built_from"]
        ],
    )
    say("last runs that changed a headline")
    for run in told["last_runs"]:
        changed = f"{run['changed_headline_count']:,} values up to {run['last_date']}"
        say(f"  {run['published_at']} UTC, {changed}: {run['run_id']}")
    for line in _run_lines(settings):
        say(line)


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _run_lines(settings: Settings) -> Iterator[str]:
    holder = lock_holder(settings.lock_path)
    if holder:
        yield f"a run is writing now: pid {holder.get('pid')}, since {holder.get('started_at')}"
    last = run_status.read(settings)
    if last:
        yield f"last run: {last.get('run_id')} started {last.get('started_at')}, {last.get('state')}"
    for gap in last.get("gaps") or []:
        yield f"  missing: {gap['upstream']}/{gap['dataset']}: {gap['count']} x {gap['reason']}: {gap['message']}"
