"""Writes the answers into docs/analysts.md: what each of its queries prints on the recorded market.

    python docs/make_answers.py DATA_DIR      a data folder of `altflow run --source recorded --end 2025-06-14`

A block of SQL that is followed by a block of text is a question with its answer. A test runs them all.
"""

import re
import sys
from decimal import Decimal
from pathlib import Path

import duckdb

PAGE = Path(__file__).with_name("analysts.md")
QUESTION = re.compile(r"(```sql\n(.*?)```\n\n```text\n)(.*?)(```)", re.DOTALL)


def answered(page: str, con: duckdb.DuckDBPyConnection) -> str:
    """The page with the answers that this snapshot gives."""
    return QUESTION.sub(lambda found: found[1] + answer(con, found[2]) + found[4], page)


def answer(con: duckdb.DuckDBPyConnection, query: str) -> str:
    """The rows of a query in columns as wide as they need; numbers to the right, NULL by name."""
    cursor = con.execute(query)
    names = [column[0] for column in cursor.description or []]
    rows = cursor.fetchall()
    columns = []
    for name, *values in zip(names, *rows, strict=True):
        cells = ["NULL" if value is None else _text(value) for value in values]
        width = max(map(len, [name, *cells]))
        is_number = any(isinstance(value, (int, float, Decimal)) for value in values)
        columns.append([cell.rjust(width) if is_number else cell.ljust(width) for cell in (name, *cells)])
    return "".join("  ".join(line).rstrip() + "\n" for line in zip(*columns, strict=True))


def _text(value: object) -> str:
    if isinstance(value, Decimal):
        return f"{value:,f}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


if __name__ == "__main__":
    with duckdb.connect(f"{sys.argv[1]}/published/marts.duckdb", read_only=True) as snapshot:
        PAGE.write_text(answered(PAGE.read_text(), snapshot))
