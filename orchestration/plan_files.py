"""Which trade files to fetch: the fewest that close the gap between the days wanted and the days answered.

A UTC day can be had when files cover all of it: a file of its own, two files of a clock that is ahead, several
parts, or the file of its month. What is not there is told apart: not due yet, late, or missing.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from orchestration.plan import missing
from orchestration.sources.body import Window
from orchestration.sources.trades import TradeFile

LATE_DAYS = 7
"""so long after it was due a file is waited for, and called late; then it is missing"""
DAYS_TOGETHER = 31
ONE_DAY = timedelta(days=1)


@dataclass(frozen=True)
class FileJob:
    """One body to make: the UTC days of `window` of `scope` (a symbol, `*` for all of the exchange)."""

    scope: str
    window: Window
    files: tuple[TradeFile, ...]


@dataclass(frozen=True)
class Absence:
    """Days that cannot be had now; `reason` as in coverage."""

    scope: str
    window: Window
    reason: str
    message: str


def is_long(file: TradeFile) -> bool:
    """Whether a file is one of a month (or more), not of a day."""
    return file.end - file.start > 3 * ONE_DAY


def days_of(file: TradeFile) -> Iterable[date]:
    """Every UTC day that a file has a part of."""
    day = file.start.date()
    while datetime.combine(day, time()) < file.end:
        yield day
        day += ONE_DAY


def restated(files: Sequence[TradeFile], known_etags: Mapping[str, str], since: date) -> list[Window]:
    """Days of files that ended after `since` and are no longer what was read: their tag is another one."""
    changed = set()
    for file in files:
        known = known_etags.get(file.url)
        if known and file.etag and known != file.etag and file.end.date() >= since:
            changed.update(days_of(file))
    return [Window(day, day + ONE_DAY) for day in sorted(changed)]


def file_jobs(
    scope: str,
    wanted: Window,
    answered: Iterable[Window],
    files: Sequence[TradeFile],
    now: datetime,
    due: Callable[[date], datetime],
    is_alive: bool = True,
    given_up: Iterable[date] = (),
    has_silent_days: bool = True,
    is_listed: bool = True,
) -> tuple[list[FileJob], list[Absence]]:
    """Jobs for the days of `wanted` that no answer covers, oldest first, and what is absent.

    `files`: all that there are, or should be, for the scope. `is_alive`: days after the last file are missed,
    not over. `given_up`: days whose file was missing long after it was due; they are asked for again only where
    a listing shows them (`is_listed`: `files` are what is there). Without `has_silent_days` a day without a trade
    has no file: once a day has passed since the last one was due, what is not there was not traded."""
    answered = list(answered)
    need = [day for window in missing(wanted, answered) for day in _days(window) if day < now.date()]
    lost = set(given_up)
    by_day: dict[date, list[TradeFile]] = {}
    for file in files:
        for day in days_of(file) if is_listed or file.due <= now else ():
            by_day.setdefault(day, []).append(file)
    first = min((file.start.date() for file in files), default=None)
    if answered:
        first = min(first or date.max, *(window.start for window in answered))
    last = max((file.end for file in files), default=None)
    choices: list[tuple[date, tuple[TradeFile, ...], bool]] = []
    absent: list[tuple[date, str, str]] = []
    by_month: dict[date, int] = {}
    for day in need:
        by_month[day.replace(day=1)] = by_month.get(day.replace(day=1), 0) + 1
    for day in need:
        found = _chosen(day, by_day.get(day, ()), by_month[day.replace(day=1)])
        is_over = not has_silent_days and now >= due(day) + ONE_DAY
        found = found or (tuple(f for f in by_day.get(day, ()) if not is_long(f)) if is_over else ())
        if found and (is_listed or day not in lost):
            choices.append((day, found, any(is_long(file) for file in found)))
        elif scope != "*" and (first is None or day < first or not (is_alive or (last and _midnight(day) < last))):
            continue
        elif is_over:
            if day not in lost:
                absent.append((day, "no_trades", "no file: nothing was traded"))
        elif now < due(day):
            absent.append((day, "not_published_yet", f"due {due(day):%Y-%m-%d %H:%M} UTC"))
        elif now < due(day) + LATE_DAYS * ONE_DAY:
            absent.append((day, "not_published_yet", f"late: it was due {due(day):%Y-%m-%d %H:%M} UTC"))
        elif day not in lost:
            absent.append((day, "file_missing", f"no file {LATE_DAYS} days after it was due"))
    return _jobs(scope, choices, is_listed), _absences(scope, absent)


def _chosen(day: date, files: Sequence[TradeFile], wanted_in_month: int) -> tuple[TradeFile, ...]:
    """The files to read for a day: its month's where several days of the month are wanted."""
    short = tuple(sorted((f for f in files if not is_long(f)), key=lambda f: (f.start, f.url)))
    long = tuple(sorted((f for f in files if is_long(f)), key=lambda f: (f.start, f.url)))
    for group in (long, short) if wanted_in_month > 1 else (short, long):
        if group and _covers(day, group):
            return group
    return ()


def _covers(day: date, files: Sequence[TradeFile]) -> bool:
    reached = _midnight(day)
    for file in files:
        if file.start > reached:
            return False
        reached = max(reached, file.end)
    return reached >= _midnight(day + ONE_DAY)


def _jobs(scope: str, choices: list[tuple[date, tuple[TradeFile, ...], bool]], is_listed: bool) -> list[FileJob]:
    """Neighbouring days together: those of one month file, or some weeks of day files; all symbols day by day, and
    so where nobody lists the files: one that is not there costs its own days and no others."""
    jobs: list[FileJob] = []
    for day, files, of_month in choices:
        last = jobs[-1] if jobs else None
        joins = (
            last is not None
            and last.window.end == day
            and (set(files) == set(last.files) if of_month else is_listed and _may_grow(last, scope))
        )
        if joins and last is not None:
            more = tuple(file for file in files if file not in last.files)
            jobs[-1] = FileJob(scope, Window(last.window.start, day + ONE_DAY), last.files + more)
        else:
            jobs.append(FileJob(scope, Window(day, day + ONE_DAY), files))
    return jobs


def _may_grow(job: FileJob, scope: str) -> bool:
    is_short = not any(is_long(file) for file in job.files)
    return scope != "*" and is_short and (job.window.end - job.window.start).days < DAYS_TOGETHER


def _absences(scope: str, days: list[tuple[date, str, str]]) -> list[Absence]:
    found: list[Absence] = []
    for day, reason, message in days:
        last = found[-1] if found else None
        if last and last.window.end == day and last.reason == reason:
            found[-1] = Absence(scope, Window(last.window.start, day + ONE_DAY), reason, last.message)
        else:
            found.append(Absence(scope, Window(day, day + ONE_DAY), reason, message))
    return found


def _days(window: Window) -> Iterable[date]:
    day = window.start
    while day < window.end:
        yield day
        day += ONE_DAY


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time())
