"""The prompt of `altflow sql`: lines become statements, Ctrl-C ends the query that runs, long results are paged.

Lines come from prompt_toolkit where both ends are a terminal (completion, history, editing over several lines), else
from plain input. What is typed is SQL, or a command that begins with a dot.
"""

import difflib
import pydoc
import re
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from orchestration.commands.results import table, write
from orchestration.commands.terminal import visible
from orchestration.publish import Connection, SqlError

T = TypeVar("T")

HELP = """.tables            the tables and what one row of each is
.describe TABLE    its columns with their meaning
.help              this text
.quit              leave (also Ctrl-D)
Anything else is SQL; end it with ; to run it. Tab completes, Ctrl-C ends a query that runs or drops what was
typed, the arrow keys bring back what was typed before. altflow sql --csv "…" > FILE writes a whole result."""
HISTORY = Path("~/.altflow_history")
MOST_ROWS = 10_000
"""rows of one result that are shown"""


def run(con: Connection, form: str | None = None) -> int:
    """Reads and answers until the end of input. Returns the exit code."""
    print(HELP)
    is_terminal = sys.stdin.isatty() and sys.stdout.isatty()
    for statement in _terminal_statements(con) if is_terminal else _plain_statements():
        if statement.startswith("."):
            if not _command(con, statement):
                return 0
        else:
            _answer(con, statement, form, is_terminal)
    return 0


def _is_whole(text: str) -> bool:
    """Whether what was typed is to be executed: a statement up to its semicolon, a command, nothing."""
    text = text.strip()
    return not text or text.startswith(".") or text.endswith(";")


def _terminal_statements(con: Connection) -> Iterator[str]:
    from prompt_toolkit import PromptSession
    from prompt_toolkit.completion import Completer, Completion
    from prompt_toolkit.filters import Condition
    from prompt_toolkit.history import FileHistory, InMemoryHistory
    from prompt_toolkit.key_binding import KeyBindings

    words = Words(con)

    class Names(Completer):
        def get_completions(self, document, complete_event):
            typed, found = words.complete(document.text_before_cursor)
            for name, kind in found:
                yield Completion(name, start_position=-len(typed), display_meta=kind)

    keys = KeyBindings()

    @keys.add("enter", filter=Condition(lambda: session.default_buffer.complete_state is None))
    def _(event) -> None:
        buffer = event.current_buffer
        if _is_whole(buffer.text):
            buffer.validate_and_handle()
        else:
            buffer.insert_text("\n")

    path = HISTORY.expanduser()
    try:
        path.touch(mode=0o600)
        history = FileHistory(str(path))
    except OSError:
        history = InMemoryHistory()
    session: PromptSession[str] = PromptSession(
        history=history,
        completer=Names(),
        complete_while_typing=False,
        multiline=True,
        key_bindings=keys,
        prompt_continuation="    ...> ",
    )
    while True:
        try:
            text = session.prompt("altflow> ").strip()
        except KeyboardInterrupt:
            continue
        except EOFError:
            return
        if text:
            yield text


def _plain_statements() -> Iterator[str]:
    lines: list[str] = []
    while True:
        try:
            lines.append(input("    ...> " if lines else "altflow> "))
        except KeyboardInterrupt:
            print()
            lines.clear()
            continue
        except EOFError:
            print()
            return
        text = "\n".join(lines).strip()
        if _is_whole(text):
            lines.clear()
            if text:
                yield text


def _command(con: Connection, text: str) -> bool:
    """A command with a dot; False where it ends the prompt."""
    name, _, rest = text.partition(" ")
    name, rest = name.rstrip(";"), rest.strip().rstrip(";").removeprefix("marts.")
    if name in (".quit", ".exit"):
        return False
    if name == ".tables":
        # The first sentence of a comment is the grain.
        _page(table(con, TABLES, _width(), MOST_ROWS))
    elif name == ".describe" and rest:
        known = [row[0] for row in con.execute("SELECT table_name FROM duckdb_tables()").fetchall()]
        if rest in known:
            _page(_described(con, rest))
        else:
            close = difflib.get_close_matches(rest, known, n=3, cutoff=0.4)
            print(visible(f"no table is called {rest}{'; closest: ' + ', '.join(close) if close else ''}"))
    else:
        print(HELP)
    return True


TABLES = """
SELECT table_name, estimated_size AS row_count, regexp_extract(comment, '^[^.]*\\.?') AS grain
FROM duckdb_tables() ORDER BY table_name
"""


def _described(con: Connection, name: str) -> str:
    import textwrap

    comment = con.execute("SELECT comment FROM duckdb_tables() WHERE table_name = ?", [name]).fetchall()[0][0]
    lines = [*textwrap.wrap(comment or "", _width()), ""]
    columns = con.execute(
        "SELECT column_name, data_type, coalesce(comment, '') FROM duckdb_columns() WHERE table_name = ? "
        "ORDER BY column_index",
        [name],
    ).fetchall()
    for column, kind, meaning in columns:
        lines.append(f"{column} {kind.lower()}")
        lines += textwrap.wrap(meaning, _width(), initial_indent="    ", subsequent_indent="    ")
    return visible("\n".join(lines) + "\n")


def _answer(con: Connection, text: str, form: str | None, is_terminal: bool) -> None:
    """Executes what was typed and shows it, with the time that it took; an error is told and survived."""
    started = time.perf_counter()
    try:
        if form:
            count = _interruptibly(con, lambda: write(con, text, form))
            print(f"{count or 0:,} rows in {time.perf_counter() - started:.3f} s", file=sys.stderr)
            return
        drawn = _interruptibly(con, lambda: table(con, text, _width(), MOST_ROWS))
    except KeyboardInterrupt:
        print("interrupted")
        return
    except SqlError as error:
        print(visible(str(error)))
        return
    seconds = time.perf_counter() - started
    if is_terminal:
        _page(drawn)
    else:
        print(drawn, end="")
    print(f"{seconds:.3f} s")


def _interruptibly(con: Connection, work: Callable[[], T]) -> T:
    """Does the work in a thread of its own, so that Ctrl-C can end it. Raises KeyboardInterrupt where it did."""
    done: list[T] = []
    failed: list[BaseException] = []
    # Not join(): cut short by Ctrl-C, it takes the thread for dead.
    finished = threading.Event()

    def do() -> None:
        try:
            done.append(work())
        except BaseException as error:
            failed.append(error)
        finally:
            finished.set()

    threading.Thread(target=do, daemon=True).start()
    interrupted = False
    while not finished.is_set():
        try:
            finished.wait(0.1)
        except KeyboardInterrupt:
            interrupted = True
            con.interrupt()
    if interrupted and failed:
        raise KeyboardInterrupt
    if failed:
        raise failed[0]
    return done[0]


def _page(text: str) -> None:
    if text.count("\n") < shutil.get_terminal_size().lines - 2:
        print(text, end="")
    else:
        pydoc.pager(text)


def _width() -> int:
    return max(60, shutil.get_terminal_size().columns)


class Words:
    """What can be typed: tables, their columns, macros, functions and keywords of the snapshot."""

    def __init__(self, con: Connection):
        self.columns: dict[str, list[str]] = {}
        for name, column in con.execute(
            "SELECT table_name, column_name FROM duckdb_columns() WHERE database_name = current_database() "
            "AND schema_name = 'main' ORDER BY table_name, column_index"
        ).fetchall():
            self.columns.setdefault(name, []).append(column)
        functions = con.execute(
            "SELECT DISTINCT function_name, function_type FROM duckdb_functions() "
            "WHERE NOT internal OR regexp_full_match(function_name, '[a-z_]+') ORDER BY 1"
        ).fetchall()
        self.macros = [name for name, kind in functions if kind == "table_macro" and not name.startswith("pragma")]
        self.functions = sorted({name for name, kind in functions if kind in ("scalar", "aggregate", "macro")})
        words = con.execute("SELECT keyword_name FROM duckdb_keywords() ORDER BY 1").fetchall()
        self.keywords = [name for (name,) in words]

    def complete(self, text: str) -> tuple[str, list[tuple[str, str]]]:
        """The word that is being typed, and what it may become: name and what that is."""
        typed: str = re.findall(r"[\w.]*$", text)[0]
        if text.startswith("."):
            command = re.match(r"\.describe\s+(\w*)$", text)
            if command:
                return command[1], self._among(command[1], self.columns, "table")
            return text, self._among(text, [".tables", ".describe ", ".help", ".quit"], "command")
        if "." in typed:
            owner, _, typed = typed.rpartition(".")
            aliases = self._aliases(text)
            return typed, self._among(typed, self.columns.get(aliases.get(owner, owner), []), "column")
        if re.search(r"\b(from|join|describe|summarize)\s+[\w.]*$", text, re.IGNORECASE):
            return typed, [*self._among(typed, self.columns, "table"), *self._among(typed, self.macros, "macro")]
        named = [name for name in self.columns if re.search(rf"\b{name}\b", text)]
        own = dict.fromkeys(column for name in named or self.columns for column in self.columns[name])
        return typed, [
            *(self._among(typed, own, "column") if named or typed else []),
            *self._among(typed, self.columns, "table"),
            *self._among(typed, self.macros, "macro"),
            *(self._among(typed, self.functions, "function") if typed else []),
            *(self._among(typed, self.keywords, "keyword") if typed else []),
        ]

    def _aliases(self, text: str) -> dict[str, str]:
        pairs: list[tuple[str, str]] = re.findall(
            r"\b(?:from|join)\s+(?:marts\.)?(\w+)\s+(?:as\s+)?(\w+)", text, re.IGNORECASE
        )
        return {alias: name for name, alias in pairs if name in self.columns}

    @staticmethod
    def _among(typed: str, names: Iterable[str], kind: str) -> list[tuple[str, str]]:
        return [(name, kind) for name in names if name.lower().startswith(typed.lower())]
