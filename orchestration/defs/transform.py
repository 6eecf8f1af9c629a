"""dbt as Dagster assets: seeds, staging, intermediate, marts and the relations that checks read.

dbt runs inside this process (a second interpreter costs five seconds), so its events are turned into
Dagster's as they come.
"""

import os
import queue
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DagsterDbtTranslatorSettings, dbt_assets
from dagster_dbt.core.dbt_cli_event import DbtCoreCliEventMessage
from dagster_dbt.dbt_manifest import validate_manifest

from orchestration.defs.raw import OWNERS
from orchestration.run import Run
from orchestration.settings import ROOT

PROJECT = ROOT / "dbt_project"
MANIFEST = PROJECT / "target" / "manifest.json"


class Translator(DagsterDbtTranslator):
    """Asset keys are [schema, name], as dbt knows them; owners and kinds as everywhere."""

    def get_owners(self, dbt_resource_props: Mapping) -> list[str]:
        return OWNERS

    def get_group_name(self, dbt_resource_props: Mapping) -> str | None:
        return "raw" if dbt_resource_props["resource_type"] == "source" else super().get_group_name(dbt_resource_props)


TRANSLATOR = Translator(settings=DagsterDbtTranslatorSettings(enable_asset_checks=True))


def dbt_models() -> dg.AssetsDefinition:
    @dbt_assets(manifest=MANIFEST, name="dbt", dagster_dbt_translator=TRANSLATOR, required_resource_keys={"run"})
    def build(context: dg.AssetExecutionContext) -> Iterator:
        run: Run = context.resources.run
        yield from _build(context, run)

    return build


def _build(context: dg.AssetExecutionContext, run: Run) -> Iterator:
    """Runs `dbt build` and yields asset events. Raises dagster.Failure that names what failed."""
    from dbt.cli.main import dbtRunner
    from google.protobuf.json_format import MessageToDict

    warehouse = run.settings.warehouse_path
    events: queue.Queue[dict | None] = queue.Queue()
    results: list = []

    def hear(event) -> None:
        if event.info.name in ("LogTestResult", "LogNodeResult", "NodeFinished", "LogModelResult"):
            events.put(MessageToDict(event, preserving_proto_field_name=True))

    def work() -> None:
        os.environ["ALTFLOW_WAREHOUSE"] = str(warehouse)
        try:
            results.append(dbtRunner(callbacks=[hear]).invoke(_arguments(warehouse)))
        except BaseException as error:
            results.append(error)
        finally:
            os.environ.pop("ALTFLOW_WAREHOUSE")
            events.put(None)

    manifest = validate_manifest(MANIFEST)
    nodes = sum(1 for node in manifest["nodes"].values() if node["resource_type"] != "operation")
    threading.Thread(target=work, daemon=True).start()
    done = 0
    while (event := events.get()) is not None:
        done += event["info"]["name"] == "NodeFinished"
        run.progress("dbt", done, nodes)
        message = DbtCoreCliEventMessage(raw_event=event, event_history_metadata={})
        yield from message.to_default_asset_events(manifest, TRANSLATOR, context)
    result = results[0]
    if isinstance(result, BaseException):
        raise result
    if not result.success:
        raise dg.Failure(f"dbt: {_what_failed(result)}")


def _arguments(warehouse: Path) -> list[str]:
    logs = warehouse.parent / "dbt"
    return [
        "--no-use-colors", "--log-level", "none", "--log-path", str(logs),
        "build", "--exclude-resource-type", "unit_test", "--project-dir", str(PROJECT), "--profiles-dir", str(ROOT),
    ]  # fmt: skip


def _what_failed(result) -> str:
    if result.exception:
        return str(result.exception)[:2000]
    failed = [r for r in result.result if str(r.status) in ("error", "fail", "runtime error")]
    return "; ".join(f"{r.node.unique_id}: {(r.message or '').strip()[:300]}" for r in failed[:5])
