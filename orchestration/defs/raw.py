"""Raw assets: what was fetched, checked and committed, one asset per raw table."""

from collections.abc import Iterator

import dagster as dg

from orchestration.defs import window
from orchestration.load import Loaded
from orchestration.records import RECORDS, Record
from orchestration.run import Run

OWNERS = ["team:data"]


def raw_assets(months: dg.PartitionsDefinition) -> list[dg.AssetsDefinition]:
    return [
        _asset("spot_symbols"),
        _asset("spot_flows", deps=["spot_symbols"], partitions_def=months),
        _asset("stablecoins"),
        _asset("stablecoin_totals"),
        _asset("stablecoin_supplies", "stablecoin_chain_supplies", deps=["stablecoins"]),
        _asset("asset_caps"),
        _asset("coin_snapshots"),
        _asset("macro_observations"),
    ]


def _spec(record: Record, deps: list[str]) -> dg.AssetSpec:
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
        deps=[dg.AssetKey(["raw", name]) for name in deps],
        metadata={"dagster/column_schema": dg.TableSchema(columns), "grain": ", ".join(record.grain)},
    )


def _asset(
    *tables: str, deps: list[str] | None = None, partitions_def: dg.PartitionsDefinition | None = None
) -> dg.AssetsDefinition:
    """One step that loads what the run fetched for `tables`. It never fails because of an upstream."""
    dataset = tables[0]
    checks = [
        spec
        for table in tables
        for spec in (
            dg.AssetCheckSpec(
                "upstream_answered",
                asset=["raw", table],
                description="Everything that was asked for arrived. A failure names what is missing; it stops nobody.",
            ),
            dg.AssetCheckSpec(
                "expectations_hold",
                asset=["raw", table],
                description="Great Expectations on the fetched window. Rows that fail are kept in raw.quarantine.",
            ),
        )
    ]

    @dg.multi_asset(
        name=f"raw_{dataset}",
        specs=[_spec(RECORDS[table], deps or []) for table in tables],
        check_specs=checks,
        partitions_def=partitions_def,
        backfill_policy=dg.BackfillPolicy.single_run() if partitions_def else None,
        required_resource_keys={"run"},
    )
    def load(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
        run: Run = context.resources.run
        loaded = run.ingest.load(dataset)
        if loaded.gaps:
            missing = sorted({f"{gap.upstream}/{gap.dataset}" for gap in loaded.gaps})
            before = context.run.tags.get(window.GAPS_TAG)
            named = ",".join(sorted({*missing, *(before.split(",") if before else [])}))
            context.instance.add_run_tags(context.run_id, {window.GAPS_TAG: named[:255]})
        for table in tables:
            yield dg.MaterializeResult(asset_key=["raw", table], metadata=_metadata(run, loaded))
        for table in tables:
            yield _answered(table, loaded)
            yield _held(table, loaded)

    return load


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
    }


def _answered(table: str, loaded: Loaded) -> dg.AssetCheckResult:
    shown = "\n".join(f"- {gap.upstream} {gap.scope}: {gap.message}" for gap in loaded.gaps[:20])
    more = f"\n- and {len(loaded.gaps) - 20} more" if len(loaded.gaps) > 20 else ""
    return dg.AssetCheckResult(
        asset_key=["raw", table],
        check_name="upstream_answered",
        passed=not loaded.gaps,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"missing": dg.MetadataValue.md(shown + more), "gaps": len(loaded.gaps)} if loaded.gaps else {},
    )


def _held(table: str, loaded: Loaded) -> dg.AssetCheckResult:
    reports = [report for report in loaded.reports if report.suite == f"raw_{table}"]
    failed = [report for report in reports if not report.passed]
    return dg.AssetCheckResult(
        asset_key=["raw", table],
        check_name="expectations_hold",
        passed=not failed,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "rows_checked": sum(report.row_count for report in reports),
            "findings": dg.MetadataValue.md("\n".join(report.message for report in failed) or "none"),
        },
    )
