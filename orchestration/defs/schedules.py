"""When: twice a day, everything from the first incomplete day to the last closed one."""

from collections.abc import Callable
from datetime import timedelta

import dagster as dg

from orchestration import alerts
from orchestration.defs import window
from orchestration.defs.resources import close_dead_runs
from orchestration.plan import repull_days
from orchestration.run import first_open_day
from orchestration.settings import Settings
from orchestration.status import incomplete_from

CRON = ["30 0 * * *", "30 10 * * *"]


def daily_job(months: dg.PartitionsDefinition):
    return dg.define_asset_job(
        "daily",
        selection=dg.AssetSelection.all(),
        partitions_def=months,
        description="Fetch what is missing, build the marts, check them, publish the snapshot, write the brief.",
    )


def daily_schedule(job, load_settings: Callable[[], Settings]) -> dg.ScheduleDefinition:
    @dg.schedule(
        name="daily_schedule",
        job=job,
        cron_schedule=CRON,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="00:30 and 10:30 UTC (the second for files that are published later). Each tick asks for all "
        "days from the first incomplete one on: missed ticks are made good by the next.",
    )
    def tick(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        settings = load_settings()
        last = min(context.scheduled_execution_time.date(), first_open_day(settings)) - timedelta(days=1)
        reached = incomplete_from(settings)
        again = last - timedelta(days=repull_days(reached, last + timedelta(days=1)) - 1)
        first = min(max(settings.start, min(reached or settings.start, again)), last)
        return dg.RunRequest(
            run_key=f"{context.scheduled_execution_time:%Y-%m-%dT%H:%M}",
            tags={**window.range_tags(first, last), window.END_TAG: last.isoformat()},
        )

    return tick


def dead_run_sensor(load_settings: Callable[[], Settings]) -> dg.SensorDefinition:
    @dg.sensor(
        name="dead_runs",
        minimum_interval_seconds=30,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Marks runs whose process was killed as failed, so that the next one in the queue may start.",
    )
    def sweep(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        settings = load_settings()
        dead = close_dead_runs(context.instance, settings)
        if dead:
            alerts.tell_of_run(settings, [], None)
        return dg.SkipReason(f"marked as failed: {', '.join(dead)}" if dead else "no dead run")

    return sweep
