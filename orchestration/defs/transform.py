"""dbt as Dagster assets: seeds, staging, intermediate, marts and the relations that checks read.

dbt runs in a process of its own (see builder.py), so this one does without importing it.
"""

import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from graphlib import TopologicalSorter

import dagster as dg

from orchestration.builder import PROJECT, WHOLE, BuildError, project_version
from orchestration.defs.raw import OWNERS
from orchestration.run import Run
from orchestration.warehouse import Build


@contextmanager
def _dbt_hidden() -> Iterator[None]:
    """dagster-dbt imports dbt where it finds it, two seconds of every start; it is made to do without, too."""
    hidden = "dbt.version" not in sys.modules
    if hidden:
        # None is how Python marks a module that must not be found.
        sys.modules["dbt.version"] = None  # pyright: ignore[reportArgumentType]
    try:
        yield
    finally:
        if hidden:
            del sys.modules["dbt.version"]


with _dbt_hidden():
    from dagster_dbt import DagsterDbtTranslator
    from dagster_dbt.dbt_manifest import validate_manifest

MANIFEST = PROJECT / "target" / "manifest.json"
BUILT = ("model", "seed", "test", "snapshot")
LAST = "int_days_built"
Events = Iterator[dg.MaterializeResult]


class Translator(DagsterDbtTranslator):
    """Asset keys are [schema, name], as dbt knows them; owners and kinds as everywhere."""

    def get_owners(self, dbt_resource_props: Mapping) -> list[str]:
        return OWNERS

    def get_group_name(self, dbt_resource_props: Mapping) -> str | None:
        return "raw" if dbt_resource_props["resource_type"] == "source" else super().get_group_name(dbt_resource_props)


TRANSLATOR = Translator()


def _grains(manifest: Mapping) -> dict[str, str]:
    """The grain of each model and seed, by unique id, as its test names it."""
    named = {"unique_grain": "columns", "seed_lines": "grain"}
    tests = (node for node in manifest["nodes"].values() if node["resource_type"] == "test")
    return {
        test["attached_node"]: ", ".join(told["kwargs"][named[told["name"]]])
        for test in tests
        if (told := test.get("test_metadata")) and told["name"] in named
    }


def dbt_models() -> dg.AssetsDefinition:
    """One step for all models and seeds. dbt's tests are no asset checks, which cost two writes to Dagster's
    log each in every run: a test that fails fails the step."""
    manifest = validate_manifest(MANIFEST)
    grains = _grains(manifest)

    def spec(unique_id: str) -> dg.AssetSpec:
        known = {"grain": grains[unique_id]} if unique_id in grains else {}
        return TRANSLATOR.get_asset_spec(manifest, unique_id, None).merge_attributes(metadata=known)

    @dg.multi_asset(
        name="dbt",
        specs=[spec(unique_id) for unique_id in _assets(manifest).values()],
        can_subset=True,
        required_resource_keys={"run"},
    )
    def build(context: dg.AssetExecutionContext) -> Events:
        yield from _build(context, context.resources.run, manifest)

    return build


def tables_without_a_step(known: set[dg.AssetKey]) -> list[dg.AssetSpec]:
    """The tables that models read and no asset in `known` fills: the run's own notes, and what is not followed."""
    sources = {TRANSLATOR.get_asset_key(source): source for source in validate_manifest(MANIFEST)["sources"].values()}
    return [
        dg.AssetSpec(key, description=source["description"], group_name="raw", kinds={"duckdb"}, owners=OWNERS)
        for key, source in sources.items()
        if key not in known
    ]


def _assets(manifest: Mapping) -> dict[dg.AssetKey, str]:
    """The unique ids of models and seeds by asset key, parents first."""
    nodes = manifest["nodes"]
    ordered = TopologicalSorter(manifest["parent_map"]).static_order()
    ids = [uid for uid in ordered if uid in nodes and nodes[uid]["resource_type"] in ("model", "seed")]
    return {TRANSLATOR.get_asset_key(nodes[unique_id]): unique_id for unique_id in ids}


def _build(context: dg.AssetExecutionContext, run: Run, manifest: Mapping) -> Events:
    """Builds what was selected, or what changed. Yields asset events; raises dagster.Failure that names
    what failed.

    New models or seeds, or a build that did not end: everything, with the data tests, which prove the models. New
    data under the same models: the tables, the large ones by the days that changed; the data itself is judged by
    the suites before publishing. Neither: nothing."""
    assets = _assets(manifest)
    chosen = [unique_id for key, unique_id in assets.items() if key in context.selected_asset_keys]
    if len(chosen) < len(assets):
        run.warehouse.note_build(None)
        names = [manifest["nodes"][unique_id]["name"] for unique_id in chosen]
        # What says that all is built must not be written while something is not.
        names = [f"+{name}" if name == LAST else name for name in names]
        # A test may look at models that this run does not build.
        events = _dbt(run, manifest, ["--select", *names, "--exclude-resource-type", "test", "unit_test"])
        yield from (event for event in events if event.asset_key in context.selected_asset_keys)
        return
    data, models = run.warehouse.data_version(), project_version()
    built = run.warehouse.built_from()
    if built and (built.data, built.models) == (data, models):
        yield from _with_unchanged(iter(()), manifest, built.run_id)
        return
    run.warehouse.note_build(None)
    if built and built.models == models:
        tables = ["--exclude-resource-type", "test", "seed", "unit_test", "--exclude", "config.materialized:view"]
        yield from _with_unchanged(_dbt(run, manifest, tables, same_models=True), manifest, built.run_id)
    else:
        yield from _dbt(run, manifest, WHOLE)
    run.warehouse.note_build(Build(data, models, run.run_id))


def _with_unchanged(events: Events, manifest: Mapping, run_id: str) -> Events:
    """The events as they come, and one for every mart that stands as built by `run_id`: what follows waits for
    a word on each. Parents first, as Dagster wants."""
    ids = _assets(manifest)
    standing = {unique_id: key for key, unique_id in ids.items() if key.path[0] == "marts"}
    built: set[dg.AssetKey] = set()

    seen: set[str] = set()

    def ancestors(unique_id: str) -> Iterator[str]:
        """Each once for all events: who was told of need not be looked at again."""
        for parent in manifest["parent_map"].get(unique_id, ()):
            if parent not in seen:
                seen.add(parent)
                yield from ancestors(parent)
                yield parent

    def stands(unique_ids: Iterable[str]) -> Events:
        for unique_id in unique_ids:
            key = standing.pop(unique_id, None)
            if key and key not in built:
                yield dg.MaterializeResult(asset_key=key, metadata={"stands_since_run": run_id})

    for event in events:
        # A table is told of when it is built, so whatever it reads has been told of, or stands.
        assert event.asset_key is not None
        built.add(event.asset_key)
        yield from stands(ancestors(ids[event.asset_key]))
        yield event
    yield from stands(list(standing))


def _dbt(run: Run, manifest: Mapping, options: list[str], same_models: bool = False) -> Events:
    """One `dbt build`; yields its asset events as they come."""
    run.warehouse.release()
    names = {unique_id: key for key, unique_id in _assets(manifest).items()}
    nodes = 0
    if options == WHOLE:
        all_built = [node for node in manifest["nodes"].values() if node["resource_type"] in BUILT]
        nodes = sum((node.get("test_metadata") or {}).get("name") != "unique_grain" for node in all_built)
    done = 0
    try:
        for finished in run.builder.build(options, same_models):
            done += 1
            run.progress("dbt", done, max(nodes, done + 1))
            if finished.unique_id in names and finished.status == "success":
                metadata = {"unique_id": finished.unique_id, "seconds": round(finished.seconds, 3)}
                yield dg.MaterializeResult(asset_key=names[finished.unique_id], metadata=metadata)
    except BuildError as error:
        raise dg.Failure(f"dbt: {error}") from None
    run.progress("dbt", done, done)
