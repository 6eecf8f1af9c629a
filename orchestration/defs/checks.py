"""Great Expectations on the marts, as blocking checks: what fails here is not published. And two that only warn:
what the API and the archive of an exchange say of the same days, and assets that nobody has classified."""

from collections.abc import Iterator

import dagster as dg

from orchestration.publish import stands_published
from orchestration.run import Run, code_version

SUITES = {
    "quality_dq_grains": "daily_symbol_flows",
    "quality_dq_rolling_differences": "daily_altcoin_flow",
    "quality_dq_flow_bounds": "daily_symbol_flows",
    "quality_dq_dates": "coverage_daily",
    "quality_dq_shares": "daily_dominance",
    "marts_daily_altcoin_flow": "daily_altcoin_flow",
    "marts_daily_control_flow": "daily_control_flow",
    "marts_run_info": "run_info",
    "quality_dq_unclassified_assets": "daily_asset_flows",
}
"""Suite → the mart whose publishing it may block."""
WARNS_ONLY = {"quality_dq_unclassified_assets"}
SECOND_SOURCE = dg.AssetCheckSpec(
    "archive_says_the_same",
    asset=["marts", "daily_symbol_flows"],
    description="Days that were read from the API and from the exchange's archive are equal (R2): a sample that grows "
    "with every new day. The marts use the API's rows; quality.dq_archive_differences has both values.",
)


def mart_checks() -> dg.AssetChecksDefinition:
    specs = {
        suite: dg.AssetCheckSpec(
            suite,
            asset=["marts", mart],
            blocking=suite not in WARNS_ONLY,
            description=f"Great Expectations suite {suite}.",
        )
        for suite, mart in SUITES.items()
    }

    @dg.multi_asset_check(
        name="mart_checks",
        specs=[*specs.values(), SECOND_SOURCE],
        can_subset=True,
        required_resource_keys={"run"},
    )
    def check(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
        from orchestration.marts import checked_frames, golden_failure, no_exchange_answered, note_verdicts

        run: Run = context.resources.run
        if SECOND_SOURCE.key in context.selected_asset_check_keys:
            yield _second_source(run)
        chosen = [suite for suite, spec in specs.items() if spec.key in context.selected_asset_check_keys]
        build = run.warehouse.built_from()
        if build and stands_published(run.settings, build.run_id, code_version()):
            yield from (_judged(suite, build.run_id) for suite in chosen)
            return
        run.progress("check", 0, len(chosen))
        reports = run.validator.check_many(checked_frames(run.warehouse, chosen))
        golden = golden_failure(run.warehouse) if "marts_daily_altcoin_flow" in chosen else None
        note_verdicts(run.warehouse, reports, golden, "marts_daily_altcoin_flow" in chosen)
        run.progress("check", len(chosen), len(chosen))
        for report in reports:
            message = report.message
            warns_only = report.suite in WARNS_ONLY
            passed = report.passed if warns_only else not report.blocking
            if report.suite == "quality_dq_flow_bounds" and not report.row_count:
                # The other upstreams are published without a dead exchange; that it is missing is exit 3.
                passed = no_exchange_answered(run.warehouse, run.run_id)
            if golden and report.suite == "marts_daily_altcoin_flow":
                passed, message = False, f"{message}\n  {golden.message}"
            yield dg.AssetCheckResult(
                asset_key=["marts", SUITES[report.suite]],
                check_name=report.suite,
                passed=passed,
                severity=dg.AssetCheckSeverity.WARN if warns_only else dg.AssetCheckSeverity.ERROR,
                metadata={
                    "rows_checked": report.row_count,
                    "findings": dg.MetadataValue.md(message),
                    **({"failing_rows": dg.MetadataValue.md(report.failing_rows)} if report.failing_rows else {}),
                },
            )

    return check


def _second_source(run: Run) -> dg.AssetCheckResult:
    from orchestration.marts import compared_sources

    compared = compared_sources(run.warehouse)
    metadata = {
        "days_compared": compared.day_count,
        "days_differing": compared.differing_day_count,
        "differences": compared.difference_count,
        "findings": dg.MetadataValue.md("\n".join(f"- {each}" for each in compared.worst) or "none"),
    }
    if compared.impact_usd is not None:
        metadata["largest_impact_usd"] = float(compared.impact_usd)
    return dg.AssetCheckResult(
        asset_key=SECOND_SOURCE.asset_key,
        check_name=SECOND_SOURCE.name,
        passed=not compared.difference_count,
        severity=dg.AssetCheckSeverity.WARN,
        metadata=metadata,
    )


def _judged(suite: str, run_id: str) -> dg.AssetCheckResult:
    """The verdict on marts that passed when they were published and have not changed since."""
    return dg.AssetCheckResult(
        asset_key=["marts", SUITES[suite]], check_name=suite, passed=True, metadata={"judged_in_run": run_id}
    )
