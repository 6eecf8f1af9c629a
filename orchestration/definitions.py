"""The door: what Dagster loads. Nothing is opened, asked or read from the network here."""

from collections.abc import Callable

import dagster as dg

from orchestration import settings
from orchestration.asking.context import Progress
from orchestration.defs.brief import daily_brief
from orchestration.defs.checks import mart_checks
from orchestration.defs.published import published_snapshot
from orchestration.defs.raw import derivative_assets, imported_assets, raw_assets
from orchestration.defs.resources import run_resource
from orchestration.defs.schedules import daily_job, daily_schedule, dead_run_sensor
from orchestration.defs.transform import dbt_models, tables_without_a_step
from orchestration.defs.window import months
from orchestration.run import Companions
from orchestration.settings import Settings
from orchestration.sources.registry import followed, followed_derivatives
from orchestration.warehouse import Lock


def build(
    load_settings: Callable[[], Settings] = settings.load,
    lock: Lock | None = None,
    companions: Companions | None = None,
    progress: Progress | None = None,
) -> dg.Definitions:
    """All definitions. The command line hands in its own settings, lock, children and progress bar."""
    chosen = load_settings()
    monthly = months(chosen.start)
    models = dbt_models()
    marts = sorted(key for key in models.keys if key.path[0] == "marts")
    job = daily_job(monthly)
    raw = [*raw_assets(monthly, followed(chosen)), *derivative_assets(followed_derivatives(chosen))]
    imported = imported_assets()
    filled = {key for step in raw for key in step.keys} | {spec.key for spec in imported}
    return dg.Definitions(
        assets=[
            *raw,
            *imported,
            *tables_without_a_step(filled),
            models,
            published_snapshot(marts),
            daily_brief(),
        ],
        asset_checks=[mart_checks()],
        jobs=[job],
        schedules=[daily_schedule(job, load_settings)],
        sensors=[dead_run_sensor(load_settings)],
        resources={"run": run_resource(load_settings, lock, companions, progress)},
        executor=dg.in_process_executor,
    )


@dg.definitions
def defs() -> dg.Definitions:
    return build()
