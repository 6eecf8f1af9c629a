"""What a full history costs, on the recorded market: the pages that its days fill, within the weight that is allowed,
and no more than `--dry-run` says beforehand."""

import json
import re
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from math import ceil
from pathlib import Path

import pytest

from orchestration.asking.bars import ask_bars
from orchestration.asking.context import Asking, Known, listing_of
from orchestration.load import Fetched
from orchestration.run import Upstreams
from orchestration.settings import Settings
from orchestration.sources.body import Window
from orchestration.sources.exchange import Klines
from orchestration.sources.http import Http
from orchestration.sources.registry import EXCHANGES
from orchestration.warehouse import Warehouse
from orchestration.workers import Pool
from tests.commandline import altflow
from tests.recorded import FIRST_DATE, LAST_DATE

pytestmark = pytest.mark.recorded

WINDOW = Window(FIRST_DATE, LAST_DATE.replace(day=15))
SYMBOLS, DAYS = 430, 1992
BINANCE = EXCHANGES["binance"]


@dataclass
class Cost:
    answers: list[Fetched]
    log: dict


def settings_of(data: Path, market: Path) -> Settings:
    return Settings("recorded", data, market, FIRST_DATE)


@pytest.fixture(scope="module")
def cost(market: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cost]:
    """All daily bars that Binance has, asked for as a first run does, without the loading."""
    settings = settings_of(tmp_path_factory.mktemp("requests"), market)
    world = Upstreams.start(settings, WINDOW.end).wait()
    http, pool, answers = Http(world.base), Pool(settings), []
    asking = Asking(
        http, WINDOW, answers.append, lambda *_: None, threading.Event(), settings.spool_dir, pool,
        settings.open_days_dir,
    )  # fmt: skip
    try:
        listing = listing_of(asking, "binance", BINANCE, Known())
        ask_bars(asking, "binance", BINANCE, Known(), listing)
        with urllib.request.urlopen(f"{world.base}/_sandbox/log", timeout=10) as answer:
            yield Cost(answers, json.load(answer))
    finally:
        http.close()
        pool.close()
        world.close()


def pages() -> int:
    assert isinstance(BINANCE.flows, Klines) and (WINDOW.end - WINDOW.start).days == DAYS
    return ceil(DAYS / BINANCE.flows.page_days)


def test_a_full_history_costs_its_pages_and_the_listings(cost: Cost):
    asked = dict(cost.log["requests"])
    rest = asked.pop("data-api.binance.vision")
    assert rest.pop("/api/v3/exchangeInfo") == 1
    assert set(rest) == {"/api/v3/klines"} and set(asked) == {"s3-ap-northeast-1.amazonaws.com"}
    assert rest["/api/v3/klines"] <= SYMBOLS * pages()
    # Who was listed late, or left early, fills one page only.
    assert rest["/api/v3/klines"] == 650
    assert sum(asked["s3-ap-northeast-1.amazonaws.com"].values()) <= 2, "names of all symbols that ever had a file"


def test_nobody_is_asked_too_fast(cost: Cost):
    assert set(cost.log["statuses"]) == {"200"}
    # exchangeInfo weighs 20, a page 2; less where a minute ends meanwhile.
    assert 0 < cost.log["max_weight_used"] <= 20 + 2 * 650 < 6000


def test_every_symbol_is_answered_for_once(cost: Cost):
    assert len({item.scope for item in cost.answers}) == len(cost.answers) == SYMBOLS
    assert not [item.error for item in cost.answers if item.error]
    assert {item.window for item in cost.answers} == {WINDOW}


def stated(output: str) -> dict[str, int]:
    """Requests by upstream in the table of `--dry-run`."""
    rows = (re.split(r" *[│┃] *", line.strip("│┃ ")) for line in output.splitlines() if "│" in line)
    return {row[0]: int(row[2].replace(",", "")) for row in rows if row[0]}


def contents(folder: Path) -> dict[str, tuple[int, str]]:
    """When each file was written, and its hash."""
    files = [path for path in folder.rglob("*") if path.is_file()] if folder.exists() else []
    return {
        str(path.relative_to(folder)): (path.stat().st_mtime_ns, sha256(path.read_bytes()).hexdigest())
        for path in files
    }


KILLED = "import duckdb, os, sys; c = duckdb.connect(sys.argv[1]); c.execute('CREATE TABLE t (i INT)'); os._exit(9)"


@pytest.mark.parametrize("is_new", (True, False), ids=("no data yet", "a run was killed"))
def test_a_dry_run_says_so_beforehand_and_writes_nothing(
    market: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_new: bool
):
    monkeypatch.setenv("COLUMNS", "200")
    data = tmp_path / "data"
    if not is_new:
        Warehouse(data / "warehouse.duckdb").prepare(settings_of(data, market))
        # Whoever opens it for writing tidies up what the dead one left.
        subprocess.run([sys.executable, "-c", KILLED, str(data / "warehouse.duckdb")])
        assert (data / "warehouse.duckdb.wal").exists()
    before = contents(data)
    options = ["--source", "recorded", "--market", str(market), "--end", str(LAST_DATE), "--dry-run"]
    done = altflow("run", *options, data=data)
    assert done.returncode == 0, done.stderr
    requests = stated(done.stdout)
    assert 650 <= requests["binance"] <= SYMBOLS * pages() + 1
    assert requests.keys() >= {"binance", "defillama", "fred"} and "okx" not in requests
    assert "nothing was fetched but listings" in done.stdout
    assert contents(data) == before and data.exists() is not is_new
