"""One run: whose turn it is, what day it is, who is asked, and what must be closed at the end."""

import gc
import json
import os
import subprocess
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path

from orchestration import plan, publish, status
from orchestration.archive import Archive
from orchestration.asking.context import Progress
from orchestration.builder import Builder
from orchestration.expectations.validator import Validator
from orchestration.ingest import Ingest, flows_of
from orchestration.settings import ROOT, Settings, shown
from orchestration.sources.body import Window
from orchestration.sources.exchange import Klines, TradePages
from orchestration.sources.http import Http
from orchestration.sources.registry import EXCHANGES, followed
from orchestration.warehouse import Lock, Warehouse

SCHEDULED_WAIT_SECONDS = 30 * 60
ROOM_MIB = 500
FULL_MIB = 64
"""What a run needs to begin; below which a failure is put down to the disk."""


class RunError(Exception):
    """The run cannot begin; the message says why and what to do."""


@dataclass
class Run:
    """What the assets of one run share."""

    run_id: str
    settings: Settings
    window: Window
    warehouse: Warehouse
    archive: Archive
    validator: Validator
    ingest: Ingest
    progress: Progress
    builder: Builder


@cache
def code_version() -> str:
    """The commit that runs, with `+` where files differ from it; the distribution's version elsewhere."""
    try:
        described = subprocess.run(
            ["git", "-C", str(ROOT), "describe", "--always", "--dirty=+", "--abbrev=12", "--exclude=*"],
            capture_output=True,
            text=True,
            timeout=5,
        )
        if described.returncode == 0 and described.stdout.strip():
            return described.stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        pass
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("altflow")
    except PackageNotFoundError:
        return "unknown"


class Upstreams:
    """The outside world of a run: the real hosts, a sandbox that runs already, or one of our own.

    `base` is None for the real hosts; `catalog` is what a sandbox says that it serves."""

    def __init__(self, base: str | None, process: subprocess.Popen | None = None):
        self.base = base
        self.catalog: dict | None = None
        self._process = process

    @classmethod
    def start(cls, settings: Settings, end: date | None = None) -> "Upstreams":
        """Returns at once; `wait` before the first request. `end`: the first day that is to be open, where
        that is not in the future."""
        if settings.source == "live" or settings.upstreams:
            return cls(settings.upstreams)
        command = [sys.executable, "-m", "orchestration", "sandbox", "--with-parent"]
        if settings.market_dir:
            command += ["--market", str(settings.market_dir)]
        today = first_open_day(settings)
        command += ["--now", min(end or today, today).isoformat()]
        pipe = subprocess.PIPE
        return cls(None, subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, cwd=ROOT, text=True))

    def wait(self) -> "Upstreams":
        """Returns when they answer. Raises RunError where the sandbox does not come up."""
        if self._process and not self.base:
            assert self._process.stdout
            line = self._process.stdout.readline()
            try:
                self.base = json.loads(line)["url"]
            except (ValueError, KeyError):
                self._process.kill()
                _, errors = self._process.communicate()
                raise RunError(f"the sandbox did not start: {errors.strip()[-500:] or line!r}") from None
            _drain(self._process)
        if self.base and self.catalog is None:
            self.catalog = _catalog(self.base)
        return self

    def close(self) -> None:
        if self._process:
            self._process.kill()
            self._process.wait()


@dataclass
class Companions:
    """The child processes of a run. Started early, they get ready on another core."""

    validator: Validator
    upstreams: Upstreams
    builder: Builder

    @classmethod
    def start(cls, settings: Settings, end: date | None) -> "Companions":
        """`end`: the first day that is still open. Where no new day is expected, Great Expectations and dbt
        are not imported before somebody needs them."""
        early = new_day_expected(settings, end)
        return cls(Validator.start(early), Upstreams.start(settings, end), Builder.start(settings, early))

    def close(self) -> None:
        self.validator.close()
        self.upstreams.close()
        self.builder.close()


def new_day_expected(settings: Settings, end: date | None) -> bool:
    """Whether this run will load days that the one before did not have."""
    reached = status.incomplete_from(settings)
    return reached is None or end is None or reached < end


def _drain(process: subprocess.Popen) -> None:
    """Reads and drops what the child says, so that it never waits for us."""
    import threading

    def drain(stream) -> None:
        for _ in stream:
            pass

    for stream in (process.stdout, process.stderr):
        threading.Thread(target=drain, args=(stream,), daemon=True).start()


def _catalog(base: str) -> dict | None:
    """What a sandbox serves; None where `base` is not a sandbox."""
    import requests

    try:
        with requests.Session() as session:
            session.trust_env = False
            answer = session.get(f"{base.rstrip('/')}/_sandbox/catalog", timeout=(5, 30))
    except requests.RequestException as error:
        said = f"ALTFLOW_UPSTREAMS={shown(base)}: no answer ({type(error).__name__})"
        raise RunError(f"{said}; start it with `altflow sandbox`") from None
    return answer.json() if answer.status_code == 200 else None


def first_open_day(settings: Settings) -> date:
    """The first day that is not closed yet: today (UTC), or the day after a recording ends."""
    if settings.market_dir:
        return last_recorded_day(settings.market_dir) + timedelta(days=1)
    return datetime.now(UTC).date()


def last_recorded_day(market: Path) -> date:
    """The day of the newest daily bar of a recorded market. Raises RunError where it has none."""
    import pyarrow.parquet as parquet

    path = market / "binance" / "spot" / "klines_1d.parquet"
    try:
        metadata = parquet.read_metadata(path)
        column = metadata.schema.to_arrow_schema().names.index("open_time")
        groups = [metadata.row_group(i).column(column).statistics for i in range(metadata.num_row_groups)]
        newest = max(group.max for group in groups)
    except (OSError, ValueError, AttributeError) as error:
        raise RunError(f"{path}: not the klines of a recorded market ({error})") from None
    return (datetime(1970, 1, 1) + timedelta(milliseconds=newest)).date()


def closed_window(settings: Settings, catalog: dict | None, start: date | None, end: date | None) -> Window:
    """Days [start, end) of a run; `start` and `end` (excluded) narrow what the settings ask for, a sandbox
    that runs elsewhere says what its day is.

    Raises RunError for a window without a closed day."""
    first = start or settings.start
    reachable = date.fromisoformat(catalog["now"][:10]) if catalog else first_open_day(settings)
    last = min(end or reachable, reachable)
    if first >= last:
        raise RunError(f"no closed UTC day between {first} and {last - timedelta(days=1)}: nothing to fetch")
    return Window(first, last)


@contextmanager
def open_run(
    settings: Settings,
    run_id: str,
    datasets: set[str],
    start: date | None = None,
    end: date | None = None,
    exchanges: Sequence[str] | None = None,
    lock: Lock | None = None,
    wait_seconds: float = 0,
    progress: Progress | None = None,
    on_lock: Callable[[], object] | None = None,
    companions: Companions | None = None,
    is_start_named: bool = False,
    goes_back: bool = False,
) -> Iterator[Run]:
    """Everything a run needs, in the order: lock, folder, upstreams, checks; fetching has begun.

    `start` and `end` (excluded) are days, `is_start_named`: somebody named `start`; `goes_back`: archives are asked for
    days before the first that was ever asked of them, too, as where `start` is named; `exchanges`: whose flows to ask
    for, None for all; `lock`, `companions`: what the caller holds already. `on_lock` is called once nobody else can
    write.
    Raises LockHeld, WarehouseError, RunError."""
    with ExitStack() as stack:
        if lock is None:
            lock = Lock(settings.lock_path)
            lock.acquire(wait_seconds)
            stack.callback(lock.release)
        if on_lock:
            on_lock()
        _collect_less()
        require_room(settings.data_dir)
        warehouse = Warehouse(settings.warehouse_path)
        warehouse.prepare(settings)
        warehouse.keep()
        stack.callback(warehouse.release)
        publish.note_headlines(warehouse, settings)
        if companions is None:
            companions = Companions.start(settings, end)
            stack.callback(companions.close)
        validator, upstreams = companions.validator, companions.upstreams.wait()
        window = closed_window(settings, upstreams.catalog, start, end)
        warehouse.begin_run(run_id, settings, window, code_version())
        archive = Archive(settings.archive_dir)
        stack.callback(archive.close)
        http = Http(upstreams.base)
        stack.callback(http.close)
        report = progress or (lambda what, done, total: None)
        ingest = Ingest(
            settings, run_id, window, http, archive, warehouse, validator, upstreams.catalog, report, is_start_named,
            () if is_start_named or goes_back else status.asked_to_the_end(settings),
        )  # fmt: skip
        stack.callback(ingest.stop)
        begun = {"run_id": run_id, "pid": os.getpid(), "started_at": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"}
        status.note(settings, state="running", **begun)
        stack.callback(_note_end, settings, warehouse, ingest, run_id)
        ingest.start(datasets, exchanges)
        yield Run(run_id, settings, window, warehouse, archive, validator, ingest, report, companions.builder)


def _note_end(settings: Settings, warehouse: Warehouse, ingest: Ingest, run_id: str) -> None:
    """Leaves in status.json how the run ended, what did not arrive, and where the next one begins."""
    state = "published" if status.published_run(settings) == run_id else "not published"
    status.note(
        settings,
        state=state,
        ended_at=f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        gaps=warehouse.gaps(run_id),
        absences=warehouse.absences(run_id),
        **where_to_begin(warehouse, settings, [name for name in EXCHANGES if flows_of(name) in ingest.came_whole]),
    )


def where_to_begin(warehouse: Warehouse, settings: Settings, exchanges: Collection[str]) -> dict:
    """What status.json tells the next run: by exchange the first day that is not complete, and since when history is
    wanted. `exchanges`: those whose flows came to their end, with or without gaps; of others what it told stands."""
    found = status.read(settings)
    days = {name: _first_day_lacking(warehouse, settings, name) for name in exchanges}
    told = {name: day.isoformat() if day else None for name, day in days.items()}
    is_whole = set(followed(settings)) <= set(exchanges)
    start = settings.start.isoformat()
    return {
        "exchanges_incomplete_from": found.get("exchanges_incomplete_from", {}) | told,
        "history_from": start if is_whole else found.get("history_from", start),
    }


def _first_day_lacking(warehouse: Warehouse, settings: Settings, exchange: str) -> date | None:
    """The first UTC day that some trading symbol of an exchange still lacks; None: no day before this one is to be had.

    Of pages of trades and of archives, which are gigabytes, nothing is lacking before the first day that was asked
    for; what an exchange says that it has not got is not lacking. One that never answered lacks everything."""
    flows, firsts = EXCHANGES[exchange].flows, []
    answered, given_up = warehouse.asked(exchange, "spot_flows"), warehouse.given_up(exchange)
    if not isinstance(flows, TradePages) and not answered and not given_up:
        return settings.start
    gaps = warehouse.first_gaps(exchange)
    has_history = isinstance(flows, Klines)
    for scope in ["*"] if "*" in answered else warehouse.trading_symbols(exchange):
        lost = [Window(day, day + timedelta(days=1)) for day in given_up.get(scope, ())]
        known = [*answered.get(scope, []), *lost]
        if not known and not has_history:
            continue
        asked_from = min([*(window.start for window in known), gaps.get(scope, date.max)])
        begun = settings.start if has_history else max(settings.start, asked_from)
        reached = max((window.end for window in known), default=settings.start)
        lacking = plan.missing(Window(begun, reached), known)
        firsts.append(lacking[0].start if lacking else reached)
    return min(firsts, default=None)


def _collect_less() -> None:
    """Parsing makes millions of short-lived lists and nothing cyclic: to look for cycles as often as Python
    does by default is a tenth of a run."""
    gc.set_threshold(200_000, 20, 20)


def require_room(folder: Path) -> None:
    """Raises RunError where the folder cannot be written or the disk is nearly full."""
    if not os.access(folder, os.W_OK):
        raise RunError(f"{folder} cannot be written: check its owner and rights, or set ALTFLOW_DATA_DIR")
    free = _free_mib(folder)
    if free < ROOM_MIB:
        raise RunError(
            f"{folder} has only {free} MiB free; altflow needs {ROOM_MIB} MiB to start a run: make room, or set "
            "ALTFLOW_DATA_DIR to a folder on a larger disk"
        )


def full_disk(folder: Path) -> str | None:
    """What to say of a run that failed where the disk is full now; None where it is not."""
    free = _free_mib(folder)
    if free >= FULL_MIB:
        return None
    return (
        f"the disk of {folder} is full ({free} MiB free): make room, then run again; what was committed and what is "
        "published stands, and the next run goes on from there"
    )


def _free_mib(folder: Path) -> int:
    import shutil

    return shutil.disk_usage(folder).free // 2**20
