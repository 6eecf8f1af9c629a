"""Fetch to raw tables against a bare script, on the same recorded market through a sandbox of the same kind.

Ours is `open_run` and `load` of spot_symbols and spot_flows into an empty folder: plan, budget, archive with
its index, checks of every answer, transactions, changes. It is timed with Great Expectations (its child process
is warm before the clock starts, as in a run it warms up while bodies are fetched) and without. The bare script
asks for the same pages in four threads and casts them to decimals in DuckDB; it keeps and checks nothing.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import cast

import duckdb
import pyarrow as pa
import requests

from orchestration.builder import Builder
from orchestration.expectations.report import Report
from orchestration.expectations.validator import Validator
from orchestration.records import SPOT_SYMBOLS
from orchestration.run import Companions, Upstreams, open_run
from orchestration.settings import Settings

ROOT = Path(__file__).resolve().parent.parent
FIRST, LAST = date(2020, 1, 1), date(2025, 6, 14)
ROWS = 419_518
TARGET = 1.5
DAY_MS = 86_400_000


@dataclass(frozen=True)
class Loaded:
    """What was stored or refused with a reason, so that both sides can be compared to the last digit."""

    rows: int
    quote_volume: Decimal


# --- the bare script -----------------------------------------------------------------------------


def bare(url: str, folder: Path) -> Loaded:
    local = threading.local()

    def get(path: str, **params):
        if not hasattr(local, "session"):
            local.session = requests.Session()
        return local.session.get(f"{url}/data-api.binance.vision{path}", params=params, timeout=45).json()

    def pages(symbol: str) -> list[pa.Table]:
        tables, start, end = [], _ms(FIRST), _ms(LAST) + DAY_MS - 1
        while start <= end:
            page = get("/api/v3/klines", symbol=symbol, interval="1d", startTime=start, endTime=end, limit=1000)
            if page:
                columns = list(zip(*page, strict=True))
                tables.append(
                    pa.table(
                        {"symbol": [symbol] * len(page), "opened": columns[0]}
                        | {name: columns[index] for name, index in COLUMNS.items()}
                    )
                )
            if len(page) < 1000:
                break
            start = page[-1][0] + DAY_MS
        return tables

    symbols = [entry["symbol"] for entry in get("/api/v3/exchangeInfo")["symbols"]]
    with ThreadPoolExecutor(4) as pool:
        klines = pa.concat_tables([table for tables in pool.map(pages, symbols) for table in tables])
    with duckdb.connect(str(folder / "bare.duckdb")) as con:
        con.register("klines", klines)
        amounts = ", ".join(
            f"{name}::{'DOUBLE' if name in PRICES else 'DECIMAL(38, 12)'} AS {name}"
            for name in COLUMNS
            if name != "trades"
        )
        con.execute(
            f"CREATE TABLE flows AS SELECT symbol, epoch_ms(opened)::DATE AS utc_date, {amounts}, trades FROM klines"
        )
        return Loaded(*con.execute("SELECT count(*), sum(volume_quote) FROM flows").fetchall()[0])


PRICES = {"open": 1, "high": 2, "low": 3, "close": 4}
COLUMNS = PRICES | {"volume": 5, "volume_quote": 7, "trades": 8, "taker_buy_base": 9, "taker_buy_quote": 10}


def _ms(day: date) -> int:
    return (day - date(1970, 1, 1)).days * DAY_MS


# --- ours ----------------------------------------------------------------------------------------


class Unchecked:
    """In the place of Great Expectations: everything passes."""

    def check(self, suite: str, table: pa.Table, window=None) -> Report:
        return Report(suite, True, table.num_rows, [], 0.0)


def ours(url: str, folder: Path, market: Path, validator: Validator) -> Loaded:
    settings = Settings("recorded", folder, market_dir=market, start=FIRST, upstreams=url, allow_noncommercial=True)
    wanted = {"spot_symbols", "spot_flows"}
    companions = Companions(validator, Upstreams(url), Builder(settings))
    with open_run(settings, "bench", wanted, end=LAST + timedelta(days=1), companions=companions) as run:
        for dataset in ("spot_symbols", "spot_flows"):
            run.ingest.load(dataset)
        stored = run.warehouse.read("SELECT count(*) AS n, sum(volume_quote) AS total FROM raw.spot_flows").to_pylist()
        refused = run.warehouse.read("SELECT * FROM raw.quarantine WHERE table_name = 'spot_flows'").to_pylist()
        gaps = run.warehouse.gaps("bench")
    if gaps:
        raise SystemExit(f"not everything arrived: {gaps}")
    rows = [json.loads(row["row_json"]) for row in refused]
    return Loaded(
        stored[0]["n"] + len(rows), stored[0]["total"] + sum((Decimal(row["volume_quote"]) for row in rows), Decimal(0))
    )


# --- the clock -----------------------------------------------------------------------------------


@contextmanager
def sandbox(market: Path) -> Iterator[str]:
    """The recorded market on loopback, without rate limits, warm."""
    command = [sys.executable, "-m", "orchestration", "sandbox", "--market", str(market), "--with-parent"]
    command += ["--weight-limit", "0", "--now", str(LAST + timedelta(days=1))]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin and process.stdout
        try:
            url = json.loads(process.stdout.readline())["url"]
            for path in ("exchangeInfo", "klines?symbol=BTCUSDT&interval=1d"):
                urllib.request.urlopen(f"{url}/data-api.binance.vision/api/v3/{path}", timeout=60).close()
            yield url
        finally:
            process.stdin.close()
            process.wait(10)


def timed(what: Callable[[str, Path], Loaded], url: str) -> tuple[float, float, Loaded]:
    """Wall seconds, CPU seconds of this process alone, and what was loaded."""
    with tempfile.TemporaryDirectory(prefix="altflow-bench-") as folder:
        wall, cpu = time.perf_counter(), time.process_time()
        loaded = what(url, Path(folder))
        return time.perf_counter() - wall, time.process_time() - cpu, loaded


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    market = (ROOT / os.environ.get("ALTFLOW_SHARED", "../shared") / "market").resolve()
    if not market.is_dir():
        print(f"skipped: no recorded market at {market}; set ALTFLOW_SHARED")
        return
    seconds: dict[str, list[float]] = {}
    used: dict[str, list[float]] = {}
    with Validator.start() as validator:
        validator.check("raw_spot_symbols", SPOT_SYMBOLS.schema.empty_table())
        ways: dict[str, Callable[[str, Path], Loaded]] = {
            "bare": bare,
            "ours": lambda url, folder: ours(url, folder, market, validator),
            "ours, unchecked": lambda url, folder: ours(url, folder, market, cast(Validator, Unchecked())),
        }
        loads = []
        for number in range(1, rounds + 1):
            for name, way in ways.items():
                # A new sandbox each time: the weight that it has counted this minute would slow the next load down.
                with sandbox(market) as url:
                    took, cpu, loaded = timed(way, url)
                seconds.setdefault(name, []).append(took)
                used.setdefault(name, []).append(cpu)
                loads.append(loaded)
                print(f"  round {number}  {name:<16} {took:6.1f} s, {cpu:5.1f} s CPU", flush=True)
    medians = {name: statistics.median(each) for name, each in seconds.items()}
    same = len(set(loads)) == 1 and loads[0].rows == ROWS
    print(f"rows {loads[0].rows:,}, quote volume {loads[0].quote_volume:f}: {'same everywhere' if same else loads}")
    for name, median in medians.items():
        line = f"{name:<16} {median:6.1f} s, {statistics.median(used[name]):5.1f} s CPU of this process"
        if name == "bare":
            print(f"{line} (medians of {rounds})")
        else:
            ratio = median / medians["bare"]
            print(f"{line} = {ratio:.2f} x bare; target <= {TARGET} x: {'held' if ratio <= TARGET else 'NOT HELD'}")


if __name__ == "__main__":
    main()
