"""dbt as Dagster assets: seeds, staging, intermediate, marts and the relations that checks read.

dbt runs inside this process (a second interpreter costs five seconds), so its events are turned into
Dagster's as they come.
"""

import hashlib
import os
import queue
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from graphlib import TopologicalSorter
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DagsterDbtTranslatorSettings, dbt_assets
from dagster_dbt.asset_utils import get_subset_selection_for_context
from dagster_dbt.core.dbt_cli_event import DbtCoreCliEventMessage
from dagster_dbt.dbt_manifest import validate_manifest

from orchestration.defs.raw import OWNERS
from orchestration.run import Run
from orchestration.settings import ROOT, Settings
from orchestration.warehouse import Build

PROJECT = ROOT / "dbt_project"
MANIFEST = PROJECT / "target" / "manifest.json"
BUILT = ("model", "seed", "test", "snapshot")


class Translator(DagsterDbtTranslator):
    """Asset keys are [schema, name], as dbt knows them; owners and kinds as everywhere."""

    def get_owners(self, dbt_resource_props: Mapping) -> list[str]:
        return OWNERS

    def get_group_name(self, dbt_resource_props: Mapping) -> str | None:
        return "raw" if dbt_resource_props["resource_type"] == "source" else super().get_group_name(dbt_resource_props)


# Each asset check costs two writes to Dagster's log in every run; dbt's tests fail the step instead.
TRANSLATOR = Translator(settings=DagsterDbtTranslatorSettings(enable_asset_checks=False))


def dbt_models() -> dg.AssetsDefinition:
    @dbt_assets(manifest=MANIFEST, name="dbt", dagster_dbt_translator=TRANSLATOR, required_resource_keys={"run"})
    def build(context: dg.AssetExecutionContext) -> Iterator:
        run: Run = context.resources.run
        yield from _build(context, run)

    return build


def _build(context: dg.AssetExecutionContext, run: Run) -> Iterator:
    """Builds what was selected, or what changed. Yields asset events; raises dagster.Failure that names
    what failed.

    New models or seeds: everything, with the data tests, which prove the models. New data under the same
    models: the tables; the data itself is judged by the suites before publishing. Neither: nothing."""
    manifest = validate_manifest(MANIFEST)
    assets = context.assets_def
    if assets.keys_by_output_name != assets.node_keys_by_output_name:
        run.warehouse.note_build(None)
        chosen, _ = get_subset_selection_for_context(context, manifest, "fqn:*", None, None, TRANSLATOR, None)
        # A test may look at models that this run does not build.
        yield from _dbt(context, run, manifest, [*chosen, "--exclude-resource-type", "test", "unit_test"])
        return
    data, models = run.warehouse.data_version(), _project_version()
    built = run.warehouse.built_from()
    if built and (built.data, built.models) == (data, models):
        yield from _with_unchanged([], context, manifest, built.run_id)
        return
    run.warehouse.note_build(None)
    if built and built.models == models:
        tables = ["--exclude-resource-type", "test", "seed", "unit_test", "--exclude", "config.materialized:view"]
        yield from _with_unchanged(list(_dbt(context, run, manifest, tables)), context, manifest, built.run_id)
    else:
        yield from _dbt(context, run, manifest, [])
    run.warehouse.note_build(Build(data, models, run.run_id))


def _with_unchanged(events: list, context: dg.AssetExecutionContext, manifest: Mapping, run_id: str) -> Iterator:
    """The events, and one for every selected mart that stands as built by `run_id`: what follows waits for
    a word on each. Parents first, as Dagster wants."""
    names = context.assets_def.keys_by_output_name
    told = {names[event.output_name]: event for event in events if isinstance(event, dg.Output)}
    nodes = {**manifest["nodes"], **manifest["sources"]}
    for unique_id in TopologicalSorter(manifest["parent_map"]).static_order():
        if unique_id not in nodes or nodes[unique_id]["resource_type"] not in ("model", "seed"):
            continue
        key = TRANSLATOR.get_asset_key(nodes[unique_id])
        if key in told:
            yield told[key]
        elif key in context.selected_asset_keys and key.path[0] == "marts":
            yield dg.MaterializeResult(asset_key=key, metadata={"stands_since_run": run_id})


def _project_version() -> str:
    """A hash of every file that dbt reads."""
    digest = hashlib.sha256()
    for path in sorted(PROJECT.rglob("*")):
        if path.is_file() and not {"target", "logs"} & set(path.relative_to(PROJECT).parts):
            digest.update(str(path.relative_to(PROJECT)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def _dbt(context: dg.AssetExecutionContext, run: Run, manifest: Mapping, selection: list[str]) -> Iterator:
    """One `dbt build`; yields its asset events as they come."""
    from dbt.cli.main import dbtRunner
    from google.protobuf.json_format import MessageToDict

    run.warehouse.release()
    events: queue.Queue[dict | None] = queue.Queue()
    results: list = []

    def hear(event) -> None:
        if event.info.name in ("NodeFinished", "LogTestResult", "LogModelResult", "LogSeedResult"):
            events.put(MessageToDict(event, preserving_proto_field_name=True))

    def work() -> None:
        try:
            with environment(run.settings):
                parsed = run.parsed_project() if run.parsed_project else None
                runner = dbtRunner(manifest=parsed, callbacks=[hear])
                results.append(
                    runner.invoke(["build", "--exclude-resource-type", "unit_test", *folders(run.settings), *selection])
                )
        except BaseException as error:
            results.append(error)
        finally:
            events.put(None)

    nodes = 0 if selection else sum(node["resource_type"] in BUILT for node in manifest["nodes"].values())
    threading.Thread(target=work, daemon=True).start()
    done = 0
    while (event := events.get()) is not None:
        done += event["info"]["name"] == "NodeFinished"
        run.progress("dbt", done, max(nodes, done + 1))
        message = DbtCoreCliEventMessage(raw_event=event, event_history_metadata={})
        for told in message.to_default_asset_events(manifest, TRANSLATOR, context):
            if isinstance(told, dg.Output):
                yield told
    run.progress("dbt", done, done)
    result = results[0]
    if isinstance(result, BaseException):
        raise result
    if not result.success:
        raise dg.Failure(f"dbt: {_what_failed(result)}")


@contextmanager
def environment(settings: Settings) -> Iterator[None]:
    """What the dbt profile reads."""
    os.environ["ALTFLOW_WAREHOUSE"] = str(settings.warehouse_path)
    try:
        yield
    finally:
        os.environ.pop("ALTFLOW_WAREHOUSE")


def folders(settings: Settings) -> list[str]:
    """Options of every dbt command. What dbt remembers of a parse lies with the data: it depends on its path."""
    here = settings.data_dir / "dbt"
    return [
        "--no-use-colors", "--log-level", "none", "--log-path", str(here), "--target-path", str(here / "target"),
        "--project-dir", str(PROJECT), "--profiles-dir", str(ROOT),
    ]  # fmt: skip


def parse_early(settings: Settings) -> Callable[[], Any]:
    """Parses the project in a thread while the run fetches; the result waits for it, None where it failed
    (the build then says why)."""
    from concurrent.futures import Future

    parsed: Future = Future()

    def parse() -> None:
        from dbt.cli.main import dbtRunner

        result = None
        try:
            with environment(settings):
                result = dbtRunner().invoke(["parse", *folders(settings)]).result
        finally:
            parsed.set_result(result)

    threading.Thread(target=parse, daemon=True).start()
    return parsed.result


def _what_failed(result) -> str:
    if result.exception:
        return str(result.exception)[:2000]
    failed = [r for r in result.result if str(r.status) in ("error", "fail", "runtime error")]
    return "; ".join(f"{r.node.unique_id}: {(r.message or '').strip()[:300]}" for r in failed[:5])
