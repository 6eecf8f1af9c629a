"""Two hundred random schedules of chaos: after each, one clean run ends in the tables of a folder that was left alone.

A seed draws what befalls a run: kills -9 at a named step or at any moment, of the run, of a child or of all of them,
days that pass, upstreams that misbehave, two runs at once, a reader, a reader that died while it wrote, a disk that is
full or read-only, a clock that is wrong. Three layers share the seeds, since a whole command costs half a minute:
`raw` fetches, archives and commits (where rows could be lost or doubled), `publish` puts a snapshot in place, `command`
is `altflow run` with dbt, checks and publish. `make schedules` runs them all; a line per schedule is in its output.
A full disk needs a file system of its own (root, mkfs.ext4, a loop device) and a wrong clock a C compiler: without them
those seeds are skipped, and the two hundred are not all.
CHAOS_WORLD=FOLDER keeps what they begin with: several processes, each with a folder and `ARGS="-k …"`, share the seeds.
"""

import json
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path

import duckdb
import pytest

from orchestration.archive import Archive
from orchestration.records import LOOKS, RECORDS
from orchestration.sandbox.fault_kinds import PASSING
from tests import disturbance
from tests.commandline import ROOT, altflow, differences, environment
from tests.disturbance import BUILD_STEPS, CRASHED, LOCKED, PUBLISH_STEPS, RAW_STEPS, Blow, Plan
from tests.test_fault_schedules import NOT_COMPARED, set_faults
from tests.test_faults import sandbox, standing_headlines
from tests.test_publish import WRITER

pytestmark = pytest.mark.chaos

START = date(2026, 10, 20)
DAYS = (date(2026, 11, 21), date(2026, 11, 22), date(2026, 11, 23))
"""Saturday, where every folder begins; Sunday; Monday, when a run looks back five weeks."""
MARKET = ("--size", "12", "--start", "2026-09-01", "--weight-limit", "0")
EXCHANGES = "binance coinbase kucoin"
"""One that serves bars, one that serves pages of trades, one that has files of trades."""
LAYER_OF = {**dict.fromkeys(range(1, 121), "raw"), **dict.fromkeys(range(121, 171), "publish")}
LAYER_OF |= dict.fromkeys(range(171, 201), "command")
USUAL_SECONDS = {"raw": 4.0, "publish": 1.2, "command": 40.0}
LONGEST_SECONDS = {"raw": 400, "publish": 300, "command": 900}
"""Hung: a hundred times what the layer takes, since others may need the machine."""
STEPS = {"raw": RAW_STEPS, "publish": PUBLISH_STEPS, "command": (*RAW_STEPS, *BUILD_STEPS, *PUBLISH_STEPS)}
MOST_CALLS = {
    "status:note": 2,
    "archive:Archive.append": 40,
    "archive:Archive.sync": 8,
    "warehouse:Warehouse.replace_window": 10,
    "warehouse:Warehouse.note_gaps": 10,
    "warehouse:Warehouse.note_absences": 10,
    "warehouse:_replace": 10,
    "warehouse:_index_bodies": 10,
    "warehouse:_quarantine": 10,
    "warehouse:_note_asked": 10,
    "builder:Finished": 200,
    "warehouse:Warehouse.note_build": 2,
    "warehouse:Warehouse.release": 2,
    "commands.progress_bar:ProgressBar.__call__": 100,
    "parquet:write": 2,
    "durable:sync": 90,
    "durable:sha256": 90,
    "publish:remove_wal": 3,
    "publish:note_headlines": 2,
}
"""How often a run comes by, about; the other steps are met once."""
UPSTREAMS = ("*", "binance", "coinbase", "kucoin", "defillama", "defillama_api", "coinmetrics", "coingecko", "fred")
KINDS = [kind for kind in PASSING if kind not in ("hang", "stall", "slow", "bomb")]
"""What takes long is in test_fault_schedules."""
HOUR, DAY = 3600.0, 86_400.0
DISK_BYTES = 900 * 2**20
SOURCE = ("run", "--source", "sandbox", "--quiet")


@dataclass(frozen=True)
class Disturbed:
    """One disturbed run of a schedule."""

    day: int
    rules: tuple[str, ...] = ()
    fault_seed: int = 1
    blows: tuple[Blow, ...] = ()
    killed_after: float | None = None
    """seconds; None: nobody outside kills it"""
    second_after: float | None = None
    """seconds after which a second run is started"""
    has_reader: bool = False
    vandal_after: float | None = None
    """seconds after which somebody opens the published file for writing and dies"""
    is_read_only: bool = False
    spare: int = 0
    clock: float = 0.0


@dataclass(frozen=True)
class Schedule:
    seed: int
    layer: str
    is_fresh: bool
    """begins in an empty folder"""
    runs: tuple[Disturbed, ...]
    exchanges: str = EXCHANGES

    @property
    def needs_disk(self) -> bool:
        return any(run.is_read_only or any(b.what == "fill the disk" for b in run.blows) for run in self.runs)

    @property
    def needs_clock(self) -> bool:
        return any(run.clock for run in self.runs)


def draw(seed: int) -> Schedule:
    chance, layer = random.Random(f"chaos {seed}"), LAYER_OF[seed]
    count = chance.choice((1, 1, 1, 2, 3)) if layer != "command" else chance.choice((1, 1, 1, 2))
    days = sorted(chance.choice((1, 2)) for _ in range(count))
    is_fresh = layer != "publish" and chance.random() < (0.4 if layer == "raw" else 0.15)
    # A folder may never get the trades of days before its first run, nor a look of a day that is over: where that
    # shows, runs are of the day on which the quiet folder began, or looked.
    is_last = is_fresh or layer == "command"
    runs = tuple(_draw_run(chance, layer, 2 if is_last else day) for day in days)
    # Files of trades are read by processes of their own, which cost half of a run.
    exchanges = EXCHANGES if layer != "raw" or seed % 4 == 0 else EXCHANGES.removesuffix(" kucoin")
    return Schedule(seed, layer, is_fresh, runs, exchanges)


def _draw_run(chance: random.Random, layer: str, day: int) -> Disturbed:
    usual, blows, killed_after = USUAL_SECONDS[layer], [], None
    if chance.random() < 0.75:
        if chance.random() < 0.3:
            killed_after = round(chance.uniform(0.02, usual), 3)
        else:
            blows.append(_draw_blow(chance, layer, chance.choice(("kill", "kill", "kill all", "kill a child"))))
    is_full = chance.random() < 0.1
    if is_full:
        blows.append(_draw_blow(chance, layer, "fill the disk"))
    rules = []
    if layer != "publish" and chance.random() < 0.35:
        for _ in range(chance.randint(1, 3)):
            kinds = "|".join(chance.sample(KINDS, chance.randint(1, 3)))
            when = chance.choice(("0.05", "0.1", "0.3", "1", "2+", "1-4"))
            rules.append(f"{chance.choice(UPSTREAMS)}:{kinds}:{when}")
    return Disturbed(
        day,
        tuple(rules),
        chance.randint(1, 10_000),
        tuple(blows),
        killed_after,
        second_after=round(chance.uniform(0, usual / 2), 3) if chance.random() < 0.15 else None,
        has_reader=chance.random() < 0.2,
        vandal_after=round(chance.choice((0.0, chance.uniform(0, usual))), 3) if chance.random() < 0.12 else None,
        is_read_only=not is_full and chance.random() < 0.05,
        spare=chance.choice((0, 4096, 2**16, 2**20, 2**23)),
        clock=chance.choice((-40 * DAY, -26 * HOUR, -2 * HOUR, 2 * HOUR, 26 * HOUR, 40 * DAY))
        if chance.random() < 0.12
        else 0.0,
    )


def _draw_blow(chance: random.Random, layer: str, what: str) -> Blow:
    step = chance.choice(STEPS[layer])
    nth = chance.randint(1, MOST_CALLS.get(step, 1))
    seconds = chance.choice((0.0, 0.0, round(chance.uniform(0.001, 0.3), 4)))
    return Blow(what, step, nth, chance.random() < 0.5, seconds)


# --- what schedules share ------------------------------------------------------------------------


@dataclass
class World:
    """The market on each day, folders to begin with, and how those ended that were left alone."""

    urls: list[str]
    base: Path
    quiet: Path
    """`base`, and one run on the last day"""
    fresh: Path
    """one run on the last day in an empty folder"""
    unpublished: Path
    """`quiet` before its publish"""
    disk: Path | None
    clock: Path | None
    forks: ForkServerContext
    tally: Counter[str] = field(default_factory=Counter)


def settings(world_urls: list[str], day: int) -> dict[str, str]:
    return {"UPSTREAMS": world_urls[day], "START": START.isoformat(), "EXCHANGES": EXCHANGES}


def run(urls: list[str], data: Path, day: int) -> None:
    """A run that nothing disturbs: published and complete."""
    done = altflow(*SOURCE, "--end", DAYS[day].isoformat(), data=data, settings=settings(urls, day))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Iterator[World]:
    with opened(Path(os.environ.get("CHAOS_WORLD") or tmp_path_factory.mktemp("world"))) as world:
        yield world
    print("\nschedules:", json.dumps(dict(sorted(world.tally.items()))))


@contextmanager
def opened(folder: Path) -> Iterator[World]:
    folder.mkdir(exist_ok=True)
    with ExitStack() as stack:
        urls = [stack.enter_context(sandbox(*MARKET, "--now", str(day + timedelta(days=1)))) for day in DAYS]
        base, quiet, fresh, unpublished = (folder / name for name in ("base", "quiet", "fresh", "unpublished"))
        if not fresh.exists():
            run(urls, base, 0)
            shutil.copytree(base, unpublished, symlinks=True)
            plan = Plan(str(folder / "struck"), (Blow("kill", "publish:publish"),))
            assert command(plan, urls, unpublished, 2, folder / "said").wait() == -signal.SIGKILL
            shutil.copytree(unpublished, quiet, symlinks=True)
            run(urls, quiet, 2)
            run(urls, fresh, 2)
        clock = _clock(folder)
        forks = multiprocessing.get_context("forkserver")
        forks.set_forkserver_preload(
            ["orchestration.run", "orchestration.publish", "orchestration.expectations.validate", "tests.disturbance"]
        )
        if clock:
            # The server of forks is started now, and what it forks can move its clock.
            os.environ["LD_PRELOAD"] = str(clock)
        try:
            forks.Process(target=time.time).start()
        finally:
            os.environ.pop("LD_PRELOAD", None)
        yield World(urls, base, quiet, fresh, unpublished, stack.enter_context(_disk(folder)), clock, forks)


def _clock(folder: Path) -> Path | None:
    """The library that moves the clock of a process; None where there is no compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if not compiler or sys.platform != "linux":
        return None
    library = folder / "clock.so"
    made = subprocess.run([compiler, "-shared", "-fPIC", "-o", library, ROOT / "tests" / "clock.c", "-ldl"])
    return library if made.returncode == 0 else None


@contextmanager
def _disk(folder: Path) -> Iterator[Path | None]:
    """A small file system of its own, in a file; None where this user may not mount one."""
    place, image = folder / "disk", folder / "disk.img"
    place.mkdir(exist_ok=True)
    with open(image, "wb") as file:
        file.truncate(DISK_BYTES)
    made = shutil.which("mkfs.ext4") and subprocess.run(["mkfs.ext4", "-q", "-m", "0", image]).returncode == 0
    if not made or subprocess.run(["mount", "-o", "loop", image, place]).returncode:
        yield None
        return
    try:
        yield place
    finally:
        subprocess.run(["mount", "-o", "remount,rw", place])
        subprocess.run(["umount", "-l", place])


# --- one schedule --------------------------------------------------------------------------------


def command(plan: Plan, urls: list[str], data: Path, day: int, said: Path) -> subprocess.Popen:
    arguments = [*SOURCE, "--end", DAYS[day].isoformat()]
    moved = {"LD_PRELOAD": plan.settings["preload"], "CLOCK_SHIFT": str(plan.clock)} if plan.clock else {}
    with open(said, "ab") as out:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.disturbance", plan.text(), *arguments],
            cwd=ROOT,
            env=environment(data, settings(urls, day)) | moved,
            stdout=out,
            stderr=out,
        )


def start(world: World, layer: str, plan: Plan, data: Path, day: int, said: Path) -> subprocess.Popen | BaseProcess:
    if layer == "command":
        return command(plan, world.urls, data, day, said)
    process = world.forks.Process(target=disturbance.layer, args=(getattr(disturbance, layer), plan, said))
    process.start()
    return process


def end(process: subprocess.Popen | BaseProcess, seconds: float) -> int | None:
    """The exit code; None where it did not end in time and had to be killed."""
    if isinstance(process, subprocess.Popen):
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired:
            pass
    else:
        process.join(seconds)
        if process.exitcode is not None:
            return process.exitcode
    assert process.pid
    for _ in range(2):
        os.kill(process.pid, signal.SIGUSR1)  # it writes where it stands
        time.sleep(5)
    process.kill()
    process.wait() if isinstance(process, subprocess.Popen) else process.join()
    return None


@dataclass
class Outcome:
    """What befell one run, and what it said."""

    codes: list[int | None]
    """of the disturbed run and, where there was one, of the second"""
    struck: str
    said: str

    @property
    def killed(self) -> bool:
        return -signal.SIGKILL in self.codes or "kill" in self.struck


def disturb(world: World, schedule: Schedule, disturbed: Disturbed, data: Path, scratch: Path) -> Outcome:
    """One disturbed run, and whoever else is there meanwhile."""
    layer = schedule.layer
    said, struck, ballast = scratch / "said", scratch / "struck", data.parent / "ballast"
    struck.write_text("")
    said.write_text("")
    published = data / "published" / "marts.duckdb"
    told = settings(world.urls, disturbed.day)
    plan = Plan(
        str(struck),
        disturbed.blows,
        str(ballast),
        disturbed.spare,
        disturbed.clock,
        {
            "data": str(data),
            "url": told["UPSTREAMS"],
            "start": told["START"],
            "exchanges": schedule.exchanges,
            "run_id": str(uuid.uuid4()),
            "preload": str(world.clock),
        },
    )
    reader = duckdb.connect(str(published), read_only=True) if disturbed.has_reader and published.exists() else None
    seen = _seen(reader) if reader else None
    if disturbed.is_read_only:
        subprocess.run(["mount", "-o", "remount,ro", str(world.disk)], check=True)
    set_faults(told["UPSTREAMS"], list(disturbed.rules), disturbed.fault_seed)
    events = {"second": disturbed.second_after, "vandal": disturbed.vandal_after, "kill": disturbed.killed_after}
    second: list[subprocess.Popen | BaseProcess] = []
    vandal: list[subprocess.Popen] = []
    began = time.monotonic()
    process = start(world, layer, plan, data, disturbed.day, said)
    try:
        for what, after in sorted(
            ((what, after) for what, after in events.items() if after is not None), key=lambda event: event[1]
        ):
            time.sleep(max(0.0, began + after - time.monotonic()))
            if what == "second":
                calm = Plan(str(struck), settings=plan.settings | {"run_id": str(uuid.uuid4())})
                second.append(start(world, layer, calm, data, disturbed.day, said))
            elif what == "vandal" and published.exists():
                vandal.append(
                    subprocess.Popen([sys.executable, "-c", WRITER, str(published)], stderr=subprocess.DEVNULL)
                )
            elif what == "kill":
                process.kill()
        codes = [end(each, LONGEST_SECONDS[layer]) for each in (process, *second)]
        for each in vandal:
            each.wait(60)
    finally:
        set_faults(told["UPSTREAMS"], [])
        ballast.unlink(missing_ok=True) if not disturbed.is_read_only else None
        if disturbed.is_read_only:
            subprocess.run(["mount", "-o", "remount,rw", str(world.disk)], check=True)
    if reader:
        with reader:
            assert _seen(reader) == seen, "a reader saw its snapshot change"
    return Outcome(codes, struck.read_text(), said.read_text(errors="replace"))


def _seen(reader: duckdb.DuckDBPyConnection) -> list[tuple]:
    return reader.execute(
        "SELECT (SELECT run_id FROM run_info), (SELECT sum(volume_usd) FROM daily_symbol_flows), "
        "(SELECT count(*) FROM daily_altcoin_flow)"
    ).fetchall()


def clean_run(world: World, schedule: Schedule, data: Path, scratch: Path) -> None:
    """The one run that follows, which nothing disturbs."""
    layer = schedule.layer
    plan = Plan(
        str(scratch / "struck"),
        settings={
            "data": str(data),
            "url": world.urls[2],
            "start": START.isoformat(),
            "exchanges": schedule.exchanges,
            "run_id": str(uuid.uuid4()),
        },
    )
    said = scratch / "clean"
    code = end(start(world, layer, plan, data, 2, said), LONGEST_SECONDS[layer])
    words = said.read_text(errors="replace")
    assert code == 0 and "missing: " not in words.replace("missing: nothing", ""), f"clean run: exit {code}\n{words}"


# --- what must hold ------------------------------------------------------------------------------


def raw_problems(quiet: Path, found: Path, exchanges: str = EXCHANGES) -> Counter[str]:
    """Rows of the raw tables that are lost, doubled, wrong or nobody's; questions that are noted otherwise. Of
    exchanges only what `exchanges` names."""
    left_out = ", ".join(f"'{name}'" for name in EXCHANGES.split() if name not in exchanges.split()) or "''"
    problems: Counter[str] = Counter()
    with duckdb.connect() as con:
        for name, folder in (("a", quiet), ("b", found)):
            con.execute(f"ATTACH '{folder}/warehouse.duckdb' AS {name} (READ_ONLY)")
        for table, record in RECORDS.items():
            grain = ", ".join(record.grain)
            same = " AND ".join(f"a.{name} = b.{name}" for name in record.grain)
            other = " OR ".join(f"a.{name} IS DISTINCT FROM b.{name}" for name in record.values) or "false"
            only = f"WHERE exchange NOT IN ({left_out})" if "exchange" in record.schema.names else ""
            a, b = (f"(FROM {side}.raw.{table} {only}) {side}" for side in "ab")
            counts = {
                "lost": f"FROM {a} ANTI JOIN {b} ON {same}",
                "doubled": f"FROM (SELECT {grain} FROM {b} GROUP BY {grain} HAVING count(*) > 1)",
                "wrong": f"FROM {a} JOIN {b} ON {same} WHERE {other}",
                "unknown": f"FROM {b} ANTI JOIN {a} ON {same}",
                "untraced": f"FROM {b} ANTI JOIN b.raw.source_files f ON b.body_sha256 = f.body_sha256",
            }
            if table in LOOKS:
                # Somebody looked on another day, too, or at another moment: that cannot be had again.
                counts = {what: counts[what] for what in ("lost", "doubled", "untraced")}
            for what, query in counts.items():
                problems[f"{what} raw.{table}"] += con.execute(f"SELECT count(*) {query}").fetchall()[0][0]
        looks = ", ".join(f"'{table}'" for table in LOOKS)
        asked = (
            f"SELECT upstream, dataset, scope, start_date, end_date FROM {{}}.raw.asked "
            f"WHERE dataset NOT IN ({looks}) AND upstream NOT IN ({left_out})"
        )
        for one, two in ("ab", "ba"):
            problems["wrong raw.asked"] += con.execute(
                f"SELECT count(*) FROM ({asked.format(one)} EXCEPT ALL {asked.format(two)})"
            ).fetchall()[0][0]
    return +problems


def archive_problems(data: Path) -> Counter[str]:
    """Bodies that the index names and the archive does not have, and packs that cannot be read to their end."""
    problems: Counter[str] = Counter()
    archive = Archive(data / "archive")
    with duckdb.connect(str(data / "warehouse.duckdb"), read_only=True) as con:
        indexed = con.execute(
            "SELECT pack, pack_offset, pack_length, byte_count, body_sha256 FROM raw.source_files"
        ).fetchall()
    for entry in indexed:
        try:
            archive.read(*entry)
        except Exception as error:
            problems[f"lost body: {error}"] += 1
    try:
        for _ in archive.entries():
            pass
    except Exception as error:
        problems[f"archive: {error}"] += 1
    return problems


def published_problems(quiet: Path, found: Path) -> list[str]:
    a, b = (folder / "published" / "marts.duckdb" for folder in (quiet, found))
    # C54 counts the days on which somebody looked.
    lines = differences(a, b, provenance=False, rows={"claims": "claim_id <> 'C54'"})
    looks = ("daily_order_book_depth: 0 only in the first",)
    lines = [line for line in lines if not line.startswith(NOT_COMPARED + looks)]
    return lines + (["headlines that stand"] if standing_headlines(a) != standing_headlines(b) else [])


def problems_of(schedule: Schedule, world: World, data: Path) -> list[str]:
    quiet = world.fresh if schedule.is_fresh else world.quiet
    counts = raw_problems(quiet, data, schedule.exchanges) + archive_problems(data)
    found = [f"{what}: {count}" for what, count in counts.items()]
    if schedule.layer != "raw":
        found += [f"wrong {line}" for line in published_problems(quiet, data)]
        left = [path.name for path in (data / "published").glob(".*")]
        found += [f"left over: {left}"] if left else []
    return found


def check(schedule: Schedule, world: World, tmp_path: Path) -> str:
    """Runs the schedule, then one clean run; whatever is not as if nothing had happened fails the test. Returns what
    the disturbed runs said."""
    if schedule.needs_disk and world.disk is None:
        pytest.skip("needs a file system of its own: root, mkfs.ext4 and a loop device")
    if schedule.needs_clock and world.clock is None:
        pytest.skip("needs a C compiler, to move a clock")
    house = world.disk / str(schedule.seed) if world.disk and schedule.needs_disk else tmp_path
    house.mkdir(exist_ok=True)
    data, began = house / "data", time.monotonic()
    if schedule.is_fresh:
        data.mkdir()
    else:
        shutil.copytree(world.unpublished if schedule.layer == "publish" else world.base, data, symlinks=True)
    tally = Counter({f"{schedule.layer} schedules": 1})
    outcomes: list[Outcome] = []
    problems: list[str] = []
    try:
        for disturbed in schedule.runs:
            outcome = disturb(world, schedule, disturbed, data, tmp_path)
            outcomes.append(outcome)
            problems += _misbehaviour(schedule, disturbed, outcome)
        try:
            clean_run(world, schedule, data, tmp_path)
        except AssertionError as error:
            problems.append(str(error))
        problems += problems_of(schedule, world, data)
    finally:
        if house is not tmp_path:
            shutil.move(data, tmp_path / "data")
            shutil.rmtree(house)
            data = tmp_path / "data"
    codes = [outcome.codes for outcome in outcomes]
    tally[f"{schedule.layer} with kill -9"] += any(outcome.killed for outcome in outcomes)
    for what in ("lost", "doubled", "wrong", "hung"):
        tally[what] += any(problem.startswith(what) for problem in problems)
    tally["other problems"] += any(not p.startswith(("lost", "doubled", "wrong", "hung")) for p in problems)
    world.tally.update(tally)
    struck = [outcome.struck.split("\n")[:-1] for outcome in outcomes]
    line = {"seed": schedule.seed, "layer": schedule.layer, "codes": codes, "struck": struck, "problems": problems}
    print("schedule", json.dumps(line | {"seconds": round(time.monotonic() - began, 1)}))
    if not problems:
        shutil.rmtree(data, ignore_errors=True)
    assert problems == [], "\n".join([str(schedule), *problems, *(outcome.said[-3000:] for outcome in outcomes)])
    return "\n".join(outcome.said for outcome in outcomes)


def _misbehaviour(schedule: Schedule, disturbed: Disturbed, outcome: Outcome) -> list[str]:
    """How the run itself must not end."""
    found = []
    has_trouble = disturbed.is_read_only or "fill" in outcome.struck or "child" in outcome.struck
    allowed = {0, -signal.SIGKILL, LOCKED if disturbed.second_after is not None else 0}
    allowed |= {1, CRASHED} if has_trouble else {1} if disturbed.clock or disturbed.vandal_after is not None else set()
    allowed |= {3, 1} if schedule.layer == "command" and (disturbed.rules or disturbed.clock) else set()
    for code in outcome.codes:
        if code is None:
            found.append("hung: no end in time")
        elif code not in allowed:
            found.append(f"exit {code}")
    if schedule.layer == "command" and "Traceback" in outcome.said:
        found.append("said a traceback")
    return found


@pytest.mark.parametrize("seed", LAYER_OF)
def test_schedule(seed: int, world: World, tmp_path: Path) -> None:
    check(draw(seed), world, tmp_path)


# --- schedules that have a name ------------------------------------------------------------------

FULL = "make room, then run again"
NAMED: dict[str, tuple[Disturbed, str]] = {
    "the disk is full while it fetches": (
        Disturbed(2, blows=(Blow("fill the disk", "archive:Archive.append", 3),)),
        FULL,
    ),
    "the disk is full while dbt builds": (Disturbed(2, blows=(Blow("fill the disk", "builder:Finished", 30),)), FULL),
    "the disk is full while it publishes": (
        Disturbed(2, blows=(Blow("fill the disk", "publish:_copy_marts"),)),
        FULL,
    ),
    "the folder cannot be written": (Disturbed(2, is_read_only=True), "set ALTFLOW_DATA_DIR"),
    "the clock is six weeks behind": (Disturbed(2, clock=-40 * DAY), ""),
    "the clock is six weeks ahead": (Disturbed(2, clock=40 * DAY), ""),
    "every upstream's clock is two hours ahead": (Disturbed(2, rules=("*:clock-skew=7200",)), ""),
    "every upstream's clock is two hours behind": (Disturbed(2, rules=("*:clock-skew=-7200",)), ""),
    "two runs at once": (Disturbed(2, second_after=0.0), "another run holds"),
    "a reader has the file all the while": (Disturbed(2, has_reader=True), ""),
    "a reader wrote and died before": (Disturbed(2, vandal_after=0.0), ""),
    "a reader wrote and died meanwhile": (Disturbed(2, vandal_after=12.0), ""),
}


@pytest.mark.parametrize("name", NAMED)
def test_named(name: str, world: World, tmp_path: Path) -> None:
    disturbed, words = NAMED[name]
    said = check(Schedule(0, "command", False, (disturbed,)), world, tmp_path)
    assert words in said, said


def test_eight_days_without_a_run(tmp_path: Path) -> None:
    """The next one gets every day that has passed, of exchanges that have no history, too."""
    data, last = tmp_path / "data", date(2026, 11, 14)
    for day in (last, last + timedelta(days=8)):
        with sandbox(*MARKET, "--now", str(day + timedelta(days=1))) as url:
            done = altflow(*SOURCE, "--end", day.isoformat(), data=data, settings=settings([url], 0))
        assert done.returncode == 0, done.stdout + done.stderr
    with duckdb.connect(str(data / "published" / "marts.duckdb"), read_only=True) as con:
        found = con.execute(
            "SELECT exchange, count(DISTINCT utc_date) FROM daily_symbol_flows WHERE utc_date > ? GROUP BY 1", [last]
        ).fetchall()
    # The last file of KuCoin comes a day later.
    assert dict(found) == {"binance": 8, "coinbase": 8, "kucoin": 7}
