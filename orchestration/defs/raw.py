"""Raw assets: what was fetched, checked and committed, one asset per raw table."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta

import dagster as dg

from orchestration.defs import window
from orchestration.ingest import flows_of
from orchestration.load import Loaded
from orchestration.records import RECORDS, Record
from orchestration.run import Run
from orchestration.sources.registry import DERIVATIVES, EXCHANGES, IMPORTS

OWNERS = ["team:data"]


LIQUIDITY = ("chain_tvl", "dex_volumes", "order_books")
FLOWS = dg.AssetKey(["raw", "spot_flows"])
FRESH = dg.FreshnessPolicy.time_window(fail_window=timedelta(days=3), warn_window=timedelta(days=2))


def raw_assets(months: dg.PartitionsDefinition, exchanges: Sequence[str]) -> list[dg.AssetsDefinition]:
    """One asset for the flows of each of `exchanges`, one for each raw table; those of estimates and of a second
    source only where one of the exchanges has any: a step that has nothing to do would still cost every run its
    events."""
    estimated = [name for name in exchanges if EXCHANGES[name].estimates]
    seconded = [name for name in exchanges if EXCHANGES[name].second]
    return [
        _asset("spot_symbols"),
        *(_exchange_asset(name, months) for name in exchanges),
        _flow_tables(exchanges),
        *([_asset("archive_flows", deps=[*map(flows_of, seconded)])] if seconded else []),
        *([_asset("taker_estimates", deps=[*map(flows_of, estimated)])] if estimated else []),
        _asset("stablecoins"),
        _asset("stablecoin_totals"),
        _asset("stablecoin_supplies", "stablecoin_chain_supplies", deps=["stablecoins"]),
        _asset("asset_caps"),
        _asset("coin_snapshots"),
        _asset("macro_observations"),
        _in_one_step("raw_liquidity", {table: [] for table in LIQUIDITY}),
    ]


def imported_assets() -> list[dg.AssetSpec]:
    """What `altflow import` fills: known to the lineage, made by no step."""
    return [_spec(RECORDS[table], []) for table in IMPORTS]


def _spec(record: Record, deps: list[dg.AssetKey]) -> dg.AssetSpec:
    columns = [
        dg.TableColumn(
            field.name,
            str(field.type),
            (field.metadata or {}).get(b"description", b"").decode(),
            constraints=dg.TableColumnConstraints(nullable=field.nullable),
        )
        for field in record.schema
    ]
    return dg.AssetSpec(
        dg.AssetKey(["raw", record.table]),
        description=record.description,
        group_name="raw",
        kinds={"python", "duckdb"},
        owners=OWNERS,
        deps=deps,
        metadata={"dagster/column_schema": dg.TableSchema(columns), "grain": ", ".join(record.grain)},
    )


def exchange_key(exchange: str) -> dg.AssetKey:
    """The asset of one exchange's flows."""
    return dg.AssetKey([*FLOWS.path, exchange])


def exchanges_in(keys: Iterable[dg.AssetKey]) -> list[str]:
    """The exchanges whose flows are among `keys`."""
    return sorted(key.path[-1] for key in keys if len(key.path) == 3 and key.path[:2] == FLOWS.path)


def _exchange_asset(exchange: str, months: dg.PartitionsDefinition) -> dg.AssetsDefinition:
    """Flows of one exchange: a step that loads what it answered."""
    key = exchange_key(exchange)

    @dg.multi_asset(
        name=f"raw_spot_flows_{exchange}",
        specs=[
            dg.AssetSpec(
                key,
                description=f"One row per symbol and UTC day: spot volume on {exchange}, and the part that takers "
                "bought. Partitions are UTC months; which days are there is in coverage_daily.",
                group_name="raw",
                kinds={"python", "duckdb"},
                owners=OWNERS,
                deps=[dg.AssetKey(["raw", "spot_symbols"])],
                metadata={"grain": ", ".join(RECORDS["spot_flows"].grain)},
                freshness_policy=FRESH,
            )
        ],
        check_specs=_check_specs(key),
        partitions_def=months,
        backfill_policy=dg.BackfillPolicy.single_run(),
        required_resource_keys={"run"},
    )
    def load(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
        run: Run = context.resources.run
        loaded = run.ingest.load(flows_of(exchange))
        _tag_gaps(context, loaded)
        yield dg.MaterializeResult(asset_key=key, metadata=_metadata(run, loaded))
        yield _answered(key, loaded)
        yield _held(key, "spot_flows", loaded)

    return load


def _flow_tables(exchanges: Sequence[str]) -> dg.AssetsDefinition:
    """The tables that all exchanges fill: what dbt reads."""
    deps = [*map(exchange_key, exchanges), dg.AssetKey(["raw", "spot_symbols"])]
    tables = ("spot_flows", "spot_trade_sizes", "spot_trade_screens")

    @dg.multi_asset(
        name="raw_spot_flows",
        specs=[_spec(RECORDS[table], deps) for table in tables],
        required_resource_keys={"run"},
    )
    def count(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult]:
        run: Run = context.resources.run
        for table in tables:
            yield dg.MaterializeResult(asset_key=["raw", table], metadata=_rows(run, table))

    return count


def _check_specs(key: dg.AssetKey) -> list[dg.AssetCheckSpec]:
    return [
        dg.AssetCheckSpec(
            "upstream_answered",
            asset=key,
            description="Everything that was asked for arrived. A failure names what is missing; it stops nobody.",
        ),
        dg.AssetCheckSpec(
            "expectations_hold",
            asset=key,
            description="Great Expectations on the fetched window. Rows that fail are kept in raw.quarantine.",
        ),
    ]


def _asset(*tables: str, deps: list[str] | None = None) -> dg.AssetsDefinition:
    """One step that loads what the run fetched for `tables`. It never fails because of an upstream."""
    dataset = tables[0]
    keys = {table: dg.AssetKey(["raw", table]) for table in tables}

    @dg.multi_asset(
        name=f"raw_{dataset}",
        specs=[
            _spec(RECORDS[table], [dg.AssetKey(["raw", *name.split("/")]) for name in deps or []]) for table in tables
        ],
        check_specs=[spec for key in keys.values() for spec in _check_specs(key)],
        required_resource_keys={"run"},
    )
    def load(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
        run: Run = context.resources.run
        loaded = run.ingest.load(dataset)
        _tag_gaps(context, loaded)
        for table, key in keys.items():
            yield dg.MaterializeResult(asset_key=key, metadata=_metadata(run, loaded) | _rows(run, table))
        for table, key in keys.items():
            yield _answered(key, loaded)
            yield _held(key, table, loaded)

    return load


def derivative_assets(exchanges: Sequence[str]) -> list[dg.AssetsDefinition]:
    """An asset for each table that `exchanges` of contracts fill. Nothing where none is followed."""
    tables = list(dict.fromkeys(table for name in exchanges for table in DERIVATIVES[name].tables))
    if not tables:
        return []
    listed = {DERIVATIVES[name].symbols_table for name in exchanges}
    known = [dg.AssetKey(["raw", name]) for name in sorted(listed)]
    deps = {table: known if table not in listed else [] for table in tables}
    return [_in_one_step("raw_derivatives", deps)]


def _in_one_step(name: str, deps: Mapping[str, list[dg.AssetKey]]) -> dg.AssetsDefinition:
    """An asset for each table of `deps`, what it hangs on beside it, in one step: they are context, and a step of its
    own for each would cost every run its events."""
    keys = {table: dg.AssetKey(["raw", table]) for table in deps}

    @dg.multi_asset(
        name=name,
        specs=[_spec(RECORDS[table], above) for table, above in deps.items()],
        check_specs=[spec for key in keys.values() for spec in _check_specs(key)],
        can_subset=True,
        required_resource_keys={"run"},
    )
    def load(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
        run: Run = context.resources.run
        for table, key in keys.items():
            if key in context.selected_asset_keys:
                loaded = run.ingest.load(table)
                _tag_gaps(context, loaded)
                yield dg.MaterializeResult(asset_key=key, metadata=_metadata(run, loaded) | _rows(run, table))
                yield _answered(key, loaded)
                yield _held(key, table, loaded)

    return load


def _tag_gaps(context: dg.AssetExecutionContext, loaded: Loaded) -> None:
    if loaded.gaps:
        missing = sorted({f"{gap.upstream}/{gap.dataset}" for gap in loaded.gaps})
        before = context.run.tags.get(window.GAPS_TAG)
        named = ",".join(sorted({*missing, *(before.split(",") if before else [])}))
        context.instance.add_run_tags(context.run_id, {window.GAPS_TAG: named[:255]})


def _rows(run: Run, table: str) -> dict:
    """Rows of the whole table, under the name that Dagster shows in its catalog."""
    return {"dagster/row_count": run.warehouse.row_count(table)}


def _metadata(run: Run, loaded: Loaded) -> dict:
    return {
        "days": f"{run.window.start} .. {run.window.end} (excluded)",
        "rows_received": loaded.received,
        "rows_inserted": loaded.inserted,
        "rows_changed": loaded.changed,
        "rows_deleted": loaded.deleted,
        "rows_quarantined": loaded.quarantined,
        "cells_rounded": loaded.rounded,
        "bodies_archived": loaded.bodies,
        "gaps": len(loaded.gaps),
        "absent": len(loaded.absences),
    }


def _answered(key: dg.AssetKey, loaded: Loaded) -> dg.AssetCheckResult:
    shown = "\n".join(f"- {gap.upstream} {gap.scope}: {gap.message}" for gap in loaded.gaps[:20])
    more = f"\n- and {len(loaded.gaps) - 20} more" if len(loaded.gaps) > 20 else ""
    return dg.AssetCheckResult(
        asset_key=key,
        check_name="upstream_answered",
        passed=not loaded.gaps,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"missing": dg.MetadataValue.md(shown + more), "gaps": len(loaded.gaps)} if loaded.gaps else {},
    )


def _held(key: dg.AssetKey, table: str, loaded: Loaded) -> dg.AssetCheckResult:
    reports = [report for report in loaded.reports if report.suite == f"raw_{table}"]
    failed = [report for report in reports if not report.passed]
    rows = "\n\n".join(filter(None, (report.failing_rows for report in failed)))
    return dg.AssetCheckResult(
        asset_key=key,
        check_name="expectations_hold",
        passed=not failed,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "rows_checked": sum(report.row_count for report in reports),
            "findings": dg.MetadataValue.md("\n".join(report.message for report in failed) or "none"),
            **({"failing_rows": dg.MetadataValue.md(rows)} if rows else {}),
        },
    )
