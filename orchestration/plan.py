"""What to ask an exchange for: the fewest windows that close the gap between what was wanted and what
was answered, and the last days once more, because exchanges restate them."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta

from orchestration.sources.body import Window

REPULL_DAYS = 7
WEEKLY_REPULL_DAYS = 35


@dataclass(frozen=True)
class Symbol:
    """What is known of one symbol: the newest listing and the last stored bar."""

    name: str
    is_trading: bool
    last_bar: date | None = None


def missing(wanted: Window, answered: Iterable[Window]) -> list[Window]:
    """The parts of `wanted` that no answered window covers, oldest first."""
    parts: list[Window] = []
    start = wanted.start
    for window in sorted((w for w in answered if w.start < w.end), key=lambda w: w.start):
        if window.start > start:
            parts.append(Window(start, min(window.start, wanted.end)))
        start = max(start, window.end)
        if start >= wanted.end:
            break
    if start < wanted.end:
        parts.append(Window(start, wanted.end))
    return [part for part in parts if part.start < part.end]


def repull_days(reached: date | None, end: date) -> int:
    """How many of the days before `end` are asked for again: 7, or 35 where what was answered ends (`reached`,
    excluded) in an earlier week, Monday to Sunday in UTC. So the first run of a week looks further back, without a
    memory of its own; one request holds a hundred days and more, so it asks no oftener."""
    is_new_week = reached is not None and _monday(reached) < _monday(end)
    return WEEKLY_REPULL_DAYS if is_new_week else REPULL_DAYS


def _monday(day: date) -> date:
    return day - timedelta(days=day.weekday())


def to_ask(symbol: Symbol, wanted: Window, answered: list[Window], again_days: int | None = None) -> list[Window]:
    """Windows to ask for one symbol: what is missing, joined with the last `again_days` (None: `repull_days`).

    A symbol that no longer trades is left alone once the exchange has answered for more than
    REPULL_DAYS after its last bar."""
    if not symbol.is_trading and answered:
        silent_from = (symbol.last_bar or date.min) + timedelta(days=1)
        reached = max(window.end for window in answered)
        if reached > silent_from + timedelta(days=REPULL_DAYS):
            return missing(Window(wanted.start, min(wanted.end, reached)), answered)
    if again_days is None:
        again_days = repull_days(max((window.end for window in answered), default=None), wanted.end)
    again = Window(max(wanted.start, wanted.end - timedelta(days=again_days)), wanted.end)
    return _joined([*missing(wanted, answered), again])


def parts(window: Window, most_days: int | None) -> list[Window]:
    """The window in pieces of so many days, the last one shorter; None: whole."""
    pieces = [window]
    while most_days and (pieces[-1].end - pieces[-1].start).days > most_days:
        last = pieces.pop()
        middle = last.start + timedelta(days=most_days)
        pieces += [Window(last.start, middle), Window(middle, last.end)]
    return pieces


def _joined(windows: list[Window]) -> list[Window]:
    joined: list[Window] = []
    for window in sorted((w for w in windows if w.start < w.end), key=lambda w: w.start):
        if joined and window.start <= joined[-1].end:
            joined[-1] = Window(joined[-1].start, max(joined[-1].end, window.end))
        else:
            joined.append(window)
    return joined
