"""`altflow sql`: the prompt on a real terminal, and results that are safe for whoever opens them."""

import csv
import io
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from orchestration.commands.prompt import Words
from orchestration.commands.results import safe_cell, write
from orchestration.commands.terminal import visible
from tests.commandline import ROOT, altflow, environment

HOSTILE = [
    "=1+1",
    "+1+1",
    "-1+1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "<img src=x onerror=alert(1)>",
    "quo\"te's, and commas",
    "\u202egnp.exe",
    "\x1b]0;title\x07\x1b[31mred",
    "\x9b31mred",
]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A published file with names that somebody chose with care."""
    data = tmp_path_factory.mktemp("snapshot")
    (data / "published").mkdir()
    with duckdb.connect(str(data / "published" / "marts.duckdb")) as con:
        con.execute("CREATE TABLE run_info AS SELECT 'r' AS run_id, false AS synthetic")
        con.execute("CREATE TABLE daily_flows (symbol VARCHAR, utc_date DATE, net_usd DECIMAL(38, 8))")
        con.execute("COMMENT ON TABLE daily_flows IS 'One row per symbol. And more.'")
        con.execute("COMMENT ON COLUMN daily_flows.net_usd IS 'Buys less sells.'")
        con.executemany("INSERT INTO daily_flows VALUES (?, DATE '2025-06-14', -1.5)", [[name] for name in HOSTILE])
        con.execute("CREATE MACRO flow_of(name) AS TABLE SELECT * FROM daily_flows WHERE symbol = name")
    return data


# --- results


@pytest.mark.parametrize("name", HOSTILE[:6] + ["\uff1d1+1", "  =1", "-"])
def test_no_cell_begins_a_formula(name: str):
    assert safe_cell(name) == f"'{name}"


@pytest.mark.parametrize("value", ["-1.5", "SOLUSDT", -1.5, -7, "a=1", ""])
def test_numbers_and_words_stay(value):
    assert safe_cell(value) == str(value)


def test_csv_holds_every_name_and_runs_none(data: Path, capsys: pytest.CaptureFixture[str]):
    with duckdb.connect(str(data / "published" / "marts.duckdb"), read_only=True) as con:
        assert write(con, 'select symbol as "=symbol", net_usd from daily_flows', "csv") == len(HOSTILE)
    rows = list(csv.reader(io.StringIO(capsys.readouterr().out, newline="")))
    assert rows[0] == ["'=symbol", "net_usd"]
    assert [row[1] for row in rows[1:]] == ["-1.50000000"] * len(HOSTILE)
    assert [row[0].removeprefix("'") for row in rows[1:]] == HOSTILE
    assert not [row for row in rows if row[0].lstrip(" ").startswith(tuple("=+-@\t\r"))]


def test_json_keeps_every_name_to_the_letter(data: Path, capsys: pytest.CaptureFixture[str]):
    with duckdb.connect(str(data / "published" / "marts.duckdb"), read_only=True) as con:
        write(con, "select symbol, net_usd, 'nan'::double as x, [net_usd] as x from daily_flows", "json")
    rows = json.loads(capsys.readouterr().out)
    assert rows[0] == {"symbol": "=1+1", "net_usd": "-1.50000000", "x": "nan", "x_2": ["-1.50000000"]}
    assert [row["symbol"] for row in rows] == HOSTILE


def test_a_table_gives_the_terminal_nothing_to_obey(data: Path):
    done = altflow("sql", 'from daily_flows; select symbol as "\x1b[2J\u202e" from daily_flows', data=data)
    assert done.returncode == 0, done.stderr
    assert "<img src=x onerror=alert(1)>" in done.stdout and "\\u202egnp.exe" in done.stdout
    assert visible(done.stdout) == done.stdout
    wrong = altflow("sql", "select \x1b[31m", data=data)
    assert wrong.returncode == 1 and "\x1b" not in wrong.stderr and "Parser Error" in wrong.stderr


# --- the prompt


class Terminal:
    """A child on a pseudo-terminal."""

    def __init__(self, *arguments: str, data: Path, home: Path):
        self.master, slave = pty.openpty()
        self.seen = ""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "orchestration", *arguments],
            cwd=ROOT,
            env=environment(data) | {"HOME": str(home), "TERM": "xterm", "PROMPT_TOOLKIT_NO_CPR": "1", "PAGER": "cat"},
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            # Whoever starts the tests in the background ignores Ctrl-C, and children inherit that.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
        os.close(slave)

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    def wait_for(self, pattern: str, seconds: float = 30) -> str:
        """Reads until the pattern appears; returns what came before and with it, escape sequences taken out."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if select.select([self.master], [], [], 0.2)[0]:
                try:
                    self.seen += os.read(self.master, 65_536).decode("utf-8", "replace")
                except OSError:
                    break
            plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", self.seen)
            if found := re.search(pattern, plain):
                self.seen = plain[found.end() :]
                return plain[: found.end()]
        raise AssertionError(f"{pattern!r} did not appear in:\n{self.seen[-3000:]}")


@pytest.fixture(scope="module")
def terminal(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terminal]:
    home = tmp_path_factory.mktemp("home")
    terminal = Terminal("sql", data=data, home=home)
    try:
        yield terminal
        terminal.type(".quit\r")
        assert terminal.process.wait(timeout=60) == 0
    finally:
        terminal.process.kill()
    assert "select 40" in (home / ".altflow_history").read_text()


def test_the_prompt_answers_over_several_lines_and_completes(terminal: Terminal):
    terminal.wait_for(r"\.describe TABLE[\s\S]*altflow>")
    terminal.type("select 40 + 2\ras answer;\r")
    shown = terminal.wait_for(r"\d\.\d+ s\r?\n")
    assert "42" in shown and "answer" in shown and "...>" in shown
    terminal.type("select net_usd from daily_f\t")
    terminal.wait_for("daily_flows")
    terminal.type(" where symbol = '=1+1';\r")
    assert "-1.50000000" in terminal.wait_for(r"\d\.\d+ s\r?\n")


def test_the_prompt_tells_of_tables_and_survives_errors(terminal: Terminal):
    terminal.type(".tables\r")
    assert "One row per symbol." in terminal.wait_for("run_info")
    terminal.type(".describe daily_flow\r")
    terminal.wait_for("no table is called daily_flow; closest: daily_flows")
    terminal.type(".describe daily_flows\r")
    terminal.wait_for("Buys less sells.")
    terminal.type("select nothing;\r")
    terminal.wait_for("Binder Error")
    terminal.type("select symbol from daily_flows;\r")
    shown = terminal.wait_for(r"\d\.\d+ s\r?\n")
    assert "\\u202e" in shown and "\u202e" not in shown and "\x9b" not in shown


def test_ctrl_c_ends_the_query_and_not_the_prompt(terminal: Terminal):
    terminal.type("select count(*) from range(100000000000) a, range(1000) b;\r")
    terminal.wait_for(r"b;\s*\n")
    time.sleep(0.5)
    terminal.process.send_signal(signal.SIGINT)
    terminal.wait_for("interrupted")
    terminal.type("select 6 * 7 as still_there;\r")
    assert "42" in terminal.wait_for(r"\d\.\d+ s\r?\n")


def test_without_a_terminal_statements_come_from_standard_input(data: Path):
    done = subprocess.run(
        [sys.executable, "-m", "orchestration", "sql", "--csv"],
        cwd=ROOT,
        env=environment(data),
        input="select 1 as a; select 2 as b;",
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (0, "a\n1\nb\n2\n")


def test_completion_knows_where_it_is(data: Path):
    with duckdb.connect(str(data / "published" / "marts.duckdb"), read_only=True) as con:
        words = Words(con)
    assert words.complete("select * from dai") == ("dai", [("daily_flows", "table")])
    assert words.complete("from flow_") == ("flow_", [("flow_of", "macro")])
    assert words.complete("select f.net from daily_flows f where f.ut")[1] == [("utc_date", "column")]
    assert words.complete("from daily_flows where sym")[1][0] == ("symbol", "column")
    assert ("select", "keyword") in words.complete("sele")[1]
    assert words.complete(".des")[1] == [(".describe ", "command")]
    assert words.complete(".describe run")[1] == [("run_info", "table")]
