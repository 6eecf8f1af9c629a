"""The daily brief, written after each publish of something new. That it fails unpublishes nothing."""

from collections.abc import Iterator

import dagster as dg

from orchestration.defs.raw import OWNERS
from orchestration.run import Run

KEY = dg.AssetKey(["published", "brief"])


def daily_brief() -> dg.AssetsDefinition:
    @dg.multi_asset(
        name="daily_brief",
        specs=[
            dg.AssetSpec(
                KEY,
                deps=[["published", "marts"]],
                group_name="published",
                kinds={"html"},
                owners=OWNERS,
                description="brief/index.html: what readers look at, every sentence and every chart with its query.",
                skippable=True,
            )
        ],
        check_specs=[
            dg.AssetCheckSpec(
                "brief_written",
                asset=KEY,
                blocking=False,
                description="The brief of what is published could be written. If not, the snapshot stands and the "
                "brief of before stays.",
            )
        ],
        required_resource_keys={"run"},
    )
    def brief(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
        from orchestration.brief import page

        run: Run = context.resources.run
        run.progress("brief", 0, 1)
        try:
            is_new = page.build(run.settings)
        except Exception as error:  # whatever it is: the readers of the snapshot must not pay for it
            context.log.exception("the brief could not be written")
            yield _check(False, f"{type(error).__name__}: {error}")
            return
        finally:
            run.progress("brief", 1, 1)
        if is_new:
            path = page.index(run.settings)
            metadata = {"file": dg.MetadataValue.path(str(path)), "bytes": path.stat().st_size}
            yield dg.MaterializeResult(asset_key=KEY, metadata=metadata)
        yield _check(True, "written" if is_new else "nothing new is published: the brief stands")

    return brief


def _check(passed: bool, reason: str) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        asset_key=KEY,
        check_name="brief_written",
        passed=passed,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"reason": reason},
    )
