"""`altflow run`: fetch what is missing, build, check, publish; say what stands and what is missing."""

import argparse
import shutil
import sys
import warnings
from datetime import date, timedelta
from errno import ENOSPC

from orchestration import alerts, status
from orchestration import settings as settings_module
from orchestration.commands import FAILED, GAPS, USAGE
from orchestration.plan import repull_days
from orchestration.run import Companions, RunError, first_open_day, full_disk, require_room
from orchestration.settings import ROOT, Settings
from orchestration.warehouse import Lock, Warehouse, WarehouseError


def main(args: argparse.Namespace) -> int:
    from orchestration.sources.registry import followed

    if args.market and args.source not in (None, "recorded"):
        print(f"altflow run: --market goes with --source recorded, not with {args.source}", file=sys.stderr)
        return USAGE
    source = args.source or ("recorded" if args.market else None)
    settings = settings_module.load(source, args.market).override(exchanges=tuple(args.exchange or ()) or None)
    # A name that nobody has ends it here, before anything is started.
    followed(settings)
    if args.start and args.end and args.start > args.end:
        print(f"altflow run: --start {args.start} is after --end {args.end}", file=sys.stderr)
        return USAGE
    if args.start and args.start < settings.start:
        said = f"--start {args.start} is before the first day that is kept, {settings.start}: set ALTFLOW_START"
        print(f"altflow run: {said}", file=sys.stderr)
        return USAGE
    if args.dry_run:
        from orchestration.commands.dry_run import show_plan

        return show_plan(settings, args.start, args.end)
    lock = Lock(settings.lock_path)
    try:
        lock.acquire()
    except OSError as error:
        do = "make room" if error.errno == ENOSPC else "check its owner and rights"
        said = f"altflow: {settings.data_dir} cannot be used: {error.strerror}; {do}, or set ALTFLOW_DATA_DIR"
        print(said, file=sys.stderr)
        return FAILED
    try:
        require_room(settings.data_dir)
        Warehouse(settings.warehouse_path).prepare(settings)
        return _run(settings, lock, args.start, args.end, args.quiet)
    except Exception as error:
        why = str(error) if isinstance(error, (WarehouseError, RunError)) else full_disk(settings.data_dir)
        alerts.tell_of_run(settings, [alerts.failed_at_start(why or str(error))], None)
        if why is None:
            raise
        print(f"altflow run: {why}", file=sys.stderr)
        return FAILED
    finally:
        lock.release()


def dagster_home(settings: Settings) -> str:
    """Dagster's own folder beside the data, with the project's dagster.yaml."""
    settings.dagster_home.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(ROOT / "dagster.yaml", settings.dagster_home / "dagster.yaml")
    return str(settings.dagster_home)


def _run(settings: Settings, lock: Lock, start: date | None, end: date | None, quiet: bool) -> int:
    from orchestration.commands.progress_bar import ProgressBar

    print(f"altflow run: {_title(settings)}; data in {settings.data_dir}", file=sys.stderr)
    last = end or first_open_day(settings) - timedelta(days=1)
    # Exchanges restate their last days: those are asked for again, in whichever month they lie.
    reached = status.incomplete_from(settings)
    again = last - timedelta(days=repull_days(reached, last + timedelta(days=1)) - 1)
    first = start or max(settings.start, min(reached or settings.start, again))
    first = min(first, last)
    if last < settings.start:
        said = f"the last day, {last}, is before the first that is kept, {settings.start}: set ALTFLOW_START or --end"
        print(f"altflow run: {said}", file=sys.stderr)
        return USAGE
    companions = Companions.start(settings, last + timedelta(days=1))
    try:
        with ProgressBar(quiet) as progress:
            result = _execute(settings, lock, companions, progress, first, last, start)
    finally:
        companions.close()
    from orchestration.commands.summary import brief, summary
    from orchestration.defs.failures import failures

    if status.published_run(settings) != result.run_id:
        print(f"altflow run: FAILED, nothing was published ({_title(settings)})", file=sys.stderr)
        why = [failure.message for failure in failures(result.all_events)]
        full = full_disk(settings.data_dir)
        for line in [full, *why] if full else why or ["no event says why; see the run's log in `altflow ui`"]:
            print(f"  {line}", file=sys.stderr)
        for line in summary(settings, only_gaps=True):
            print(line, file=sys.stderr)
        return FAILED
    for line in [*summary(settings), brief(settings, result)]:
        print(line)
    return GAPS if status.read(settings).get("gaps") else 0


def _execute(
    settings: Settings, lock: Lock, companions: Companions, progress, first: date, last: date, start: date | None
):
    """Runs the job `daily` in this process, seen by Dagster's UI on the same folder."""
    warnings.simplefilter("ignore")
    import dagster as dg

    from orchestration import definitions
    from orchestration.defs import window
    from orchestration.defs.resources import close_dead_runs

    _write_the_log_fast()
    tags = {**window.range_tags(min(first, last), last), window.END_TAG: last.isoformat()}
    if start:
        tags[window.START_TAG] = start.isoformat()
    with dg.DagsterInstance.from_config(dagster_home(settings)) as instance:
        close_dead_runs(instance, settings)
        job = definitions.build(lambda: settings, lock, companions, progress).get_job_def("daily")
        return job.execute_in_process(
            instance=instance,
            tags=tags,
            raise_on_error=False,
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        )


def _write_the_log_fast() -> None:
    """Lets the system write Dagster's log of runs when it likes: a killed run loses none of it, a power cut
    may cost the log (never data), and two hundred waits for the disk are a second and a half of each run.

    Keeps the engine of each of its SQLite files, too, and its connections. Dagster makes one for every question it
    asks, some 2,800 in a run, disposes of it, and a new engine has to compile each statement anew: another four
    seconds. Between two questions a connection holds no lock."""
    from dagster._core.storage.event_log.sqlite import sqlite_event_log
    from dagster._core.storage.runs.sqlite import sqlite_run_storage
    from sqlalchemy import create_engine, event
    from sqlalchemy.engine import Engine
    from sqlalchemy.pool import QueuePool

    engines: dict[str, Engine] = {}

    def kept(url: str, **options) -> Engine:
        if url not in engines:
            engines[url] = create_engine(url, **{**options, "poolclass": QueuePool})
            vars(engines[url])["dispose"] = lambda: None
        return engines[url]

    for storage in (sqlite_event_log, sqlite_run_storage):
        vars(storage)["create_engine"] = kept

    @event.listens_for(Engine, "connect")
    def relax(connection, _record) -> None:
        if type(connection).__module__.startswith("sqlite3"):
            connection.execute("PRAGMA synchronous=OFF")


def _title(settings: Settings) -> str:
    return {
        "sandbox": "a generated market: every figure is SYNTHETIC",
        "recorded": f"the recorded market {settings.market_dir.name if settings.market_dir else ''}",
        "live": "live",
    }[settings.source]
