"""What to ask an exchange for: the fewest windows that close the gap between what was wanted and what
was answered, and the last days once more, because exchanges restate them."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta

from orchestration.sources.body import Window

REPULL_DAYS = 7


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


def to_ask(symbol: Symbol, wanted: Window, answered: list[Window], repull_days: int = REPULL_DAYS) -> list[Window]:
    """Windows to ask for one symbol: what is missing, joined with the last `repull_days`.

    A symbol that no longer trades is left alone once the exchange has answered for more than
    REPULL_DAYS after its last bar."""
    if not symbol.is_trading and answered:
        silent_from = (symbol.last_bar or date.min) + timedelta(days=1)
        reached = max(window.end for window in answered)
        if reached > silent_from + timedelta(days=REPULL_DAYS):
            return missing(Window(wanted.start, min(wanted.end, reached)), answered)
    again = Window(max(wanted.start, wanted.end - timedelta(days=repull_days)), wanted.end)
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
