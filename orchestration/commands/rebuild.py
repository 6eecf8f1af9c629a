"""`altflow rebuild`: the warehouse and the snapshot made anew from the archive alone; no upstream is asked.

All is made aside, in `rebuild/` of the data folder. Only when every blocking check has passed does the new warehouse
take the place of the old one, which stays beside it under a name of its own.
"""

import argparse
import os
import shutil
import sys
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from orchestration import settings as settings_module
from orchestration import status
from orchestration.archive import Archive, ArchiveError
from orchestration.builder import WHOLE, Builder, BuildError, project_version
from orchestration.commands import FAILED, PUBLISHED, USAGE
from orchestration.commands.progress_bar import ProgressBar
from orchestration.expectations.validator import Validator, ValidatorError
from orchestration.marts import checked_frames, golden_failure, note_verdicts
from orchestration.publish import PublishError, publish
from orchestration.rebuild import RebuildError, rebuild
from orchestration.run import code_version, where_to_begin
from orchestration.settings import Settings
from orchestration.sources.registry import followed
from orchestration.warehouse import Build, Lock, Warehouse, WarehouseError, source_of

EXPECTED = (RebuildError, ArchiveError, WarehouseError, BuildError, PublishError, ValidatorError, OSError)
Progress = Callable[[str, int, int], None]


def main(args: argparse.Namespace) -> int:
    if args.market and args.source not in (None, "recorded"):
        print(f"altflow rebuild: --market goes with --source recorded, not with {args.source}", file=sys.stderr)
        return USAGE
    settings = settings_module.load(args.source or ("recorded" if args.market else None), args.market)
    if not Archive(settings.archive_dir).packs():
        print(f"altflow rebuild: no body in {settings.archive_dir}: nothing to rebuild from", file=sys.stderr)
        return FAILED
    if settings.warehouse_path.exists() and not args.replace:
        print(
            f"altflow rebuild: {settings.warehouse_path} is there; nothing was changed. "
            "`altflow rebuild --replace` makes a new one and keeps this one beside it",
            file=sys.stderr,
        )
        return USAGE
    with Lock(settings.lock_path):
        try:
            with ProgressBar(args.quiet) as progress:
                told = rebuild_folder(settings, progress)
        except EXPECTED as error:
            print(f"altflow rebuild: {error}", file=sys.stderr)
            return FAILED
    for line in told:
        print(line)
    return PUBLISHED


def rebuild_folder(settings: Settings, progress: Progress) -> list[str]:
    """Rebuilds, checks, puts in place, publishes; whoever calls holds the lock. Returns what to tell. Raises one of
    EXPECTED: until the new warehouse is in place everything stays as it was."""
    old = settings.warehouse_path
    source = source_of(old) if old.exists() else None
    if source and source != settings.source:
        raise WarehouseError(f"{settings.data_dir} belongs to source {source}; say --source {source}")
    run_id = f"rebuild-{uuid.uuid4()}"
    aside = settings.override(data_dir=settings.data_dir / "rebuild")
    shutil.rmtree(aside.data_dir, ignore_errors=True)  # of a rebuild that was killed
    aside.data_dir.mkdir(parents=True)
    told = _fill(settings, aside, run_id, progress, old if source else None)
    _build(aside, run_id, progress)
    kept = put_in_place(aside.warehouse_path, old)
    shutil.rmtree(aside.data_dir, ignore_errors=True)
    if kept:
        told.append(f"the warehouse of before is {kept}: delete it when you miss nothing")
    return told + _publish(settings, run_id, progress)


def _fill(settings: Settings, aside: Settings, run_id: str, progress: Progress, old: Path | None) -> list[str]:
    validator = Validator.start()
    try:
        loads = rebuild(
            Archive(settings.archive_dir),
            aside.warehouse_path,
            aside,
            validator,
            run_id,
            code_version(),
            lambda done, total: progress("archive KB", done // 1000, total // 1000),
        )
    finally:
        validator.close()
    told = [
        f"rebuilt from {settings.archive_dir}: {sum(load.bodies for load in loads):,} bodies, "
        f"{sum(load.received for load in loads):,} rows read, {sum(load.quarantined for load in loads):,} refused"
    ]
    if old is None:
        return [*told, "gaps and what stood published before are not in the archive: they begin anew"]
    Warehouse(aside.warehouse_path).take_over(old)
    return told


def _build(aside: Settings, run_id: str, progress: Progress) -> None:
    """The marts and their checks. Raises BuildError where one of them blocks."""
    from orchestration.defs.checks import SUITES, WARNS_ONLY

    warehouse, builder, validator = Warehouse(aside.warehouse_path), Builder.start(aside), Validator.start()
    try:
        done = 0
        for done, _ in enumerate(builder.build(WHOLE), 1):
            progress("dbt", done, done + 1)
        progress("dbt", done, done)
        warehouse.note_build(Build(warehouse.data_version(), project_version(), run_id))
        progress("check", 0, 1)
        reports = validator.check_many(checked_frames(warehouse, list(SUITES)))
        golden = golden_failure(warehouse)
        note_verdicts(warehouse, reports, golden, True)
        progress("check", 1, 1)
    finally:
        builder.close()
        validator.close()
    blocking = [report.message for report in reports if report.blocking and report.suite not in WARNS_ONLY]
    if golden:
        blocking.append(golden.message)
    if blocking:
        raise BuildError(
            f"a check blocks what was rebuilt; the old warehouse stays, the new one is {aside.warehouse_path}\n"
            + "\n".join(blocking)
        )


def put_in_place(new: Path, old: Path) -> Path | None:
    """Replaces the warehouse at once, at no moment without one; where the one of before is, if there was one."""
    kept = None
    if old.exists():
        kept = old.with_name(f"warehouse.{datetime.now(UTC):%Y%m%dT%H%M%SZ}.duckdb")
        os.link(old, kept)
        wal = old.with_name(f"{old.name}.wal")
        if wal.exists():
            # Only a file that cannot be opened still has one.
            wal.rename(kept.with_name(f"{kept.name}.wal"))
    os.replace(new, old)
    return kept


def _publish(settings: Settings, run_id: str, progress: Progress) -> list[str]:
    from orchestration.brief import page
    from orchestration.commands.summary import summary

    warehouse = Warehouse(settings.warehouse_path)
    progress("publish", 0, 1)
    publish(warehouse, settings, run_id)
    progress("publish", 1, 1)
    now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    status.note(
        settings,
        run_id=run_id,
        state="published",
        started_at=now,
        ended_at=now,
        gaps=[],
        absences=[],
        **where_to_begin(warehouse, settings, followed(settings)),
    )
    try:
        page.build(settings)
        brief = f"brief:   {page.index(settings)}"
    except Exception as error:  # whatever it is: the snapshot stands, as after a run
        brief = f"brief:   NOT written: {type(error).__name__}: {error}; published all the same"
    return [*summary(settings), brief]
