"""Killed at any moment and run again, the tables end up as after one clean run; two runs never write at once.

What takes whole runs is in `make chaos`: it kills at every named moment and at six random ones.
"""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from orchestration.warehouse import Lock
from tests.commandline import ROOT, altflow, differences, environment, small_market

SEED = 20261122
END = "2026-11-20"
RUN = ("run", "--source", "sandbox", "--end", END, "--quiet")

MOMENTS = {
    "between fetch and commit": """
from orchestration.warehouse import Warehouse
commit = Warehouse.replace_window
def die(self, delivery, run_id, *beside):
    if delivery.record.table == "spot_flows": kill()
    return commit(self, delivery, run_id, *beside)
Warehouse.replace_window = die
""",
    "inside the raw transaction": """
from orchestration import warehouse
note = warehouse._note_asked
def die(con, delivery, record, now):
    note(con, delivery, record, now)
    if record.table == "spot_flows": kill()
warehouse._note_asked = die
""",
    "between two tables of one answer": """
from orchestration import warehouse
replace = warehouse._replace
def die(con, delivery, run_id, now):
    if delivery.record.table == "spot_trade_screens": kill()
    return replace(con, delivery, run_id, now)
warehouse._replace = die
""",
    "between the raw commit and dbt": """
from orchestration.defs import transform
transform._dbt = lambda *arguments: kill()
""",
    "during dbt": """
from orchestration.commands.progress_bar import ProgressBar
show = ProgressBar.__call__
def die(self, what, done, total):
    if what == "dbt" and done == 40: kill()
    show(self, what, done, total)
ProgressBar.__call__ = die
""",
    "before the published file is put in place": """
from orchestration import publish
publish._swap_database = lambda *arguments: kill()
""",
    "between the published file and its Parquet": """
from orchestration import publish
publish._swap_parquet = lambda *arguments: kill()
""",
    "before the headlines are noted": """
from orchestration import publish
note, calls = publish.note_headlines, []
def die(*arguments):
    calls.append(1)
    if len(calls) == 2: kill()
    return note(*arguments)
publish.note_headlines = die
""",
}

KILLED = """
import os, signal, sys
def kill(): os.kill(os.getpid(), signal.SIGKILL)
{moment}
from orchestration.cli import main
sys.exit(main({arguments!r}))
"""


@pytest.fixture(scope="module")
def upstreams():
    """One small generated market for all runs of this module."""
    with small_market() as url:
        yield url


@pytest.fixture(scope="module")
def settings(upstreams) -> dict[str, str]:
    return {"UPSTREAMS": upstreams, "START": "2026-09-01", "EXCHANGES": "binance okx coinbase"}


@pytest.fixture(scope="module")
def clean(settings, tmp_path_factory) -> Path:
    """The published file of one undisturbed run."""
    data = tmp_path_factory.mktemp("clean")
    run = altflow(*RUN, data=data, settings=settings)
    assert run.returncode == 0, run.stderr
    return data / "published" / "marts.duckdb"


def rerun_equals(clean: Path, data: Path, settings: dict[str, str]) -> None:
    again = altflow(*RUN, data=data, settings=settings)
    assert again.returncode == 0, again.stderr
    assert differences(clean, data / "published" / "marts.duckdb") == []


@pytest.mark.chaos
@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_at(moment, clean, settings, tmp_path):
    code = KILLED.format(moment=MOMENTS[moment], arguments=list(RUN))
    killed = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment(tmp_path, settings), capture_output=True, timeout=300
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    rerun_equals(clean, tmp_path, settings)


@pytest.mark.chaos
@pytest.mark.parametrize("number", range(6))
def test_killed_at_a_random_time(number, clean, settings, tmp_path):
    seconds = random.Random(SEED + number).uniform(1, 16)
    run = subprocess.Popen(
        [sys.executable, "-m", "orchestration", *RUN],
        cwd=ROOT,
        env=environment(tmp_path, settings),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    time.sleep(seconds)
    run.kill()
    code = run.wait()
    print(f"killed after {seconds:.1f} s: exit {code}")
    rerun_equals(clean, tmp_path, settings)


def test_a_run_leaves_with_4_while_another_holds_the_lock(tmp_path):
    lock = Lock(tmp_path / "warehouse.lock")
    lock.acquire()
    try:
        run = altflow(*RUN, data=tmp_path, settings={"EXCHANGES": "binance"})
    finally:
        lock.release()
    assert run.returncode == 4 and f"pid {os.getpid()}" in run.stderr, run.stdout + run.stderr
    assert not (tmp_path / "published").exists()


@pytest.mark.chaos
def test_the_second_of_two_runs_leaves_with_4_and_harms_nothing(clean, settings, tmp_path):
    first = subprocess.Popen(
        [sys.executable, "-m", "orchestration", *RUN],
        cwd=ROOT,
        env=environment(tmp_path, settings),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    until = time.monotonic() + 60
    while not (tmp_path / "warehouse.lock").exists() and time.monotonic() < until:
        time.sleep(0.05)
    time.sleep(0.5)
    second = altflow(*RUN, data=tmp_path, settings=settings)
    _, errors = first.communicate(timeout=300)
    assert second.returncode == 4
    assert f"pid {first.pid}" in second.stderr
    assert first.returncode == 0, errors
    assert differences(clean, tmp_path / "published" / "marts.duckdb") == []
