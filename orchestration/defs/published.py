"""The last asset: the snapshot for analysts, put in place when every blocking check has passed."""

import dagster as dg

from orchestration.defs.raw import OWNERS
from orchestration.run import Run


def published_snapshot(marts: list[dg.AssetKey]) -> dg.AssetsDefinition:
    @dg.asset(
        key=["published", "marts"],
        deps=marts,
        group_name="published",
        kinds={"duckdb", "parquet"},
        owners=OWNERS,
        description="published/marts.duckdb and published/parquet: what analysts read, swapped in atomically.",
        required_resource_keys={"run"},
    )
    def snapshot(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        from orchestration.publish import publish

        run: Run = context.resources.run
        run.progress("publish", 0, 1)
        manifest = publish(run.warehouse, run.settings, run.run_id)
        run.progress("publish", 1, 1)
        return dg.MaterializeResult(
            metadata={
                "last_day": manifest["last_date"],
                "synthetic": manifest["synthetic"],
                "tables": len(manifest["tables"]),
                "rows": sum(manifest["tables"].values()),
                "folder": dg.MetadataValue.path(str(run.settings.published_dir)),
            }
        )

    return snapshot
