"""`altflow sql`: SQL on the published snapshot, as a table, CSV or JSON, or at a prompt."""

import argparse
import csv
import json
import sys
from datetime import date, datetime
from decimal import Decimal

from orchestration.commands import FAILED
from orchestration.publish import Connection, NothingPublished, SqlError, open_published
from orchestration.settings import load_for_reading

PROMPT_HELP = """.tables            the tables and what one row of each is
.describe TABLE    its columns with their meaning
.quit              leave (also Ctrl-D)
Anything else is SQL; end it with ; to run it."""


def main(args: argparse.Namespace) -> int:
    try:
        con = open_published(load_for_reading(args.source))
    except NothingPublished as error:
        print(f"altflow sql: {error}", file=sys.stderr)
        return FAILED
    with con:
        if con.execute("SELECT synthetic FROM run_info").fetchall() == [(True,)]:
            print("-- SYNTHETIC: a generated market; none of these figures is real", file=sys.stderr)
        if args.query is None and sys.stdin.isatty():
            return _prompt(con)
        query = sys.stdin.read() if args.query in (None, "-") else args.query
        return _show(con, query, args.form)


def _show(con: Connection, query: str, form: str | None, parameters: list[str] | None = None) -> int:
    try:
        if form is None:
            relation = con.sql(query, params=parameters)
            if relation is not None:
                relation.show(max_width=200, max_rows=100)
            return 0
        cursor = con.execute(query)
        names = [column[0] for column in cursor.description or []]
        if form == "csv":
            writer = csv.writer(sys.stdout, lineterminator="\n")
            writer.writerow(names)
            while rows := cursor.fetchmany(10_000):
                writer.writerows([[_safe_cell(_plain(value)) for value in row] for row in rows])
        else:
            rows = [dict(zip(names, map(_plain, row), strict=True)) for row in cursor.fetchall()]
            json.dump(rows, sys.stdout, ensure_ascii=False, default=str)
            print()
        return 0
    except SqlError as error:
        print(f"altflow sql: {error}", file=sys.stderr)
        return FAILED


def _plain(value: object) -> object:
    """Decimals keep their digits as text, days and times their ISO form."""
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, (date, datetime)):
        return value.isoformat()
    return value


def _safe_cell(value: object) -> object:
    """Text that a spreadsheet would run as a formula is quoted with an apostrophe."""
    if isinstance(value, str) and value[:1] in ("=", "+", "@", "\t", "\r"):
        return f"'{value}"
    if isinstance(value, str) and value[:1] == "-" and not value[1:2].isdigit():
        return f"'{value}"
    return value


def _prompt(con: Connection) -> int:
    import contextlib

    with contextlib.suppress(ImportError):
        import readline  # noqa: F401 - line editing and history for input()
    print(PROMPT_HELP)
    statement = ""
    while True:
        try:
            line = input("altflow> " if not statement else "    ...> ")
        except EOFError:
            print()
            return 0
        except KeyboardInterrupt:
            print()
            statement = ""
            continue
        command, _, rest = line.strip().partition(" ")
        if not statement and command.startswith("."):
            if command in (".quit", ".exit"):
                return 0
            if command == ".tables":
                _show(
                    con, "SELECT table_name, estimated_size AS row_count, comment FROM duckdb_tables() ORDER BY 1", None
                )
            elif command == ".describe" and rest:
                _show(
                    con,
                    "SELECT column_name, data_type, comment FROM duckdb_columns() "
                    "WHERE table_name = ? ORDER BY column_index",
                    None,
                    [rest.strip()],
                )
            else:
                print(PROMPT_HELP)
            continue
        statement = f"{statement}\n{line}" if statement else line
        if statement.rstrip().endswith(";"):
            _show(con, statement, None)
            statement = ""
        elif not statement.strip():
            statement = ""
