"""What befalls a run: a kill at a named step, a disk that fills up, a clock that is wrong.

`python -m tests.disturbance PLAN ARGUMENT…` is `altflow ARGUMENT…` under the plan (JSON of `Plan`). `raw` and `publish`
are two layers of a run, for a process that was forked from one that has imported everything: they cost no start-up.
"""

import contextlib
import faulthandler
import importlib
import json
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

RAW_STEPS = (
    "run:require_room",
    "run:_note_end",
    "status:note",
    "archive:Archive.append",
    "archive:Archive.sync",
    "warehouse:Warehouse.prepare",
    "warehouse:Warehouse.begin_run",
    "warehouse:Warehouse.replace_window",
    "warehouse:Warehouse.note_gaps",
    "warehouse:Warehouse.note_absences",
    "warehouse:_replace",
    "warehouse:_index_bodies",
    "warehouse:_quarantine",
    "warehouse:_note_asked",
)
"""Module and function of a step of fetching, archiving and committing."""
PUBLISH_STEPS = (
    "publish:_remove_leftovers",
    "publish:_judge",
    "publish:_copy_marts",
    "publish:_stamp",
    "parquet:write",
    "publish:_finish_database",
    "publish:_as_of",
    "durable:sha256",
    "publish:_swap_database",
    "publish:remove_wal",
    "publish:_swap_parquet",
    "durable:write_json",
    "publish:note_headlines",
    "durable:sync",
    "alerts:record",
)
BUILD_STEPS = (
    "builder:Finished",
    "builder:Builder.build",
    "warehouse:Warehouse.note_build",
    "warehouse:Warehouse.release",
    "marts:note_verdicts",
    "commands.progress_bar:ProgressBar.__call__",
)

LOCKED, CRASHED = 4, 70


@dataclass(frozen=True)
class Blow:
    """What strikes at the `nth` call of a step: before it or `after`, so many seconds later."""

    what: str
    """kill, kill a child, kill all, fill the disk"""
    step: str
    nth: int = 1
    after: bool = False
    seconds: float = 0.0


@dataclass(frozen=True)
class Plan:
    """One disturbed run. `struck`: a file outside of the data folder that gets a line when a blow lands; `ballast`:
    where the file grows that fills the disk, `spare` bytes are left; `clock`: seconds that this machine is ahead."""

    struck: str
    blows: tuple[Blow, ...] = ()
    ballast: str | None = None
    spare: int = 0
    clock: float = 0.0
    settings: dict[str, str] = field(default_factory=dict)
    """of a layer: data, url, start, exchanges, run_id"""

    def text(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def read(cls, text: str) -> "Plan":
        told = json.loads(text)
        return cls(**told | {"blows": tuple(Blow(**blow) for blow in told["blows"])})


def arm(plan: Plan) -> None:
    """Puts every blow of the plan where it is to strike."""
    for blow in plan.blows:
        module, _, name = blow.step.partition(":")
        owner: Any = importlib.import_module(f"orchestration.{module}")
        *path, last = name.split(".")
        for part in path:
            owner = getattr(owner, part)
        setattr(owner, last, _struck(getattr(owner, last), blow, plan))


def _struck(step: Callable, blow: Blow, plan: Plan) -> Callable:
    calls = 0

    def disturbed(*arguments, **options):
        nonlocal calls
        calls += 1
        is_turn = calls == blow.nth
        if is_turn and not blow.after:
            strike(blow, plan)
        done = step(*arguments, **options)
        if is_turn and blow.after:
            strike(blow, plan)
        return done

    return disturbed


def strike(blow: Blow, plan: Plan) -> None:
    if blow.seconds:
        timer = threading.Timer(blow.seconds, _strike, (blow, plan))
        timer.daemon = True
        timer.start()
    else:
        _strike(blow, plan)


def _strike(blow: Blow, plan: Plan) -> None:
    with open(plan.struck, "a") as file:
        file.write(f"{blow.what} {'after' if blow.after else 'before'} {blow.step}\n")
    if blow.what == "fill the disk":
        assert plan.ballast
        fill(Path(plan.ballast), plan.spare)
        return
    children = sorted(_children())
    if blow.what == "kill a child":
        children = children[blow.nth % len(children) :][:1] if children else []
    for child in children if blow.what != "kill" else []:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
    if blow.what != "kill a child":
        os.kill(os.getpid(), signal.SIGKILL)


def _children() -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if int(stat.read_text().rpartition(")")[2].split()[1]) == os.getpid():
                found.append(int(stat.parent.name))
    return found


def fill(ballast: Path, spare: int) -> None:
    """Leaves `spare` bytes of the file system that holds `ballast`."""
    with open(ballast, "ab") as file:
        chunk = 2**30
        while chunk >= 4096:
            try:
                os.posix_fallocate(file.fileno(), os.fstat(file.fileno()).st_size, chunk)
            except OSError:
                chunk //= 2
        file.truncate(max(0, os.fstat(file.fileno()).st_size - spare))


# --- layers --------------------------------------------------------------------------------------


def layer(what: Callable[[Plan], None], plan: Plan, said: Path) -> None:
    """Runs one layer of a run to its end, the body of a forked process; what it says goes to `said`."""
    out = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for descriptor in (1, 2):
        os.dup2(out, descriptor)
    sys.stdout, sys.stderr = (os.fdopen(os.dup(n), "w", buffering=1) for n in (1, 2))
    faulthandler.register(signal.SIGUSR1)
    from orchestration.run import RunError
    from orchestration.warehouse import LockHeld, WarehouseError

    code = 0
    try:
        arm(plan)
        if plan.clock:
            set_clock(plan.clock)
        what(plan)
    except LockHeld as error:
        print(error)
        code = LOCKED
    except (WarehouseError, RunError) as error:
        print(error)
        code = 1
    except BaseException:
        traceback.print_exc()
        code = CRASHED
    os._exit(code)


def set_clock(seconds: float) -> None:
    """Moves the clock of this process, which was started under `clock.c`, and of its children."""
    import ctypes

    ctypes.c_double.in_dll(ctypes.CDLL(None), "clock_shift").value = seconds
    os.environ["CLOCK_SHIFT"] = str(seconds)


def raw(plan: Plan) -> None:
    """Fetches, archives and commits everything, as the raw assets of a run do."""
    from orchestration.builder import Builder
    from orchestration.expectations.validator import Validator
    from orchestration.records import RECORDS
    from orchestration.run import Companions, Upstreams, open_run
    from orchestration.settings import Settings
    from orchestration.warehouse import Lock

    told = plan.settings
    settings = Settings(
        "sandbox",
        Path(told["data"]),
        start=date.fromisoformat(told["start"]),
        upstreams=told["url"],
        allow_noncommercial=True,
        exchanges=tuple(told["exchanges"].split()),
    )
    lock = Lock(settings.lock_path)
    lock.acquire()
    Validator._spawn = _forked  # pyright: ignore[reportAttributeAccessIssue]
    validator = Validator.start()
    companions = Companions(validator, Upstreams(told["url"]), Builder(settings))
    try:
        with open_run(settings, told["run_id"], set(RECORDS), lock=lock, companions=companions) as run:
            for dataset in ("spot_symbols", "spot_flows", *sorted(set(RECORDS) - {"stablecoin_chain_supplies"})):
                run.ingest.load(dataset)
            for gap in run.warehouse.gaps(told["run_id"]):
                print(f"missing: {gap['upstream']}/{gap['dataset']} {gap['message']}")
    finally:
        validator.close()


def publish(plan: Plan) -> None:
    """Publishes the marts that stand, as the end of a run does."""
    from orchestration import publish as publishing
    from orchestration.run import require_room
    from orchestration.settings import Settings
    from orchestration.warehouse import Lock, Warehouse

    settings = Settings("sandbox", Path(plan.settings["data"]))
    lock = Lock(settings.lock_path)
    lock.acquire()
    require_room(settings.data_dir)
    warehouse = Warehouse(settings.warehouse_path)
    warehouse.prepare(settings)
    publishing.note_headlines(warehouse, settings)
    publishing.publish(warehouse, settings, plan.settings["run_id"])


class Forked:
    """A child without an `exec` of its own, with what `Validator` asks of a Popen."""

    def __init__(self, pid: int, stdin: int, stdout: int):
        self.pid = pid
        self.stdin = os.fdopen(stdin, "w", encoding="utf-8")
        self.stdout = os.fdopen(stdout, encoding="utf-8")

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)

    def wait(self, timeout: float | None = None) -> int:
        try:
            return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        except ChildProcessError:
            return -signal.SIGKILL


def _forked(validator: Any) -> Any:
    """The worker of the checks, forked where Great Expectations is imported already."""
    if validator._started is None:
        asked, answers = os.pipe(), os.pipe()
        pid = os.fork()
        if pid == 0:
            for descriptor, source in enumerate((asked[0], answers[1], validator._log.fileno())):
                os.dup2(source, descriptor)
            os.closerange(3, 4096)
            os.setpgid(0, 0)
            sys.stdin = os.fdopen(0, encoding="utf-8")
            sys.argv = ["worker", str(validator._folder)]
            from orchestration.expectations import worker

            with contextlib.suppress(BaseException):
                worker.main()
            os._exit(0)
        os.close(asked[0])
        os.close(answers[1])
        validator._started = Forked(pid, asked[1], answers[0])
    return validator._started


if __name__ == "__main__":
    faulthandler.register(signal.SIGUSR1)
    arm(Plan.read(sys.argv.pop(1)))
    from orchestration.cli import entry

    entry()
