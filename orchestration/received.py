"""Rows of a body as it was received: those that name a day, in the upstream's own words.

It knows no upstream. A body is JSON, lines of text, or one of these packed as zip or gzip; a row is a JSON array or
object with the day among its values, or a line with the day in one of its cells. A day is written as 2024-01-31 or as
a Unix time of that day in seconds, milliseconds or microseconds.
"""

import gzip
import io
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime

MOST_BYTES = 256 * 2**20
"""of a packed body, unpacked"""
MOST_ROWS = 1_000
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{},:]|[^\s\[\]{},:"]+')


@dataclass(frozen=True)
class ReceivedRow:
    """`place`: member, path or line within the body; `text` as received; `header`: the line that names the cells."""

    place: str
    text: str
    header: str | None = None


def rows_of_day(content: bytes, day: date, series: str | None = None) -> list[ReceivedRow]:
    """The rows that name the day; where some of them also name the series, those alone."""
    found: list[tuple[ReceivedRow, bool]] = []
    for place, text in _texts(content):
        rows = _json_rows if text.lstrip()[:1] in ("[", "{") else _lines
        found += rows(place, text, _Day(day), series)
        if len(found) > MOST_ROWS:
            break
    named = [row for row, is_named in found if is_named]
    return named or [row for row, _ in found]


class _Day:
    """Tells whether a value stands for the day."""

    def __init__(self, day: date):
        self._iso = day.isoformat()
        first = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())
        self._spans = [(first * unit, (first + 86_400) * unit) for unit in (1, 1_000, 1_000_000)]

    def is_named_by(self, value: str) -> bool:
        if value.startswith(self._iso):
            return True
        return value.isdigit() and any(first <= int(value) < last for first, last in self._spans)


def _texts(content: bytes) -> Iterator[tuple[str, str]]:
    if content[:2] == b"\x1f\x8b":
        with gzip.open(io.BytesIO(content)) as file:
            content = file.read(MOST_BYTES)
    if content[:4] == b"PK\x03\x04":
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            for name in packed.namelist():
                with packed.open(name) as file:
                    yield name, file.read(MOST_BYTES).decode("utf-8", "replace")
        return
    yield "", content.decode("utf-8", "replace")


def _lines(place: str, text: str, day: _Day, series: str | None) -> Iterator[tuple[ReceivedRow, bool]]:
    lines = text.splitlines()
    header = lines[0] if lines and not re.match(r"[\d\"-]", lines[0]) else None
    for number, line in enumerate(lines, 1):
        cells = [cell.strip().strip('"') for cell in re.split(r"[,;\t]", line)]
        if any(map(day.is_named_by, cells)):
            yield ReceivedRow(f"{place} line {number}".strip(), line, header), series in cells


def _json_rows(place: str, text: str, day: _Day, series: str | None) -> Iterator[tuple[ReceivedRow, bool]]:
    """Containers with the day among their own values, cut out of the text: reading numbers would change them."""
    stack: list[dict] = []
    name: str | None = None
    awaits_value = False
    for token in _TOKEN.finditer(text):
        word = token[0]
        if word in "[{":
            step = name if awaits_value else f"[{stack[-1]['count']}]" if stack else ""
            stack.append({"start": token.start(), "step": step, "count": 0, "is_day": False, "is_series": False})
            name, awaits_value = None, False
        elif word in "]}":
            if not stack:
                return
            top = stack.pop()
            if top["is_day"]:
                path = ".".join(str(frame["step"]) for frame in [*stack, top] if frame["step"]).replace(".[", "[")
                row = text[top["start"] : token.end()]
                yield ReceivedRow(f"{place} {path}".strip(), row), top["is_series"]
        elif word == ":":
            awaits_value = True
        elif word == ",":
            awaits_value = False
            if stack:
                stack[-1]["count"] += 1
        else:
            value = word.strip('"')
            if stack:
                stack[-1]["is_day"] |= day.is_named_by(value)
                stack[-1]["is_series"] |= value == series
            if not awaits_value:
                name = value
            awaits_value = False
