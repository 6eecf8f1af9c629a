"""Whole processes of `altflow run` on the recorded market: from nothing, with nothing new, with one more day.

CPU counts every process of the run; peak memory is that of the largest one, as the kernel reports it.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STEPS = (("cold", "2025-06-13", 60), ("nothing new", "2025-06-13", 15), ("one more day", "2025-06-14", 20))
MOST_GB = 2.0


@dataclass(frozen=True)
class Cost:
    wall: float
    cpu: float
    peak_gb: float


def run(market: Path, data: Path, end: str) -> Cost:
    command = [sys.executable, "-m", "orchestration", "run", "--source", "recorded", "--market", str(market)]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ALTFLOW_", "DAGSTER_"))}
    with tempfile.TemporaryFile() as said:
        began = time.perf_counter()
        child = subprocess.Popen(
            [*command, "--end", end, "--quiet"],
            cwd=ROOT,
            env=kept | {"ALTFLOW_DATA_DIR": str(data)},
            stdout=said,
            stderr=subprocess.STDOUT,
        )
        _, status, used = os.wait4(child.pid, 0)
        wall = time.perf_counter() - began
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            said.seek(0)
            raise SystemExit(f"altflow run --end {end}: exit {child.returncode}\n{said.read().decode()[-3000:]}")
    unit = 2**30 if sys.platform == "darwin" else 2**20
    return Cost(wall, used.ru_utime + used.ru_stime, used.ru_maxrss / unit)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    market = (ROOT / os.environ.get("ALTFLOW_SHARED", "../shared") / "market").resolve()
    if not market.is_dir():
        print(f"skipped: no recorded market at {market}; set ALTFLOW_SHARED")
        return
    costs: dict[str, list[Cost]] = {}
    for number in range(1, rounds + 1):
        with tempfile.TemporaryDirectory(prefix="altflow-bench-") as data:
            for name, end, _ in STEPS:
                cost = run(market, Path(data), end)
                costs.setdefault(name, []).append(cost)
                print(f"  round {number}  {name:<13} {cost.wall:6.1f} s", flush=True)
    for name, _, most in STEPS:
        wall, cpu = (statistics.median(getattr(cost, what) for cost in costs[name]) for what in ("wall", "cpu"))
        peak = max(cost.peak_gb for cost in costs[name])
        print(
            f"{name:<13} {wall:6.1f} s wall (target <= {most} s: {_verdict(wall <= most)}), {cpu:6.1f} s CPU, "
            f"peak {peak:.2f} GiB (target <= {MOST_GB:g}: {_verdict(peak <= MOST_GB)}); median of {rounds}"
        )


def _verdict(held: bool) -> str:
    return "held" if held else "NOT HELD"


if __name__ == "__main__":
    main()
