"""What passes between an upstream and the raw tables: windows, bodies, parsed rows, errors."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cached_property
from typing import TypeVar

import pyarrow as pa

T = TypeVar("T")


@dataclass(frozen=True)
class Window:
    """UTC days [start, end)."""

    start: date
    end: date

    def __str__(self) -> str:
        return f"[{self.start}, {self.end})"


@dataclass(frozen=True)
class Body:
    """One answer as received. `context` holds what the request knew and the body does not say
    (symbol, window, server time): text only, kept in the archive beside the body."""

    upstream: str
    dataset: str
    url: str
    status: int
    fetched_at: datetime
    content: bytes
    context: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    @cached_property
    def data(self):
        """The content read as JSON. Raises SourceError where it is not JSON."""
        try:
            return json.loads(self.content)
        except (ValueError, RecursionError) as error:
            raise SourceError(f"{self.url}: not JSON ({str(error)[:100]})", content=self.content) from None

    def once(self, read: Callable[["Body"], T]) -> T:
        """What `read` makes of this body, kept until `forget`."""
        kept = self.__dict__.setdefault("_kept", {})
        if read not in kept:
            kept[read] = read(self)
        return kept[read]

    def forget(self) -> None:
        """Frees what `data` and `once` keep; it is read again when asked for."""
        self.__dict__.pop("data", None)
        self.__dict__.pop("_kept", None)

    @cached_property
    def data_as_text(self):
        """The content read as JSON with every number kept as the text received: exact, and NaN shows."""
        try:
            return json.loads(self.content, parse_float=str, parse_int=str, parse_constant=str)
        except (ValueError, RecursionError) as error:
            raise SourceError(f"{self.url}: not JSON ({str(error)[:100]})", content=self.content) from None


@dataclass(frozen=True)
class Refused:
    """One row that is kept out of its table; `row` is its text, `day` its UTC day where known."""

    table: str
    key: str
    reason: str
    row: str
    body_sha256: str
    day: date | None = None

    def __post_init__(self) -> None:
        for name in ("key", "reason", "row"):
            object.__setattr__(self, name, _storable(getattr(self, name)))


@dataclass
class Parsed:
    """Tables of one body or several, by the name of their record; cells rounded to 12 decimals; rows refused.

    Raises SourceError where a column lacks a value that its record says is always there."""

    tables: dict[str, pa.Table]
    rounded_count: int = 0
    refused: list[Refused] = field(default_factory=list)

    def __post_init__(self) -> None:
        for name, table in self.tables.items():
            if lacks := lacking(table):
                raise SourceError(f"{name}: rows of the answer lack {lacks}")


def lacking(table: pa.Table) -> str | None:
    """A column that has no NULL by its schema, and has one; None where there is none."""
    for column, cells in zip(table.schema, table.columns, strict=True):
        if not column.nullable and cells.null_count:
            return column.name
    return None


def _storable(text: str) -> str:
    """What quotes an upstream: JSON can hold halves of characters that no database takes."""
    return text.encode("utf-8", "replace").decode()


def distinct(rows: list) -> list:
    """The rows without those that repeat another to the letter."""
    return list({json.dumps(row): row for row in rows}.values())


class SourceError(Exception):
    """An upstream did not deliver. The message says what was asked, what came and what to do next.

    `reason` is one of the coverage reasons: failed, out_of_reach, not_published_yet."""

    def __init__(self, message: str, reason: str = "failed", status: int | None = None, content: bytes = b""):
        super().__init__(_storable(message))
        self.reason = reason
        self.status = status
        self.content = content


class Absent(SourceError):
    """The upstream has nothing there, or nothing yet, or not so far back: coverage, not a gap of the run.

    `reason` is one of not_published_yet, file_missing, out_of_reach."""
