"""Why a run failed, from the events of Dagster's log, and whom to tell."""

from collections.abc import Iterable

import dagster as dg

from orchestration import alerts, status
from orchestration.alerts import Condition
from orchestration.settings import Settings

STOPPED = ("DagsterExecutionInterruptedError", "KeyboardInterrupt")
"""Somebody ended the run and knows it."""
FAILURES = {
    dg.DagsterEventType.STEP_FAILURE,
    dg.DagsterEventType.RESOURCE_INIT_FAILURE,
    dg.DagsterEventType.ASSET_CHECK_EVALUATION,
}


def failures(events: Iterable[dg.DagsterEvent]) -> list[Condition]:
    """What failed, in the words of the innermost error; a blocked publish names the check, not the step that it
    ended."""
    found, blocked = [], []
    for event in events:
        error = getattr(event.event_specific_data, "error", None)
        if event.event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            check = event.asset_check_evaluation_data
            if not check.passed and check.blocking:
                findings = check.metadata.get("findings")
                blocked.append(alerts.blocked(check.check_name, str(findings.value if findings else "")))
        elif error and event.event_type in FAILURES:
            while error.cause:
                error = error.cause
            if error.cls_name not in STOPPED:
                found.append(
                    alerts.failed(event.step_key, error.message.strip())
                    if event.step_key
                    else alerts.failed_at_start(error.message.strip())
                )
    return blocked or found


def tell_how_it_ended(instance: dg.DagsterInstance, settings: Settings, run_id: str) -> None:
    """Alerts of a run that has ended: why it published nothing, if it did not, and what is still to be sent."""
    present: list[Condition] = []
    with alerts.never_in_the_way():
        if status.published_run(settings) != run_id:
            logged = [entry.dagster_event for entry in instance.all_logs(run_id, of_type=FAILURES)]
            present = failures(event for event in logged if event)
    alerts.tell_of_run(settings, present, run_id)
