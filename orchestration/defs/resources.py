"""The run as a Dagster resource: one lock, one fetch, one set of connections for all its assets."""

import os
from collections.abc import Callable, Iterator
from datetime import timedelta

import dagster as dg

from orchestration import alerts
from orchestration.asking.context import Progress
from orchestration.defs import window
from orchestration.defs.failures import tell_how_it_ended
from orchestration.defs.raw import exchanges_in
from orchestration.records import RECORDS
from orchestration.run import SCHEDULED_WAIT_SECONDS, Companions, Run, open_run
from orchestration.settings import Settings
from orchestration.warehouse import Lock

ACTIVE = [
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def fail_dead_runs(instance: dg.DagsterInstance, own_run_id: str | None = None) -> list[str]:
    """Marks runs whose process is gone as failed, so that a queue of one run does not wait for ever.
    Only a run that noted its process is judged; returns the ids of the dead."""
    dead = []
    for run in instance.get_runs(filters=dg.RunsFilter(statuses=ACTIVE)):
        pid = run.tags.get(window.PID_TAG) or run.tags.get(window.EARLIER_PID_TAG)
        if run.run_id != own_run_id and pid and not _is_alive(pid):
            instance.report_run_failed(run, "its process ended without a word (killed or powered off)")
            dead.append(run.run_id)
    return dead


def close_dead_runs(instance: dg.DagsterInstance, settings: Settings, own_run_id: str | None = None) -> list[str]:
    """`fail_dead_runs`, noted as an alert. It is sent when this run has ended, or by whoever sends next."""
    dead = fail_dead_runs(instance, own_run_id)
    if dead:
        with alerts.never_in_the_way():
            alerts.record(settings, [alerts.killed(dead)], run_id=dead[0])
    return dead


def process_name() -> str:
    """pid and start time: together they name a process for as long as the machine runs."""
    return f"{os.getpid()}:{_started(os.getpid())}"


def _is_alive(name: str) -> bool:
    pid, _, started = name.partition(":")
    return _started(int(pid)) == started


def _started(pid: int) -> str:
    """Clock ticks from boot to the start of a process (field 22 of /proc/<pid>/stat); '' when gone."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[19]
    except FileNotFoundError:
        if os.path.isdir("/proc/self"):
            return ""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return ""
    return "?"


def run_resource(
    load_settings: Callable[[], Settings],
    lock: Lock | None = None,
    companions: Companions | None = None,
    progress: Progress | None = None,
) -> dg.ResourceDefinition:
    """`lock`: one that the caller holds; without it the run waits up to 30 minutes for its turn."""

    @dg.resource(description="One run: lock, upstreams, archive, warehouse, checks.")
    def run(context: dg.InitResourceContext) -> Iterator[Run]:
        dagster_run = context.dagster_run
        instance = context.instance
        assert dagster_run is not None and instance is not None
        settings = load_settings()
        start, end = window.days_of(dagster_run.tags)
        told = {window.PID_TAG: process_name(), window.SOURCE_TAG: settings.source}
        if start and end:
            told[window.DAYS_TAG] = f"{max(start, settings.start)} .. {end - timedelta(days=1)}"
        instance.add_run_tags(dagster_run.run_id, told)
        is_start_named = window.START_TAG in dagster_run.tags
        if start and not is_start_named:
            # The first partition is a month, which may have begun before what is wanted.
            start = max(start, settings.start)
        chosen = dagster_run.asset_selection
        tables = {table for table in RECORDS if not chosen or dg.AssetKey(["raw", table]) in chosen}
        exchanges = (exchanges_in(chosen) or None) if chosen else None
        if exchanges:
            tables |= {"spot_flows"}
        elif chosen:
            # What gathers the flows of all exchanges asks nobody; listings and estimates are asked of all.
            tables -= {"spot_flows", "spot_trade_sizes", "spot_trade_screens"}
        try:
            with open_run(
                settings,
                dagster_run.run_id,
                tables,
                start,
                end,
                exchanges=exchanges,
                lock=lock,
                companions=companions,
                wait_seconds=SCHEDULED_WAIT_SECONDS,
                progress=progress,
                is_start_named=is_start_named,
                # Months that were chosen in the UI; what a command or a schedule asks for has its last day in a tag.
                goes_back=start is not None and window.END_TAG not in dagster_run.tags,
                on_lock=lambda: close_dead_runs(instance, settings, dagster_run.run_id),
            ) as opened:
                yield opened
        except Exception as error:
            # It could not begin, or not be closed: no step says so.
            alerts.tell_of_run(settings, [alerts.failed_at_start(str(error))], dagster_run.run_id)
            raise
        tell_how_it_ended(instance, settings, dagster_run.run_id)

    return run
