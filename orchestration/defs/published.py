"""The last asset: the snapshot for analysts, put in place when every blocking check has passed."""

from base64 import b64encode
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING

import dagster as dg

from orchestration.defs.raw import OWNERS
from orchestration.headline import percent, sparkline, usd
from orchestration.run import Run

if TYPE_CHECKING:
    from orchestration.marts import Headline

FRESH = dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=30), warn_window=timedelta(hours=16))
"""The schedule publishes every 10 or 14 hours; after 30 `altflow doctor --alert-if-stale` speaks, too."""


def published_snapshot(marts: list[dg.AssetKey]) -> dg.AssetsDefinition:
    @dg.asset(
        key=["published", "marts"],
        deps=marts,
        group_name="published",
        kinds={"duckdb", "parquet"},
        owners=OWNERS,
        description="One snapshot of all marts. published/marts.duckdb and published/parquet: what analysts read, "
        "swapped in atomically when every blocking check has passed.",
        freshness_policy=FRESH,
        required_resource_keys={"run"},
    )
    def snapshot(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        from orchestration.marts import headline
        from orchestration.publish import publish

        run: Run = context.resources.run
        run.progress("publish", 0, 1)
        manifest = publish(run.warehouse, run.settings, run.run_id)
        run.progress("publish", 1, 1)
        return dg.MaterializeResult(
            metadata={
                **_shown(headline(run.warehouse), run.settings.synthetic),
                "last_day": manifest["last_date"],
                "source": manifest["source"],
                "synthetic": manifest["synthetic"],
                "dagster/row_count": sum(manifest["tables"].values()),
                "tables": dg.MetadataValue.md(_counts(manifest["tables"])),
                "folder": dg.MetadataValue.path(str(run.settings.published_dir)),
                "brief": dg.MetadataValue.path(str(run.settings.data_dir / "brief" / "index.html")),
            }
        )

    return snapshot


def _shown(head: "Headline | None", is_synthetic: bool) -> dict:
    """The headline in words, as a line, and as numbers, which Dagster plots by run."""
    if head is None:
        return {"headline": "no data"}
    exchanges = f"{head.exchange_count} exchange{'' if head.exchange_count == 1 else 's'}"
    warning = "**SYNTHETIC**, none of it is real. " if is_synthetic else ""
    words = (
        f"{warning}{head.utc_date}: altcoins (ex BTC and ETH), takers' buys minus sells over 365 days: "
        f"**{usd(head.net_usd)}** of {usd(head.volume_usd)} traded "
        f"({percent(head.imbalance_ratio)}), {head.symbol_count} symbols on {exchanges}. Against BTC: "
        f"{percent(head.excess_imbalance_ratio)} of volume (below 0: more sold than BTC)."
    )
    drawn = b64encode(sparkline(head.last_year).encode()).decode()
    line = f"\n\nThe same sum on each day of the last year, and zero:\n\n![line](data:image/svg+xml;base64,{drawn})"
    numbers = {
        "headline_net_usd": float(head.net_usd),
        "headline_imbalance_ratio": head.imbalance_ratio,
        "headline_against_btc_ratio": head.excess_imbalance_ratio,
    }
    known = {name: value for name, value in numbers.items() if value is not None}
    return {"headline": dg.MetadataValue.md(words + line), **known}


def _counts(tables: Mapping[str, int]) -> str:
    return "\n".join(
        ["| table | rows |", "| --- | ---: |", *(f"| {name} | {rows:,} |" for name, rows in tables.items())]
    )
