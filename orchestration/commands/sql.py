"""`altflow sql`: SQL on the published snapshot, as a table, CSV or JSON, or at a prompt."""

import argparse
import sys

from orchestration.commands import FAILED
from orchestration.commands.results import write
from orchestration.commands.terminal import visible
from orchestration.publish import Connection, NothingPublished, SqlError, open_published
from orchestration.settings import load_for_reading


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
            from orchestration.commands import prompt

            return prompt.run(con, args.form)
        query = sys.stdin.read() if args.query in (None, "-") else args.query
        return _show(con, query, args.form)


def _show(con: Connection, query: str, form: str | None) -> int:
    """All statements of the text, one after the other; the first error ends it."""
    try:
        for statement in con.extract_statements(query):
            write(con, statement.query, form)
        return 0
    except SqlError as error:
        print(f"altflow sql: {visible(str(error))}", file=sys.stderr)
        return FAILED
