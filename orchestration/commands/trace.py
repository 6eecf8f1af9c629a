"""`altflow trace`: from a number to the rows it is made of, the addresses they were read from and their SHA-256."""

import argparse
import json
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from orchestration.archive import Archive, ArchiveError, BodyPruned
from orchestration.commands import FAILED, USAGE
from orchestration.commands.terminal import visible
from orchestration.publish import NothingPublished, open_published
from orchestration.received import ReceivedRow, rows_of_day
from orchestration.settings import Settings, load_for_reading
from orchestration.trace import Contribution, NoRow, Trace, TracedBody, TraceError, trace

SHOWN_BODIES = 10
SHOWN_NUMBERS = 12
SHOWN_ROWS = 5
"""rows of one body that are shown"""
WIDTH = 78


def main(args: argparse.Namespace) -> int:
    settings = load_for_reading(args.source)
    try:
        con = open_published(settings)
    except NothingPublished as error:
        print(f"altflow trace: {error}", file=sys.stderr)
        return FAILED
    with con:
        synthetic = con.execute("SELECT synthetic FROM run_info").fetchall() == [(True,)]
        try:
            found = trace(con, args.table, args.date, args.column, args.where)
        except TraceError as error:
            print(f"altflow trace: {visible(str(error))}", file=sys.stderr)
            return FAILED if isinstance(error, NoRow) else USAGE
    most = None if args.all else SHOWN_BODIES
    opened = _open(settings, found.bodies[:most]) if args.open else {}
    if args.json:
        data: dict[str, Any] = {"synthetic": synthetic, **found.data(most)}
        for body in data["bodies"] if args.open else ():
            body["archive"] = _as_data(opened[body["body_sha256"]])
        print(json.dumps(data, indent=1, default=_plain, ensure_ascii=sys.stdout.isatty()))
    else:
        if synthetic:
            print("SYNTHETIC: a generated market. None of these figures is real.")
        for line in _lines(found, most, opened):
            print(visible(line))
    is_refuted = found.is_proved is False or any(map(_is_lost, opened.values()))
    return FAILED if is_refuted else 0


Opened = list[ReceivedRow] | ArchiveError


def _is_lost(said: Opened) -> bool:
    """Whether a body should be there and is not, or is another: what was removed on purpose is not lost."""
    return isinstance(said, ArchiveError) and not isinstance(said, BodyPruned)


def _open(settings: Settings, bodies: list[TracedBody]) -> dict[str, Opened]:
    """What the archive holds of each body: the rows of its day, or why it cannot be shown. Reading a body checks its
    SHA-256."""
    archive = Archive(settings.archive_dir)
    places: dict[tuple, dict[str, tuple[str, int, int, int]]] = {}
    pruned = {sha256: each for each in archive.pruned() for sha256 in each.bodies}
    opened: dict[str, Opened] = {}
    for body in bodies:
        if body.upstream is None or not settings.archive_dir.is_dir():
            opened[body.body_sha256] = ArchiveError(f"no archive in {settings.data_dir}: it is where runs are made")
            continue
        month = (body.upstream, f"{body.fetched_at:%Y-%m}")
        if month not in places:
            places[month] = archive.located(body.upstream, body.fetched_at)
        place = places[month].get(body.body_sha256)
        try:
            if place is None and body.body_sha256 in pruned:
                raise pruned[body.body_sha256].refusal()
            if place is None:
                raise ArchiveError(f"not in {settings.archive_dir / '/'.join(month)}: restore its pack from a backup")
            content = archive.read(*place, body.body_sha256)
            opened[body.body_sha256] = rows_of_day(content, body.last_date, body.series) if body.last_date else []
        except ArchiveError as error:
            opened[body.body_sha256] = error
    return opened


def _as_data(said: Opened) -> dict[str, Any]:
    if isinstance(said, ArchiveError):
        return {"is_intact": False if _is_lost(said) else None, "error": str(said)}
    return {"is_intact": True, "rows": [asdict(row) for row in said]}


def _lines(found: Trace, most: int | None, opened: dict[str, Opened]) -> Iterator[str]:
    yield f"{found.table}, {found.day_column} {found.day}{f', {found.column}' if found.column else ''}"
    if found.meaning:
        yield from textwrap.wrap(found.meaning, WIDTH, initial_indent="  ", subsequent_indent="  ")
    yield from _numbers(found)
    for said in found.why_null:
        yield from textwrap.wrap(f"NULL: {said}", WIDTH, initial_indent="  ", subsequent_indent="    ")
    if found.reads:
        said = (
            f"its query reads {', '.join(found.reads)}; below are their rows of that day. Windows reach further back: "
        )
        yield from textwrap.wrap(f"{said}altflow trace {found.reads[0]} {found.day}", WIDTH)
    if found.steps:
        yield "made of"
    for step in found.steps:
        span = f", {step.first_date} .. {step.last_date}" if step.first_date else ""
        bodies = f", from {step.body_count:,} bodies" if step.body_count is not None else ""
        yield f"  {step.row_count:,} rows of {step.table}{span}{bodies} (for {step.below})"
    yield from _contributions(found.largest, found.others)
    if not found.bodies:
        yield from _no_bodies(found)
        return
    shown = found.bodies[:most]
    rest = "" if len(shown) == len(found.bodies) else f" ({len(shown)} of them; --all lists the rest)"
    yield f"read from {len(found.bodies):,} bod{'y' if len(found.bodies) == 1 else 'ies'}{rest}"
    for body in shown:
        yield from _body(body, opened.get(body.body_sha256), most)


def _numbers(found: Trace) -> Iterator[str]:
    for made in found.numbers[:SHOWN_NUMBERS]:
        key = ", ".join(f"{name} {value}" for name, value in made.key.items() if name != found.day_column)
        if not found.column:
            yield f"  {key}"
            continue
        yield f"  {key}" if key else "  the day"
        yield f"    published   {_figure(made.published)}"
        if made.recomputed is not None:
            judged = {True: "equal", False: "NOT EQUAL", None: ""}[made.is_equal]
            yield f"    recomputed  {_figure(made.recomputed)}  {judged}"
    hidden = len(found.numbers) - SHOWN_NUMBERS
    if hidden > 0:
        yield f"  and {hidden:,} more rows; --where chooses one"
    checked = [made for made in found.numbers if made.is_equal is not None]
    if found.expression and checked:
        equal = sum(bool(made.is_equal) for made in checked)
        yield from textwrap.wrap(
            f"{equal:,} of {len(checked):,} equal, recomputed as {found.expression}",
            WIDTH,
            initial_indent="  ",
            subsequent_indent="    ",
        )
    elif found.column and not found.expression and found.bodies:
        yield f"  not a plain sum: dbt_project/models/marts/{found.table}.sql computes it from these rows"


def _contributions(largest: list[Contribution], others: Contribution | None) -> Iterator[str]:
    if not largest:
        return
    yield f"the largest of them ({len(largest)})"
    lines = [(" ".join(str(value) for value in part.key.values()), part.value) for part in largest]
    if others:
        lines.append((f"the other {others.key['row_count']:,}", others.value))
    lines.append(("together", sum(value for _, value in lines)))
    for name, value in lines:
        yield f"  {name:<40} {_figure(value):>34}"


def _no_bodies(found: Trace) -> Iterator[str]:
    if found.steps:
        yield "no body is cited: none of these rows was read from an upstream"
    else:
        yield "written by hand in the project (dbt_project/seeds), read from no upstream; its row says where it is from"


def _body(body: TracedBody, said: Opened | None, most: int | None) -> Iterator[str]:
    fetched = f"{body.fetched_at:%Y-%m-%d %H:%M:%S} UTC" if body.fetched_at else "not in source_files"
    yield f"  {body.body_sha256}"
    yield f"    {body.upstream}, fetched {fetched}, cited by {body.row_count:,} rows"
    for source in body.sources[:most]:
        of = "" if source["file_sha256"] == body.body_sha256 else f", SHA-256 {source['file_sha256']}"
        yield f"    {source['url']} ({source['byte_count']:,} bytes{of})"
    if most and len(body.sources) > most:
        yield f"    and {len(body.sources) - most:,} more files; --all lists them"
    if said is None:
        return
    if isinstance(said, ArchiveError):
        yield f"    archive: {said}"
        return
    yield "    archive: the stored body has this SHA-256"
    if not said:
        yield f"    no row of it names {body.last_date}" if body.last_date else "    it is of no day"
    header = None
    for row in said[:SHOWN_ROWS]:
        if row.header and row.header != header:
            header = row.header
            yield f"    {header}"
        yield f"    {row.place}: {textwrap.shorten(row.text, 2_000)}"
    if len(said) > SHOWN_ROWS:
        yield f"    and {len(said) - SHOWN_ROWS:,} more rows of {body.last_date}"


def _figure(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, Decimal):
        return f"{value:,f}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _plain(value: Any) -> str:
    """Decimals keep their digits as text, days and times their ISO form; times are UTC."""
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC).isoformat()
    return value.isoformat() if isinstance(value, date) else str(value)
