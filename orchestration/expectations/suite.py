"""What a suite is: plain data, readable and importable without Great Expectations.

A suite names the table, its grain and what must hold of it. Every expectation says why it is there,
whether its failure is nonsense (`critical`) or news (`warning`), and whether it can point at rows.
`validate` turns a suite into Great Expectations and runs it.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

    from orchestration.records import Record

CRITICAL = "critical"
WARNING = "warning"

WINDOW_START = "$window_start"
WINDOW_END = "$window_end"

FIRST_DAY = date(2009, 1, 3)
LAST_DAY = date(2100, 1, 1)

# Not a list of what is allowed: exchanges do list symbols in Chinese. No space or invisible character, quote,
# backslash, semicolon or angle bracket; no `..`, which would climb out of a folder. Spelt out, since with `\s` or
# `\w` pandas leaves Arrow's regular expressions for Python's, row by row.
SPACES = r"\x00-\x20\x7f\x85\xa0" + "\u1680\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ufeff"
UNSAFE_TEXT = rf"""[{SPACES}'"`\\;<>]|\.\.|^$"""
UNSAFE_KEY = r"[^a-z0-9_]|^$"
UNSAFE_WORD = r"[^0-9A-Za-z_-]|^$"
BLANK = rf"^[{SPACES}]*$"
NOT_A_SHA256 = r"[^0-9a-f]|^.{0,63}$|^.{65,}$"


@dataclass(frozen=True)
class Expect:
    """One expectation. `name`: class in `great_expectations.expectations`; `check`: number in the list of
    data checks; `row_level`: a failure names its rows; `shows`: columns that explain a failing row."""

    name: str
    kwargs: Mapping[str, Any]
    why: str
    severity: str = CRITICAL
    check: str = ""
    row_level: bool = True
    shows: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the prepared frame that the expectation reads."""
        named = [self.kwargs[key] for key in ("column", "column_A", "column_B") if key in self.kwargs]
        return (*named, *self.kwargs.get("column_list", ()))

    @property
    def needs_window(self) -> bool:
        return any(value in (WINDOW_START, WINDOW_END) for value in self.kwargs.values() if isinstance(value, str))


@dataclass(frozen=True)
class Suite:
    """What must hold of one table. `name`: schema and table joined by `_`, also the name of the module.
    `columns`: what the frame must have. `prepare` adds helper columns, computed exactly in Arrow."""

    name: str
    title: str
    columns: tuple[str, ...]
    grain: tuple[str, ...]
    expectations: tuple[Expect, ...]
    prepare: Callable[["pa.Table"], "pa.Table"] | None = field(default=None, repr=False)


def raw_suite(
    record: "Record",
    prepare: Callable[["pa.Table"], "pa.Table"] | None,
    *expectations: Expect,
    first_day: date = FIRST_DAY,
) -> Suite:
    """The suite of a fetched window: what the record promises, then `expectations`."""
    promised = [
        not_null(column.name, f"{record.table}.{column.name} is {column.metadata[b'description'].decode()}; never NULL")
        for column in record.schema
        if not column.nullable
    ]
    if record.date:
        promised += [
            sane_date(record.date, first_day),
            Expect(
                "ExpectColumnValuesToBeBetween",
                {"column": record.date, "min_value": WINDOW_START, "max_value": WINDOW_END, "strict_max": True},
                why="An answer holds days of the window that was asked for and no others.",
                check="R5",
            ),
        ]
    promised.append(
        unlike("body_sha256", NOT_A_SHA256, "A row that names no archived body cannot be traced.", check="R1")
    )
    return Suite(
        name=f"raw_{record.table}",
        title=record.description,
        columns=tuple(record.schema.names),
        grain=record.grain,
        expectations=(*promised, *expectations),
        prepare=prepare,
    )


def table_suite(
    name: str,
    title: str,
    columns: Iterable[str],
    grain: Iterable[str],
    *expectations: Expect,
    prepare: Callable[["pa.Table"], "pa.Table"] | None = None,
) -> Suite:
    """The suite of a mart or of a relation in `quality`: it has rows, its keys are filled, then `expectations`."""
    keys = tuple(grain)
    filled = [not_null(column, f"{column} is part of the grain.") for column in keys]
    rows = row_count("A relation without rows proves nothing.", least=1)
    return Suite(name, title, tuple(columns), keys, (rows, *filled, *expectations), prepare)


def not_null(column: str, why: str, **options) -> Expect:
    return Expect("ExpectColumnValuesToNotBeNull", {"column": column}, why, **options)


def between(column: str, least: Any, most: Any, why: str, *, above: bool = False, **options) -> Expect:
    """`least` ≤ column ≤ `most`, both optional; with `above`, `least` itself fails. NULL passes."""
    limits = {"min_value": least, "max_value": most, "strict_min": above or None}
    kwargs = {"column": column} | {name: value for name, value in limits.items() if value is not None}
    return Expect("ExpectColumnValuesToBeBetween", kwargs, why, **options)


def sane_date(column: str, first: date = FIRST_DAY, **options) -> Expect:
    return between(
        column,
        first,
        LAST_DAY,
        f"Before {first:%Y-%m-%d} or after {LAST_DAY:%Y}: seconds, milliseconds or microseconds were mixed up.",
        check="R5",
        **options,
    )


def one_of(column: str, values: Iterable[Any], why: str, **options) -> Expect:
    return Expect("ExpectColumnValuesToBeInSet", {"column": column, "value_set": list(values)}, why, **options)


def unlike(column: str, regex: str, why: str, **options) -> Expect:
    return Expect("ExpectColumnValuesToNotMatchRegex", {"column": column, "regex": regex}, why, **options)


def holds(column: str, shows: Iterable[str], why: str, **options) -> Expect:
    """The helper column `column` is true; NULL means that there was nothing to compare."""
    return Expect(
        "ExpectColumnValuesToBeInSet", {"column": column, "value_set": [True]}, why, shows=tuple(shows), **options
    )


def row_count(why: str, least: int | None = None, most: int | None = None, **options) -> Expect:
    return Expect(
        "ExpectTableRowCountToBeBetween", {"min_value": least, "max_value": most}, why, row_level=False, **options
    )


Window = tuple[date, date]
