"""Where trade files are reduced: in this process, in one process per core, or on a Dask cluster.

A worker that is lost costs time and no result: its file is read again elsewhere, MOST_TRIES times in all. What a file
comes to does not depend on where it was read.
"""

import contextlib
import os
import pickle
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import chain, islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol, Self, cast

from orchestration.reduce import Reduced, Task, reduce_file
from orchestration.settings import Settings
from orchestration.sources.body import SourceError

if TYPE_CHECKING:
    import distributed

ROOT = Path(__file__).resolve().parent.parent
MOST_TRIES = 3
CONNECT_SECONDS = 10
WAITING_EACH = 2
"""files per worker that are submitted at once: one being read, one that waits"""
LEAST_ROOM = 32
"""the same on a cluster of few workers"""
Outcome = Reduced | SourceError


def reduce_all(
    tasks: Iterable[Task], settings: Settings, on_done: Callable[[Task, Outcome], None] | None = None
) -> Generator[tuple[Task, Outcome], None, None]:
    """What each file came to, in the order in which they are done; `tasks` is asked for more as workers get free.

    A single file is read in this process, unless there is a cluster."""
    asked = iter(tasks)
    first = list(islice(asked, 2))
    with Pool(settings, is_many=len(first) > 1) as pool:
        waiting: dict[Future[Reduced], Task] = {}

        def done() -> Iterator[tuple[Task, Outcome]]:
            for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                task, error = waiting.pop(future), future.exception()
                if error and not isinstance(error, SourceError):
                    raise error
                outcome = error or future.result()
                if on_done:
                    on_done(task, outcome)
                yield task, outcome

        for task in chain(first, asked):
            waiting[pool.submit(task)] = task
            while len(waiting) >= pool.room:
                yield from done()
        while waiting:
            yield from done()


class Pool:
    """Reduces files as they come. Safe to use from several threads; nothing is started before the first file.

    `is_many`: there will be several at once. Where that is not known, a file that comes alone is read in this
    process, and others begin when it is not alone any more."""

    def __init__(self, settings: Settings, is_many: bool = False):
        address = settings.dask_scheduler
        self._place: _Place = _Cluster(address) if address else _Here(is_many)

    def submit(self, task: Task) -> Future[Reduced]:
        """Raises nothing: a future holds a SourceError for a file that cannot be read."""
        return self._place.submit(task)

    @property
    def room(self) -> int:
        """How many files to have submitted at once."""
        return self._place.room

    @property
    def pids(self) -> list[int]:
        """The processes that were started on this machine."""
        return self._place.pids

    def close(self) -> None:
        """Ends all workers; what was not done is cancelled."""
        self._place.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class _Place(Protocol):
    @property
    def room(self) -> int: ...

    @property
    def pids(self) -> list[int]: ...

    def submit(self, task: Task) -> Future[Reduced]: ...

    def close(self) -> None: ...


# --- this machine --------------------------------------------------------------------------------


class _Here:
    """A thread per core, each with a child process that reads files for it."""

    def __init__(self, is_many: bool):
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        self._room = WAITING_EACH * cores
        self._threads = ThreadPoolExecutor(cores, thread_name_prefix="reduce")
        self._lock = threading.Lock()
        self._own = threading.local()
        self._children: set[_Child] = set()
        self._is_many = is_many
        self._unfinished = 0
        self._is_closed = False

    def submit(self, task: Task) -> Future[Reduced]:
        with self._lock:
            self._unfinished += 1
            self._is_many = self._is_many or self._unfinished > 1
            read = self._in_child if self._is_many else reduce_file
        future = self._threads.submit(read, task)
        future.add_done_callback(self._finished)
        return future

    def _finished(self, _: Future[Reduced]) -> None:
        with self._lock:
            self._unfinished -= 1

    def _in_child(self, task: Task) -> Reduced:
        said = ""
        for _ in range(MOST_TRIES):
            child = self._child()
            try:
                outcome = child.ask(task)
            except (EOFError, OSError, pickle.UnpicklingError):
                said = child.end()
                self._own.child = None
                with self._lock:
                    self._children.discard(child)
                    if self._is_closed:
                        raise SourceError(f"{task.name}: not read, the run ends") from None
                continue
            if isinstance(outcome, Exception):
                raise outcome
            return outcome
        raise SourceError(f"{task.name}: the process that reads it ended {MOST_TRIES} times ({said}); enough memory?")

    def _child(self) -> "_Child":
        child = getattr(self._own, "child", None)
        if child is None:
            with self._lock:
                if self._is_closed:
                    raise SourceError("not read, the run ends")
                child = self._own.child = _Child()
                self._children.add(child)
        return child

    @property
    def room(self) -> int:
        return self._room

    @property
    def pids(self) -> list[int]:
        with self._lock:
            return [child.process.pid for child in self._children]

    def close(self) -> None:
        with self._lock:
            self._is_closed = True
            children = list(self._children)
        self._threads.shutdown(wait=False, cancel_futures=True)
        for child in children:
            child.process.kill()
        self._threads.shutdown(wait=True)
        for child in children:
            child.end()


class _Child:
    """A process that reads one file after the other. It ends when its standard input does, at the latest with us."""

    def __init__(self):
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  closed in `end`
        self.process = subprocess.Popen(
            [sys.executable, "-m", "orchestration.workers"],
            cwd=ROOT,
            # One core each; polars would start a thread per core in all of them.
            env={**os.environ, "POLARS_MAX_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            # Ctrl-C is for the run, which then ends its children.
            process_group=0,
        )

    def ask(self, task: Task) -> Any:
        """Reduced, or the exception that it came to. Raises EOFError or OSError where the process is gone."""
        assert self.process.stdin and self.process.stdout
        pickle.dump(task, self.process.stdin)
        self.process.stdin.flush()
        return pickle.load(self.process.stdout)

    def end(self) -> str:
        """Exit code and last words."""
        self.process.kill()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe:
                with contextlib.suppress(OSError):
                    pipe.close()
        code = self.process.wait()
        if self._log.closed:
            return f"exit {code}"
        with self._log as log:
            log.seek(0, os.SEEK_END)
            log.seek(max(log.tell() - 500, 0))
            said = log.read().decode("utf-8", "replace").strip().rpartition("\n")[2]
        return f"exit {code}: {said}" if said else f"exit {code}"


def serve(asked: IO[bytes], answers: IO[bytes]) -> None:
    """The other end of _Child."""
    import polars  # noqa: F401  ahead of the first file
    from isal import igzip  # noqa: F401

    while True:
        try:
            task = pickle.load(asked)
        except EOFError:
            return
        pickle.dump(attempt(task), answers)
        answers.flush()


def attempt(task: Task) -> Reduced | Exception:
    """In a worker: what the file came to, or the error that is to be raised where it was asked for."""
    os.environ.setdefault("POLARS_MAX_THREADS", "1")
    try:
        return reduce_file(task)
    except SourceError as error:
        return error


# --- a cluster -----------------------------------------------------------------------------------


class _Cluster:
    """Dask gives each file to a worker of the cluster, and to another where that one is lost."""

    def __init__(self, address: str):
        self._address = address
        self._lock = threading.Lock()
        self._client: distributed.Client | None = None
        self._error: SourceError | None = None
        self._room, self._looked_at = LEAST_ROOM, 0.0

    @property
    def room(self) -> int:
        # Workers come and go; where there are none yet, a scheduler that can start some must see that files wait.
        if self._client and time.monotonic() - self._looked_at > 5:
            threads = cast(dict[str, int], self._client.nthreads())
            self._room, self._looked_at = max(WAITING_EACH * sum(threads.values()), LEAST_ROOM), time.monotonic()
        return self._room

    @property
    def pids(self) -> list[int]:
        return []

    def submit(self, task: Task) -> Future[Reduced]:
        future: Future[Reduced] = Future()
        try:
            # Not pure: the file at an address may be another one tomorrow.
            job = self._connected().submit(attempt, task, pure=False, retries=MOST_TRIES - 1)
        except SourceError as error:
            future.set_exception(error)
            return future
        except Exception as error:
            # The scheduler was lost after it had been reached.
            future.set_exception(self._not_read(task, error))
            return future
        future.set_running_or_notify_cancel()
        job.add_done_callback(lambda job: self._settle(future, task, job))
        return future

    def _settle(self, future: Future[Reduced], task: Task, job: Any) -> None:
        try:
            outcome = job.result()
        except BaseException as error:
            outcome = self._not_read(task, error)
        if isinstance(outcome, BaseException):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)

    def _not_read(self, task: Task, error: BaseException) -> SourceError:
        why = f"{type(error).__name__}: {str(error)[:300]}"
        return SourceError(f"{task.name}: not read on the Dask cluster at {self._address} ({why})")

    def _connected(self) -> "distributed.Client":
        with self._lock:
            if self._error:
                raise self._error
            if self._client is None:
                try:
                    self._client = self._connect()
                except SourceError as error:
                    self._error = error
                    raise
            return self._client

    def _connect(self) -> "distributed.Client":
        try:
            import distributed
        except ImportError:
            raise SourceError(
                "ALTFLOW_DASK_SCHEDULER is set, but Dask is not installed: pip install altflow[cluster], "
                "or take the setting out"
            ) from None
        try:
            return distributed.Client(self._address, timeout=CONNECT_SECONDS, set_as_default=False)
        except (OSError, ValueError) as error:
            raise SourceError(
                f"no Dask scheduler at ALTFLOW_DASK_SCHEDULER={self._address} ({type(error).__name__}: "
                f"{str(error)[:200]}); start it, correct the address, or take the setting out"
            ) from None

    def close(self) -> None:
        if self._client:
            self._client.close(timeout=CONNECT_SECONDS)


if __name__ == "__main__":
    # What a library prints must not stand among the answers.
    with os.fdopen(os.dup(1), "wb") as private:
        os.dup2(2, 1)
        serve(sys.stdin.buffer, private)
