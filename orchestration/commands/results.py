"""Rows of a query as a table, CSV or JSON: exact, and safe for whoever opens them."""

import contextlib
import io
import json
import math
import sys
from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, TextIO

from orchestration.commands.terminal import visible
from orchestration.publish import Connection

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""what spreadsheets take for the beginning of a formula, the full-width forms included"""


def write(con: Connection, query: str, form: str | None, max_width: int = 200, max_rows: int = 100) -> int | None:
    """Executes one statement and prints its rows: `csv`, `json`, or a table of at most `max_rows`. Returns how many
    rows were written; None where a table was shown, which says so itself."""
    if form is None:
        print(table(con, query, max_width, max_rows), end="")
        return None
    cursor = con.execute(query)
    names = _distinct([column[0] for column in cursor.description or []])
    return _write_csv(cursor, names, sys.stdout) if form == "csv" else _write_json(cursor, names, sys.stdout)


def table(con: Connection, query: str, max_width: int, max_rows: int) -> str:
    """The rows as DuckDB draws them, nothing in them left for the terminal to obey; empty where there are none."""
    relation = con.sql(query)
    if relation is None:
        return ""
    drawn = io.StringIO()
    with contextlib.redirect_stdout(drawn):
        relation.show(max_width=max_width, max_rows=max_rows)
    return visible(drawn.getvalue())


def _write_csv(cursor: Connection, names: Sequence[str], out: TextIO) -> int:
    count, shown = 0, visible if out.isatty() else str
    out.write(",".join(_quoted(shown(safe_cell(name))) for name in names) + "\n")
    while rows := cursor.fetchmany(10_000):
        count += len(rows)
        for row in rows:
            cells = ["" if value is None else _quoted(shown(safe_cell(value))) for value in row]
            out.write((",".join(cells) or '""') + "\n")
    return count


def _quoted(cell: str) -> str:
    """Also where a lone carriage return would begin a new line, which Python's csv leaves open before lines that end
    with a line feed alone."""
    return '"' + cell.replace('"', '""') + '"' if set(cell) & set(',"\r\n') else cell


def _write_json(cursor: Connection, names: Sequence[str], out: TextIO) -> int:
    """One array, a row per line, written as it comes."""
    count = 0
    out.write("[")
    while rows := cursor.fetchmany(10_000):
        for row in rows:
            values = dict(zip(names, map(plain, row), strict=True))
            out.write(",\n " if count else "\n ")
            json.dump(values, out, ensure_ascii=out.isatty(), allow_nan=False)
            count += 1
    out.write("\n]\n" if count else "]\n")
    return count


def plain(value: Any) -> Any:
    """What JSON can hold: decimals keep their digits as text, days and times their ISO form, NaN its name."""
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, (date, datetime)):
        return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(inner) for inner in value]
    return value if value is None or isinstance(value, (str, int, float)) else str(value)


def safe_cell(value: Any) -> str:
    """One cell of a CSV file. Text that a spreadsheet would run as a formula gets an apostrophe before it; numbers,
    and text that is nothing but a number, stay."""
    if not isinstance(value, str):
        inner = plain(value)
        return json.dumps(inner, ensure_ascii=False) if isinstance(inner, (dict, list)) else str(inner)
    return f"'{value}" if value.lstrip(" ").startswith(FORMULA) and not _is_number(value) else value


def _is_number(text: str) -> bool:
    return text.strip(" ").removeprefix("-").replace(".", "", 1).isdecimal() and text.isascii()


def _distinct(names: Sequence[str]) -> list[str]:
    """`a`, `a` become `a`, `a_2`: a JSON object would keep only one of them."""
    found: list[str] = []
    for name in names:
        number, free = 1, name
        while free in found:
            number += 1
            free = f"{name}_{number}"
        found.append(free)
    return found
