"""Where trade files are reduced: the same to the digit everywhere, whoever is killed on the way."""

import functools
import http.server
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, wait
from contextlib import contextmanager
from pathlib import Path

import polars as pl
import pytest
from isal import igzip

from orchestration import workers
from orchestration.reduce import Reduced, Task, reduce_file
from orchestration.settings import Settings
from orchestration.sources.body import SourceError
from orchestration.sources.trades import Layout, Side
from orchestration.workers import Outcome, Pool, reduce_all

SIDE = Side(("buy",), ("sell",), "taker", "this test")
LAYOUT = Layout(("id", "time", "price", "size", "side"), {}, "ms", SIDE)
NOON_MS = 1_772_366_400_000  # 2026-03-01 12:00 UTC
ROWS, FILES = 200_000, 8


def write(path: Path, rows: int, seed: int) -> None:
    place = pl.int_range(rows, eager=True).alias("id")
    frame = pl.DataFrame(place).select(
        "id",
        (pl.col("id") + NOON_MS).alias("time"),
        ((pl.col("id") * 7919 + seed) % 999_983 / 10 + 0.1).alias("price"),
        ((pl.col("id") * 104_729 + seed) % 999_979 / 100_000 + 0.00001).round(5).cast(pl.Decimal(12, 5)).alias("size"),
        pl.when((pl.col("id") + seed) % 3 == 0).then(pl.lit("buy")).otherwise(pl.lit("sell")).alias("side"),
    )
    with igzip.IGzipFile(path, "wb") as file:
        file.write(frame.with_columns(pl.col("price").round(1)).write_csv(include_header=False).encode())


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("trades")
    paths = [folder / f"{number}.csv.gz" for number in range(FILES)]
    for number, path in enumerate(paths):
        write(path, ROWS, number)
    return paths


@pytest.fixture(scope="module")
def wanted(files: list[Path]) -> dict[str, Reduced]:
    return {task.name: reduce_file(task) for task in tasks_of(files)}


def tasks_of(files: list[Path], places: str = "{}") -> list[Task]:
    return [Task(places.format(path), path.name, LAYOUT, "BTCUSDT") for path in files]


def settings_of(tmp_path: Path, scheduler: str | None = None) -> Settings:
    return Settings("sandbox", tmp_path, dask_scheduler=scheduler)


def by_name(found: Iterator[tuple[Task, Outcome]]) -> dict[str, Outcome]:
    return {task.name: outcome for task, outcome in found}


# --- this machine --------------------------------------------------------------------------------


def test_all_files_are_reduced_as_one_process_would(tmp_path: Path, files: list[Path], wanted: dict[str, Reduced]):
    told: list[str] = []
    found = by_name(reduce_all(tasks_of(files), settings_of(tmp_path), lambda task, _: told.append(task.name)))
    assert found == wanted
    assert told == list(found)


def test_a_worker_that_is_killed_costs_no_result(tmp_path: Path, files: list[Path], wanted: dict[str, Reduced]):
    with Pool(settings_of(tmp_path), is_many=True) as pool:
        futures = [pool.submit(task) for task in tasks_of(files) * 3]
        wait(futures, return_when=FIRST_COMPLETED)
        killed = pool.pids[0]
        os.kill(killed, signal.SIGKILL)
        assert {future.result().name: future.result() for future in futures} == wanted
        assert killed not in pool.pids
        pids = pool.pids
    assert not [pid for pid in pids if is_alive(pid)]


class Deadly:
    """Ends the process that reads it."""

    def __reduce__(self):
        return os._exit, (9,)


def test_a_file_that_ends_its_worker_each_time_is_given_up(tmp_path: Path, files: list[Path]):
    deadly = Task(str(files[0]), "deadly", Deadly(), "BTCUSDT")  # pyright: ignore[reportArgumentType]
    good, *_ = tasks_of(files)
    found = by_name(reduce_all([deadly, good], settings_of(tmp_path)))
    assert "ended 3 times (exit 9" in str(found["deadly"])
    assert isinstance(found[good.name], Reduced)


def test_what_cannot_be_read_is_the_outcome_of_its_file(tmp_path: Path, files: list[Path]):
    (tmp_path / "page").write_text("<html>blocked</html>")
    page, gone = Task(str(tmp_path / "page"), "page", LAYOUT, "A"), Task(str(tmp_path / "no"), "gone", LAYOUT, "A")
    found = by_name(reduce_all([page, gone, *tasks_of(files[:1])], settings_of(tmp_path)))
    assert "a page or an error" in str(found["page"])
    assert isinstance(found["gone"], SourceError) and found["gone"].status == 404
    assert isinstance(found[files[0].name], Reduced)


def test_one_file_needs_no_process(tmp_path: Path, files: list[Path], wanted: dict[str, Reduced]):
    with Pool(settings_of(tmp_path)) as pool:
        for task in tasks_of(files[:2]):
            assert pool.submit(task).result() == wanted[task.name]
        assert not pool.pids
        futures = [pool.submit(task) for task in tasks_of(files[:3])]
        assert [future.result() for future in futures] == [wanted[path.name] for path in files[:3]]
        assert pool.pids
    assert by_name(reduce_all(tasks_of(files[:1]), settings_of(tmp_path))) == {files[0].name: wanted[files[0].name]}
    assert by_name(reduce_all([], settings_of(tmp_path))) == {}


def test_no_more_is_asked_for_than_there_is_room(tmp_path: Path, files: list[Path]):
    asked = 0

    def tasks() -> Iterator[Task]:
        nonlocal asked
        for number in range(200):
            asked += 1
            yield Task(str(files[0]), str(number), LAYOUT, "A")

    reducing = reduce_all(tasks(), settings_of(tmp_path))
    next(reducing)
    assert asked <= 2 * (os.cpu_count() or 1) + 2
    reducing.close()


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="the environment of a process is read from /proc")
def test_a_worker_has_one_thread_and_ends_with_its_parent(root: Path, tmp_path: Path, files: list[Path]):
    parent = f"""
import os, sys, time
from pathlib import Path
sys.path.insert(0, {str(root)!r})
from tests.test_workers import *
pool = Pool(settings_of(Path({str(tmp_path)!r})), is_many=True)
pool.submit(tasks_of([Path({str(files[0])!r})])[0]).result()
print(pool.pids[0], flush=True)
time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", parent], cwd=root, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        pid = int(process.stdout.readline())
        assert b"POLARS_MAX_THREADS=1" in Path(f"/proc/{pid}/environ").read_bytes()
        process.kill()
    assert eventually(lambda: not is_alive(pid))


def test_a_worker_imports_only_what_it_needs(root: Path):
    code = "import sys, orchestration.workers; print(*{name.split('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert not {"dagster", "duckdb", "pandas", "distributed", "fsspec", "requests"} & set(done.stdout.split())


# --- places --------------------------------------------------------------------------------------


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """A folder at an address on loopback."""
    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.mark.parametrize("many", [False, True])
def test_a_place_may_be_any_url(tmp_path: Path, files: list[Path], wanted: dict[str, Reduced], many: bool):
    with served(files[0].parent) as url, Pool(settings_of(tmp_path), is_many=many) as pool:
        (task,) = tasks_of(files[:1])
        for place in (f"file://{files[0]}", f"{url}/{files[0].name}"):
            moved = Task(place, task.name, LAYOUT, "BTCUSDT")
            assert pool.submit(moved).result() == wanted[task.name]
        with pytest.raises(SourceError, match="no file at http") as raised:
            pool.submit(Task(f"{url}/none", "gone", LAYOUT, "BTCUSDT")).result()
        assert raised.value.status == 404


# --- a cluster -----------------------------------------------------------------------------------


@contextmanager
def cluster(folder: Path, count: int = 2) -> Iterator[tuple[str, list[subprocess.Popen]]]:
    """The address of a Dask scheduler on loopback; its process, and those of its workers: one thread each."""
    file = folder / "scheduler.json"
    log = (folder / "dask.log").open("wb")
    common = {"stdout": log, "stderr": log, "cwd": Path(__file__).parent.parent}
    told = ["--scheduler-file", str(file), "--host", "127.0.0.1", "--no-dashboard"]
    dask = [sys.executable, "-m", "dask"]
    started = [subprocess.Popen([*dask, "scheduler", *told, "--port", "0"], **common)]
    try:
        assert eventually(file.exists, 60), (folder / "dask.log").read_text()[-2000:]
        alone = ["--nthreads", "1", "--no-nanny", "--local-directory", str(folder)]
        for _ in range(count):
            started.append(subprocess.Popen([*dask, "worker", *told, *alone], **common))
        yield json.loads(file.read_text())["address"], started
    finally:
        for process in started:
            process.kill()
            process.wait()
        log.close()


def eventually(what, seconds: float = 20) -> bool:
    end = time.monotonic() + seconds
    while not what() and time.monotonic() < end:
        time.sleep(0.05)
    return bool(what())


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"


def test_on_a_cluster_it_is_the_same_to_the_digit(tmp_path: Path, files: list[Path], wanted: dict[str, Reduced]):
    """One of two workers is killed half-way. The files are at a URL, as those of a cluster are."""
    with served(files[0].parent) as url, cluster(tmp_path) as (address, (_, worker, _)):
        tasks = tasks_of(files, "file://{}")[:4]
        tasks += [Task(f"{url}/{path.name}", path.name, LAYOUT, "BTCUSDT") for path in files[4:]]
        found: list[tuple[Task, Outcome]] = []
        for done in reduce_all(tasks * 2, settings_of(tmp_path, address)):
            found.append(done)
            if len(found) == 4:
                os.kill(worker.pid, signal.SIGKILL)
        assert len(found) == 2 * len(tasks)
        assert all(outcome == wanted[task.name] for task, outcome in found)
        gone = Task(f"{url}/none", "gone", LAYOUT, "BTCUSDT")
        ((_, outcome),) = reduce_all([gone], settings_of(tmp_path, address))
        assert isinstance(outcome, SourceError) and outcome.status == 404


def test_a_cluster_that_is_lost_is_the_outcome_of_its_files(tmp_path: Path, files: list[Path]):
    with cluster(tmp_path, count=0) as (address, (scheduler,)), Pool(settings_of(tmp_path, address)) as pool:
        task, other = tasks_of(files[:2])
        future = pool.submit(task)
        os.kill(scheduler.pid, signal.SIGKILL)
        for waiting in (future, pool.submit(other)):
            with pytest.raises(SourceError, match=f"not read on the Dask cluster at {address}"):
                waiting.result(60)


def test_a_cluster_that_is_out_of_reach_is_named(tmp_path: Path, files: list[Path], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(workers, "CONNECT_SECONDS", 0.5)
    with Pool(settings_of(tmp_path, "tcp://127.0.0.1:1")) as pool:
        for task in tasks_of(files[:2]):
            with pytest.raises(SourceError, match="no Dask scheduler at ALTFLOW_DASK_SCHEDULER=tcp://127.0.0.1:1"):
                pool.submit(task).result()


def test_without_dask_it_says_what_to_install(tmp_path: Path, files: list[Path], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    ((_, outcome),) = reduce_all(tasks_of(files[:1]), settings_of(tmp_path, "tcp://127.0.0.1:1"))
    assert "pip install altflow[cluster]" in str(outcome)
