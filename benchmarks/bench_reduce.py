"""Trade files to daily flows: one core against the floor, two workers, a Dask cluster, and a worker that is killed.

The floor of a file is to unpack it with isal and to add up price x size by symbol, side and day in doubles, with the
types of its columns told: in the fastest of polars, pyarrow and DuckDB. Ours reads ids too, judges every row, is exact
to the digit, and gives prices, counts and sizes of trades. Beside them what one would write first: DuckDB and pandas
finding out everything by themselves. Each is measured in a process of its own on one core, one after the other in
turn; CPU seconds tell, since a busy machine makes everybody wait. Several workers can only be measured by the clock.
"""

import argparse
import csv
import gzip
import io
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, wait
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import distributed
import numpy as np
import pyarrow as pa
from isal import igzip

from orchestration.reduce import Reduced, Task, reduce_file
from orchestration.settings import Settings
from orchestration.sources.trades import Layout, Side
from orchestration.workers import Pool

ROOT = Path(__file__).resolve().parent.parent
CORES = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
DAY_MS = 86_400_000
START_MS = 1_785_283_200_000  # 2026-07-29
FILES, SYMBOLS = 24, 300
RATE, OVER_FLOOR, TWO_WORKERS, DASK = 3e6, 1.4, 1.8, 1.1

SIDE = Side(("buy",), ("sell",), "taker", "generated")
BYBIT_NAMES = {"id": "id", "timestamp": "time", "price": "price", "volume": "size", "side": "side"}
OKX_NAMES = {"instrument_name": "symbol", "trade_id": "id", "created_time": "time"}
OKX_NAMES |= {name: name for name in ("side", "price", "size")}
LAYOUTS = {
    "bybit": Layout(("id", "time", "price", "size", "side"), BYBIT_NAMES, "ms", SIDE),
    "okx": Layout(("symbol", "id", "side", "price", "size", "time"), OKX_NAMES, "ms", SIDE, clock_hours=8),
}
HEADERS = {
    "bybit": ("id", "timestamp", "price", "volume", "side", "rpi"),
    "okx": ("instrument_name", "trade_id", "side", "price", "size", "created_time"),
}


# --- the files -----------------------------------------------------------------------------------


def write_bybit(path: Path, count: int, seed: int = 1) -> None:
    """One symbol, as public.bybit.com writes it."""
    rng = np.random.default_rng(seed)
    columns = [
        np.arange(1, count + 1),
        np.sort(rng.integers(0, DAY_MS, count)) + START_MS,
        _decimals(639_299 + np.cumsum(rng.integers(-3, 4, count)), 1),
        _decimals(np.maximum(np.exp(rng.normal(-5, 2, count)) * 1e6, 1).astype(np.int64), 6),
        np.where(rng.random(count) < 0.5, "buy", "sell"),
        np.zeros(count, np.int64),
    ]
    path.write_bytes(gzip.compress(_csv(HEADERS["bybit"], columns), 6))


def write_okx(path: Path, count: int, seed: int = 1) -> None:
    """Three hundred symbols from one end of prices to the other, one after the other, as in OKX' allspot files."""
    rng = np.random.default_rng(seed)
    share = 1 / np.arange(1, SYMBOLS + 1)
    symbol = np.sort(rng.choice(SYMBOLS, count, p=share / share.sum()))
    places = rng.integers(0, 10, SYMBOLS)[symbol], rng.integers(0, 9, SYMBOLS)[symbol]
    units = rng.integers(1000, 90_000, SYMBOLS)[symbol] + rng.integers(-50, 50, count), np.exp(rng.normal(6, 2, count))
    price, size = (
        [repr(unit / 10**place) for unit, place in zip((u.astype(np.int64) + 1).tolist(), p.tolist(), strict=True)]
        for u, p in zip(units, places, strict=True)
    )
    order = np.lexsort((rng.integers(0, DAY_MS, count), symbol))
    time_ms = np.sort(rng.integers(0, DAY_MS, count))[np.argsort(order)] + START_MS - 8 * 3_600_000
    names = np.array([f"S{number}-USDT" for number in range(SYMBOLS)])
    side = np.where(rng.random(count) < 0.5, "buy", "sell")
    columns = [names[symbol], np.arange(10**9, 10**9 + count), side, price, size, time_ms]
    path.write_bytes(gzip.compress(_csv(HEADERS["okx"], columns), 6))


def _decimals(units: np.ndarray, places: int) -> list[str]:
    return [f"{unit / 10**places:.{places}f}".rstrip("0").rstrip(".") for unit in units.tolist()]


def _csv(header: Sequence[str], columns: Sequence) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(zip(*(c.tolist() if isinstance(c, np.ndarray) else c for c in columns), strict=True))
    return text.getvalue().encode()


# --- who is measured -----------------------------------------------------------------------------


def task_of(path: Path, exchange: str = "bybit") -> Task:
    return Task(str(path), path.name, LAYOUTS[exchange], "BTCUSDT" if exchange == "bybit" else None)


def ours(path: Path, exchange: str) -> float:
    done = reduce_file(task_of(path, exchange))
    return float(sum(day.all.quote for day in done.sums.values()))


def unpacking(path: Path, exchange: str) -> float:
    with _unpacked(path) as file:
        while file.read(1 << 19):
            pass
    return float("nan")


def in_polars(path: Path, exchange: str) -> float:
    import polars as pl

    kinds = _kinds(exchange, pl.String, pl.Float64, pl.Int64)
    names = _used(exchange)
    with _unpacked(path) as file:
        rows = pl.scan_csv(io.BytesIO(file.read()), schema=kinds).select(names.values())
        day = (pl.col(names["time"]) // DAY_MS).alias("day")
        by = [pl.col(names[role]) for role in ("symbol", "side") if role in names]
        quote = (pl.col(names["price"]) * pl.col(names["size"])).sum().alias("quote")
        return float(rows.group_by(*by, day).agg(quote).collect()["quote"].sum())


def in_pyarrow(path: Path, exchange: str) -> float:
    import pyarrow.compute
    from pyarrow import csv as arrow_csv

    pc: Any = pyarrow.compute

    pa.set_cpu_count(1)
    names = _used(exchange)
    kinds = {
        name: kind
        for name, kind in _kinds(exchange, pa.string(), pa.float64(), pa.int64()).items()
        if name in names.values()
    }
    total = 0.0
    with _unpacked(path) as file:
        batches = arrow_csv.open_csv(
            file,
            read_options=arrow_csv.ReadOptions(use_threads=False, block_size=1 << 20),
            convert_options=arrow_csv.ConvertOptions(column_types=kinds, include_columns=list(kinds)),
        )
        for batch in batches:
            rows: Any = pa.table(batch)
            rows = rows.append_column("quote", pc.multiply(rows[names["price"]], rows[names["size"]]))
            rows = rows.append_column("day", pc.divide(rows[names["time"]], DAY_MS))
            by = [names[role] for role in ("symbol", "side") if role in names]
            total += pc.sum(rows.group_by([*by, "day"]).aggregate([("quote", "sum")])["quote_sum"]).as_py()
    return total


def in_duckdb(path: Path, exchange: str) -> float:
    """It reads no stream of ours: what isal unpacks goes through a file."""
    with tempfile.NamedTemporaryFile(suffix=".csv") as plain, _unpacked(path) as file:
        shutil.copyfileobj(file, plain, 1 << 20)
        plain.flush()
        kinds = _kinds(exchange, "VARCHAR", "DOUBLE", "BIGINT")
        return _duckdb(f"'{plain.name}', header = true, auto_detect = false, columns = {kinds}", exchange)


def in_duckdb_alone(path: Path, exchange: str) -> float:
    return _duckdb(f"'{path}'", exchange)


def in_pandas(path: Path, exchange: str) -> float:
    import pandas as pd

    names = _used(exchange)
    rows: Any = pd.read_csv(path)
    rows["quote"] = rows[names["price"]] * rows[names["size"]]
    by = [rows[names[role]] for role in ("symbol", "side") if role in names]
    return float(rows.groupby([*by, rows[names["time"]] // DAY_MS])["quote"].sum().sum())


def _duckdb(what: str, exchange: str) -> float:
    import duckdb

    names = _used(exchange)
    with duckdb.connect() as con:
        con.execute("SET threads = 1")
        by = ", ".join(names[role] for role in ("symbol", "side") if role in names)
        quote = f"sum({names['price']} * {names['size']}) AS quote"
        grouped = f"SELECT {by}, {names['time']} // {DAY_MS} AS day, {quote} FROM read_csv({what}) GROUP BY ALL"
        return float(con.execute(f"SELECT sum(quote) FROM ({grouped})").fetchall()[0][0])


def _unpacked(path: Path) -> igzip.IGzipFile:
    return igzip.IGzipFile(path, "rb")


def _kinds(exchange: str, text: Any, amount: Any, whole: Any) -> dict[str, Any]:
    """Types of all columns."""
    kinds = {"side": text, "instrument_name": text, "price": amount, "size": amount, "volume": amount}
    return {name: kinds.get(name, whole) for name in HEADERS[exchange]}


def _used(exchange: str) -> dict[str, str]:
    """Column by role, without the id."""
    return {role: name for name, role in LAYOUTS[exchange].names.items() if role != "id"}


FLOORS: dict[str, Callable[[Path, str], float]] = {"polars": in_polars, "pyarrow": in_pyarrow, "duckdb": in_duckdb}
WAYS: dict[str, Callable[[Path, str], float]] = {
    "ours": ours,
    **FLOORS,
    "unpacking alone": unpacking,
    "duckdb, by itself": in_duckdb_alone,
    "pandas": in_pandas,
}


# --- one core ------------------------------------------------------------------------------------


def child(way: str, path: Path, exchange: str) -> None:
    """Prints the least CPU and wall seconds of three, and the sum."""
    if CORES:
        os.sched_setaffinity(0, {CORES[-1]})
    total = WAYS[way](path, exchange)
    cpu, wall = [], []
    for _ in range(3):
        used, began = time.process_time(), time.perf_counter()
        WAYS[way](path, exchange)
        cpu.append(time.process_time() - used)
        wall.append(time.perf_counter() - began)
    print(json.dumps([min(cpu), min(wall), total]))


def measured(way: str, path: Path, exchange: str) -> tuple[float, float, float]:
    one = {"POLARS_MAX_THREADS": "1", "OMP_NUM_THREADS": "1", "ARROW_IO_THREADS": "1"}
    command = [sys.executable, __file__, "--child", way, str(path), exchange]
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, **one}, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{way}: {done.stderr[-2000:]}")
    cpu, wall, total = json.loads(done.stdout)
    return cpu, wall, total


def measure_core(path: Path, exchange: str, ways: Sequence[str], count: int, rounds: int) -> None:
    cpu: dict[str, list[float]] = {way: [] for way in ways}
    wall: dict[str, list[float]] = {way: [] for way in ways}
    totals: dict[str, float] = {}
    for number in range(1, rounds + 1):
        for way in ways:
            took, waited, totals[way] = measured(way, path, exchange)
            cpu[way].append(took)
            wall[way].append(waited)
        print(f"  round {number}  ours {cpu['ours'][-1]:.2f} s CPU, {wall['ours'][-1]:.2f} s", flush=True)
    known = [total for total in totals.values() if total == total]
    if max(known) - min(known) > 1e-9 * max(known):
        raise SystemExit(f"they do not agree: {totals}")
    floor = min(min(cpu[way]) for way in FLOORS)
    size = path.stat().st_size / count
    print(
        f"{exchange}: {count:,} trades, {size:.1f} bytes each as packed; least CPU seconds of {rounds} rounds (median)"
    )
    for way in ways:
        least, median = min(cpu[way]), statistics.median(cpu[way])
        line = f"  {way:<18} {least:6.3f} s ({median:.3f})  {count / least / 1e6:5.2f} M trades/s"
        print(f"{line}  {least / floor:4.2f} x floor; by the clock {count / min(wall[way]) / 1e6:.2f} M/s")
    ratio, rate = min(cpu["ours"]) / floor, count / min(cpu["ours"])
    print(f"  target >= {RATE / 1e6:g} M trades/s: {_verdict(rate >= RATE)}; ", end="")
    print(f"<= {OVER_FLOOR} x floor: {_verdict(ratio <= OVER_FLOOR)}")


# --- several workers -----------------------------------------------------------------------------


def reduced(
    pool: Pool, tasks: Sequence[Task], half_way: Callable[[], None] | None = None
) -> tuple[float, list[Reduced]]:
    """Seconds, from warm workers on, and what each file came to."""
    for future in [pool.submit(task) for task in tasks[:4]]:
        future.result()
    began = time.perf_counter()
    futures = [pool.submit(task) for task in tasks]
    if half_way:
        waiting = set(futures)
        while len(waiting) > len(tasks) // 2:
            waiting = wait(waiting, return_when=FIRST_COMPLETED).not_done
        half_way()
    found = [future.result() for future in futures]
    return time.perf_counter() - began, found


def pooled(paths: Sequence[Path], cores: int = 2, is_killed: bool = False) -> tuple[float, list[Reduced]]:
    if CORES:
        os.sched_setaffinity(0, CORES[:cores])
    try:
        with Pool(Settings("sandbox", Path(tempfile.gettempdir())), is_many=True) as pool:
            kill = (lambda: os.kill(pool.pids[0], signal.SIGKILL)) if is_killed else None
            return reduced(pool, [task_of(path) for path in paths], kill)
    finally:
        if CORES:
            os.sched_setaffinity(0, CORES)


def on_dask(paths: Sequence[Path], is_killed: bool = False) -> tuple[float, list[Reduced]]:
    with cluster() as (address, processes):
        settings = Settings("sandbox", Path(tempfile.gettempdir()), dask_scheduler=address)
        with Pool(settings) as pool:
            kill = processes[-1].kill if is_killed else None
            return reduced(pool, [task_of(path) for path in paths], kill)


@contextmanager
def cluster() -> Iterator[tuple[str, list[subprocess.Popen]]]:
    """A scheduler on loopback and two workers of one thread."""
    with tempfile.TemporaryDirectory(prefix="altflow-bench-") as folder:
        file = Path(folder) / "scheduler.json"
        told = ["--scheduler-file", str(file), "--host", "127.0.0.1", "--no-dashboard"]
        one = ["--nthreads", "1", "--no-nanny", "--local-directory", folder]
        commands = [["scheduler", *told, "--port", "0"], ["worker", *told, *one], ["worker", *told, *one]]
        processes: list[subprocess.Popen] = []
        try:
            for command in commands:
                command = [sys.executable, "-m", "dask", *command]
                quiet = subprocess.DEVNULL
                processes.append(subprocess.Popen(command, stdout=quiet, stderr=quiet, cwd=ROOT))
                while not file.exists():
                    time.sleep(0.05)
            address = json.loads(file.read_text())["address"]
            with distributed.Client(address, set_as_default=False) as client:
                client.wait_for_workers(2)
            yield address, processes
        finally:
            for process in processes:
                process.kill()
                process.wait()


def measure_workers(path: Path, count: int, rounds: int) -> None:
    with tempfile.TemporaryDirectory(prefix="altflow-bench-") as folder:
        paths = [Path(folder) / f"{number:02d}.csv.gz" for number in range(FILES)]
        for copy in paths:
            shutil.copy(path, copy)
        ways: dict[str, Callable[[], tuple[float, list[Reduced]]]] = {
            "one worker": lambda: pooled(paths, cores=1),
            "two workers": lambda: pooled(paths),
            "dask, two workers": lambda: on_dask(paths),
            "two, one killed": lambda: pooled(paths, is_killed=True),
            "dask, one killed": lambda: on_dask(paths, is_killed=True),
        }
        seconds: dict[str, list[float]] = {}
        found: list[list[Reduced]] = []
        for number in range(1, rounds + 1):
            for name, way in ways.items():
                took, results = way()
                seconds.setdefault(name, []).append(took)
                found.append(results)
                print(f"  round {number}  {name:<18} {took:6.1f} s", flush=True)
    least = {name: min(each) for name, each in seconds.items()}
    same = all(results == found[0] for results in found)
    print(f"{FILES} files of {count:,} trades by the clock, workers warm; least of {rounds} rounds (median)")
    for name in ways:
        median, rate = statistics.median(seconds[name]), FILES * count / least[name] / 1e6
        line = f"  {name:<18} {least[name]:6.2f} s ({median:.2f})  {rate:5.2f} M trades/s"
        print(f"{line}  {least['one worker'] / least[name]:.2f} x one worker")
    double, dask = least["one worker"] / least["two workers"], least["dask, two workers"] / least["two workers"]
    print(f"  two workers >= {TWO_WORKERS} x one: {_verdict(double >= TWO_WORKERS)}; ", end="")
    print(f"dask <= {DASK} x two workers ({dask:.2f}): {_verdict(dask <= DASK)}; ", end="")
    print(f"all results the same to the digit: {_verdict(same)}")


def _verdict(held: bool) -> str:
    return "held" if held else "NOT HELD"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--trades", type=int, default=2_000_000)
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        way, path, exchange = asked.child
        child(way, Path(path), exchange)
        return
    with tempfile.TemporaryDirectory(prefix="altflow-bench-") as folder:
        bybit, okx, small = (Path(folder) / f"{name}.csv.gz" for name in ("bybit", "okx", "small"))
        write_bybit(bybit, asked.trades)
        write_okx(okx, asked.trades // 2)
        write_bybit(small, asked.trades // 2)
        measure_core(bybit, "bybit", list(WAYS), asked.trades, asked.rounds)
        measure_core(okx, "okx", ["ours", *FLOORS], asked.trades // 2, asked.rounds)
        measure_workers(small, asked.trades // 2, asked.rounds)


if __name__ == "__main__":
    main()
