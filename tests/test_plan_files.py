"""Which trade files are asked for: every wanted day once or not at all with a reason, whole days, the fewest files."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from hypothesis import example, given, settings
from hypothesis import strategies as st

from orchestration.plan_files import LATE_DAYS, Absence, FileJob, file_jobs, is_long
from orchestration.sources.body import Window
from orchestration.sources.trades import TradeFile

FIRST, SPAN = date(2024, 1, 20), 75
"""Two ends of months lie within."""
DAY, HOUR = timedelta(days=1), timedelta(hours=1)


def window(start: int, end: int) -> Window:
    return Window(FIRST + start * DAY, FIRST + end * DAY)


def days(windows: Iterable[Window]) -> list[date]:
    """Every day of every window, a day once for each window that holds it."""
    return [w.start + n * DAY for w in windows for n in range((w.end - w.start).days)]


def midnight(day: date) -> datetime:
    return datetime.combine(day, time())


@dataclass(frozen=True)
class Case:
    """What `file_jobs` is told. `clock`: hours by which the clock of the files is ahead of UTC."""

    scope: str
    wanted: Window
    answered: list[Window]
    files: list[TradeFile]
    now: datetime
    clock: int = 0
    lag: timedelta = 8 * HOUR
    is_alive: bool = True
    given_up: frozenset[date] = frozenset()
    has_silent_days: bool = True
    is_listed: bool = True

    def due(self, day: date) -> datetime:
        """The last file with a part of a UTC day ends with it, or by a clock ahead of it with the next one's."""
        return midnight(day + DAY) + (DAY - self.clock * HOUR if self.clock else timedelta()) + self.lag

    def plan(self) -> tuple[list[FileJob], list[Absence]]:
        return file_jobs(
            self.scope, self.wanted, self.answered, self.files, self.now, self.due, self.is_alive, self.given_up,
            self.has_silent_days, self.is_listed,
        )  # fmt: skip

    @property
    def needed(self) -> set[date]:
        return {day for day in days([self.wanted]) if day < self.now.date()} - set(days(self.answered))

    @property
    def there(self) -> list[TradeFile]:
        """Files that may be asked for: of those that nobody lists, those that are due."""
        return [file for file in self.files if self.is_listed or file.due <= self.now]

    def is_outside(self, day: date) -> bool:
        """Before anything is known of the scope, or after the last file of one that trades no more."""
        begun = [f.start.date() for f in self.files] + [w.start for w in self.answered]
        if self.scope == "*" or (begun and day >= min(begun) and self.is_alive):
            return False
        return not begun or day < min(begun) or midnight(day) >= max((f.end for f in self.files), default=datetime.min)


def file(start: date, end: date, clock: int = 0, part: int = 1, lag: timedelta = 8 * HOUR) -> TradeFile:
    """One of the days [start, end) by a clock that is so many hours ahead."""
    begin, over = midnight(start) - clock * HOUR, midnight(end) - clock * HOUR
    return TradeFile(f"https://files.example/{start}_{end}_{part}", "X", begin, over, over + lag)


def covered(files: Iterable[TradeFile]) -> set[datetime]:
    """The hours that files hold."""
    return {f.start + n * HOUR for f in files for n in range(int((f.end - f.start) / HOUR))}


def hours(day: date) -> set[datetime]:
    return {midnight(day) + n * HOUR for n in range(24)}


def touches(file: TradeFile, day: date) -> bool:
    return file.start < midnight(day + DAY) and file.end > midnight(day)


def months() -> list[tuple[date, date]]:
    firsts = sorted({(FIRST + n * DAY).replace(day=1) for n in range(SPAN)})
    return [(first, (first + 32 * DAY).replace(day=1)) for first in firsts]


windows = st.tuples(st.integers(-5, 50), st.integers(1, 40)).map(lambda pair: window(pair[0], sum(pair)))
some_days = st.frozensets(st.integers(0, SPAN - 1).map(lambda n: FIRST + n * DAY), max_size=12)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Drawn numbers tend to be small: counted from where they leave the most to ask for."""
    clock, lag = draw(st.sampled_from((8, 0))), draw(st.sampled_from((6, 30, 48))) * HOUR
    lost, halved = draw(some_days), draw(some_days)
    files = [
        file(day, day + DAY, clock, part, lag)
        for day in days([window(draw(st.integers(0, 20)), SPAN - draw(st.integers(0, 40)))])
        if day not in lost
        for part in ((1, 2) if day in halved else (1,))
    ]
    files += [file(*month, clock, 1, lag) for month in draw(st.sets(st.sampled_from(months())))]
    return Case(
        draw(st.sampled_from(("X", "*"))),
        window(draw(st.integers(-5, 40)), SPAN - draw(st.integers(0, 30))),
        draw(st.lists(windows, max_size=2)),
        draw(st.permutations(files)),
        midnight(FIRST) + (24 * (SPAN + 20) - draw(st.integers(0, 24 * SPAN))) * HOUR,
        clock,
        lag,
        draw(st.booleans()),
        draw(some_days),
        draw(st.booleans()),
        draw(st.booleans()),
    )


every_case = settings(max_examples=100, deadline=None)


@every_case
@given(case=cases())
def test_every_wanted_day_is_in_one_job_or_one_absence_or_outside(case: Case):
    jobs, absences = case.plan()
    asked, absent = days(job.window for job in jobs), days(absence.window for absence in absences)
    told = asked + absent
    assert len(told) == len(set(told)), "a day is told of twice"
    assert set(told) <= case.needed
    assert asked == sorted(asked) and absent == sorted(absent), "oldest first"
    for day in case.needed - set(told):
        assert case.is_outside(day) or day in case.given_up, day
    assert not [day for day in absent if case.is_outside(day)]


@every_case
@given(case=cases())
def test_the_files_of_a_job_hold_its_days_whole(case: Case):
    for job in case.plan()[0]:
        held = covered(job.files)
        for day in days([job.window]):
            is_over = not case.has_silent_days and case.now >= case.due(day) + DAY
            assert is_over or hours(day) <= held, day
        assert len(job.files) == len(set(job.files)) and set(job.files) <= set(case.there)
        for one in job.files:
            assert any(touches(one, day) for day in days([job.window])), "a file without a part of the job"


@every_case
@given(case=cases())
def test_months_are_taken_where_several_of_their_days_are_wanted(case: Case):
    counts = Counter(day.replace(day=1) for day in case.needed)
    for job in case.plan()[0]:
        for day in days([job.window]):
            of_months = [f for f in case.there if is_long(f) and touches(f, day)]
            of_days = [f for f in case.there if not is_long(f) and touches(f, day)]
            used = [f for f in job.files if touches(f, day)]
            by_month, by_day = hours(day) <= covered(of_months), hours(day) <= covered(of_days)
            if by_month and (counts[day.replace(day=1)] > 1 or not by_day):
                assert set(used) == set(of_months)
            elif by_day:
                assert set(used) == set(of_days)


@every_case
@given(case=cases())
def test_all_parts_of_a_span_are_taken(case: Case):
    for job in case.plan()[0]:
        for one in job.files:
            parts = {f for f in case.there if (f.start, f.end) == (one.start, one.end)}
            assert parts <= set(job.files)


@every_case
@given(case=cases())
@example(Case("X", window(0, 5), [], [], midnight(FIRST + 30 * DAY), given_up=frozenset([FIRST])))
def test_what_was_given_up_is_asked_for_only_where_it_is_listed_now(case: Case):
    jobs, absences = case.plan()
    asked = set(days(job.window for job in jobs)) & case.given_up
    assert case.is_listed or not asked
    for absence in absences:
        if absence.reason != "not_published_yet":
            assert not case.given_up & set(days([absence.window])), "what is known to be missing is no news"
    of_months, of_days = (covered(f for f in case.files if is_long(f) is kind) for kind in (True, False))
    for day in case.needed & case.given_up if case.is_listed else ():
        if any(hours(day) <= held for held in (of_months, of_days)):
            assert day in asked, "it came after all"


@every_case
@given(case=cases())
def test_what_is_absent_is_not_due_or_late_or_missing_by_its_date(case: Case):
    for absence in case.plan()[1]:
        assert absence.scope == case.scope
        for day in days([absence.window]):
            late_until = case.due(day) + LATE_DAYS * DAY
            if absence.reason == "not_published_yet":
                assert case.now < late_until, "seven days after it was due nothing is `not published yet`"
            elif absence.reason == "no_trades":
                assert not case.has_silent_days and case.now >= case.due(day) + DAY
            else:
                assert absence.reason == "file_missing" and case.has_silent_days and case.now >= late_until


@every_case
@given(case=cases())
def test_one_missing_file_costs_its_own_days_only(case: Case):
    """Nobody knows of files that are not listed, or that hold all symbols, whether they are there: days that do not
    need the same files are asked for apart."""
    for job in case.plan()[0] if case.scope == "*" or not case.is_listed else ():
        needed = [{f for f in job.files if touches(f, day)} for day in days([job.window])]
        assert all(files == needed[0] for files in needed)


def test_a_day_of_utc_needs_two_files_of_a_clock_that_is_ahead():
    files = [file(FIRST + n * DAY, FIRST + (n + 1) * DAY, clock=8) for n in range(3)]
    case = Case("X", window(0, 3), [], files, midnight(FIRST + 5 * DAY), clock=8)
    jobs, absences = case.plan()
    # The third day's last eight hours are in a file that is not there.
    assert [(job.window, list(job.files)) for job in jobs] == [(window(0, 2), files)]
    assert [(a.window, a.reason) for a in absences] == [(window(2, 3), "not_published_yet")]


def test_for_one_day_of_a_month_its_own_file_is_enough():
    month, end = date(2024, 2, 1), date(2024, 3, 1)
    files = [file(month, end), *[file(month + n * DAY, month + (n + 1) * DAY) for n in range(29)]]
    for count, taken in ((1, [files[1]]), (2, [files[0]])):
        case = Case("X", Window(month, month + count * DAY), [], files, midnight(month + 60 * DAY))
        assert [list(job.files) for job in case.plan()[0]] == [taken]


def test_after_seven_days_a_late_file_is_a_missing_one():
    due = midnight(FIRST + DAY) + 8 * HOUR
    for now, reason in (
        (due - HOUR, "not_published_yet"),
        (due + LATE_DAYS * DAY - HOUR, "not_published_yet"),
        (due + LATE_DAYS * DAY, "file_missing"),
    ):
        case = Case("X", window(0, 1), [], [file(FIRST - DAY, FIRST)], now)
        assert [absence.reason for absence in case.plan()[1]] == [reason]


def test_a_silent_day_and_a_missing_file_are_told_apart():
    files = [file(FIRST, FIRST + DAY), file(FIRST + 2 * DAY, FIRST + 3 * DAY)]
    case = Case("X", window(0, 3), [], files, midnight(FIRST + 30 * DAY))
    assert [(a.window, a.reason) for a in case.plan()[1]] == [(window(1, 2), "file_missing")]
    silent = Case("X", window(0, 3), [], files, midnight(FIRST + 30 * DAY), has_silent_days=False)
    assert [(a.window, a.reason) for a in silent.plan()[1]] == [(window(1, 2), "no_trades")]


def test_who_trades_no_more_lacks_nothing_after_his_last_file():
    files = [file(FIRST, FIRST + DAY)]
    case = Case("X", window(-3, 9), [], files, midnight(FIRST + 30 * DAY), is_alive=False)
    jobs, absences = case.plan()
    assert [job.window for job in jobs] == [window(0, 1)] and absences == []


def test_a_month_that_nobody_lists_is_not_waited_for_while_its_days_are_there():
    """Files of months and days where they should be: the month's is not due before the month is over."""
    month, end = date(2024, 2, 1), date(2024, 3, 1)
    files = [file(month, end), *[file(month + n * DAY, month + (n + 1) * DAY) for n in range(29)]]
    case = Case("X", Window(month, month + 3 * DAY), [], files, midnight(month + 10 * DAY), is_listed=False)
    jobs, absences = case.plan()
    assert [job.files for job in jobs] == [(one,) for one in files[1:4]] and absences == []
