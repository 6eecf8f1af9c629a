"""`altflow import`: data that a user holds in CSV, checked, archived and traced like every other body."""

import argparse
import sys
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

from orchestration import settings as settings_module
from orchestration.archive import Archive, Asked
from orchestration.commands import FAILED, PUBLISHED, USAGE
from orchestration.expectations.validator import Validator
from orchestration.load import Fetched, Loaded, Loader
from orchestration.records import RECORDS
from orchestration.settings import Settings
from orchestration.sources.body import Body, Parsed, Window
from orchestration.sources.imported import UPSTREAM, ImportRefused, read_file
from orchestration.sources.registry import IMPORTS
from orchestration.warehouse import Lock, Shrunk, Warehouse, WarehouseError

TABLES = {"caps": "imported_caps", "etf-flows": "imported_etf_flows"}


def main(args: argparse.Namespace) -> int:
    if args.market and args.source not in (None, "recorded"):
        print(f"altflow import: --market goes with --source recorded, not with {args.source}", file=sys.stderr)
        return USAGE
    settings = settings_module.load(args.source or ("recorded" if args.market else None), args.market)
    try:
        body = read_file(Path(args.file), TABLES[args.kind], args.unit, datetime.now(UTC).replace(tzinfo=None))
        parsed = IMPORTS[body.dataset](body)
    except ImportRefused as error:
        print(f"altflow import: {error}", file=sys.stderr)
        return FAILED
    lock = Lock(settings.lock_path)
    try:
        lock.acquire()
    except OSError as error:
        print(f"altflow import: {settings.data_dir} cannot be used: {error.strerror}", file=sys.stderr)
        return FAILED
    try:
        print(load_file(settings, body, parsed))
    except (WarehouseError, ImportRefused) as error:
        print(f"altflow import: {error}", file=sys.stderr)
        return FAILED
    finally:
        lock.release()
    return PUBLISHED


def load_file(settings: Settings, body: Body, parsed: Parsed) -> str:
    """Loads the file and says what that did. Raises ImportRefused, Shrunk and WarehouseError with nothing written."""
    record, rows = RECORDS[body.dataset], parsed.tables[body.dataset]
    days = rows["utc_date"].to_pylist()
    window = Window(min(days), max(days) + timedelta(days=1))
    what = f"{body.context['file']}: {rows.num_rows:,} rows of {window.start} .. {max(days)}"
    warehouse = Warehouse(settings.warehouse_path)
    warehouse.prepare(settings)
    if warehouse.holds(record, rows) and warehouse.row_count(record.table, window) == rows.num_rows:
        return f"{what} are stored already (sha256 {body.sha256}); nothing changed"
    run_id = f"import-{uuid.uuid4()}"
    archive, validator = Archive(settings.archive_dir), Validator.start(early=False)
    loader, loaded = Loader(warehouse, validator), Loaded(record.table)
    try:
        part = loader.read([Fetched(UPSTREAM, record.table, "", window, [body], [parsed])])
        report = part.reports[record.table].result()
        if not report.passed and (report.refused_rows or report.refuses_window):
            raise ImportRefused(body.context["file"], report.message.splitlines())
        entry = archive.append(body, Asked("", window, 0, 1, 0), run_id)
        archive.sync()
        loader.commit([part], [entry], run_id, loaded)
    except Shrunk as error:
        raise WarehouseError(f"{error} (the file has fewer lines than what was imported of the same days)") from None
    finally:
        archive.close()
        loader.close()
        validator.close()
    news = "" if report.passed else f"\nworth a look: {report.message}"
    synthetic = "\nthis data folder is that of a generated market: what is built on it is SYNTHETIC all the same"
    return (
        f"{what} imported into raw.{record.table}: {loaded.inserted:,} new, {loaded.changed:,} changed, "
        f"{loaded.deleted:,} no longer there\nsha256 {body.sha256}{news}{synthetic if settings.synthetic else ''}\n"
        "next: `altflow run` builds on it"
    )
