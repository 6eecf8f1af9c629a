"""What checking costs of a run on the recorded market: from an empty folder, and with one more day.

CPU seconds of checking by those of everything else, all from one run, so that a busy machine hardly moves it. Checks:

- the process of Great Expectations, whole, its import included;
- of dbt's process as much as the seconds of the nodes that check are of the seconds of all nodes: data tests, the
  relations of `quality`, `int_checks_judged`, and every model that nothing else than these reads;
- in the run's own process what hands marts to the suites and computes the headline a second time.

`seconds` of the single nodes are by the clock, two at a time; they name what is heavy.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STEPS = (("first run", "2025-06-13"), ("one more day", "2025-06-14"))
MOST_RATIO = 0.15
SHOWN = 12
JUDGED = {"int_checks_judged", "data_quality_results"}


def measured(out: Path, arguments: list[str]) -> int:
    """Runs `altflow` in this process and writes who used how many CPU seconds."""
    import psutil

    from orchestration import cli, marts
    from orchestration.builder import Builder
    from orchestration.expectations.validator import Validator

    nodes: defaultdict[str, float] = defaultdict(float)
    used: defaultdict[str, float] = defaultdict(float)
    build, close = Builder.build, Validator.close

    def cpu_of(process: subprocess.Popen | None) -> float:
        if process is None:
            return 0.0
        times = psutil.Process(process.pid).cpu_times()
        return times.user + times.system

    def heard(self: Builder, *options, **more):
        for finished in build(self, *options, **more):
            nodes[finished.unique_id] += finished.seconds
            used["dbt"] = cpu_of(self._process)
            yield finished

    def closed(self: Validator) -> None:
        used["suites"] += cpu_of(self._started)
        close(self)

    def timed(name: str):
        called = getattr(marts, name)

        def call(*given):
            began = time.process_time()
            try:
                return called(*given)
            finally:
                used["own process"] += time.process_time() - began

        return call

    Builder.build, Validator.close = heard, closed
    for name in ("checked_frames", "golden_failure", "note_verdicts"):
        setattr(marts, name, timed(name))
    code = cli.main(arguments)
    out.write_text(json.dumps({"nodes": nodes, "used": used}))
    return code


def checks_of(manifest: dict) -> set[str]:
    """Unique ids of all nodes of dbt that only check."""
    nodes = manifest["nodes"]
    models = {uid: node for uid, node in nodes.items() if node["resource_type"] == "model"}
    # A mart is for analysts, also where nothing but dq_grains reads it.
    marts = {uid for uid, node in models.items() if node["schema"] == "marts"}
    found = {uid for uid, node in models.items() if node["schema"] == "quality" or node["name"] in JUDGED}
    readers = {uid: [c for c in manifest["child_map"][uid] if c in models] for uid in models}
    # int_days_built waits for all and reads none.
    while more := {
        uid
        for uid in models.keys() - found - marts
        if (read := [r for r in readers[uid] if not r.endswith(".int_days_built")]) and found.issuperset(read)
    }:
        found |= more
    return found | {uid for uid, node in nodes.items() if node["resource_type"] == "test"}


def run(market: Path, data: Path, end: str) -> tuple[dict, float]:
    """What the processes told, and the CPU seconds of all of them."""
    out = data.parent / "used.json"
    command = [sys.executable, __file__, "--measure", str(out), "run", "--source", "recorded", "--market", str(market)]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ALTFLOW_", "DAGSTER_"))}
    child = subprocess.Popen(
        [*command, "--end", end, "--quiet"],
        cwd=ROOT,
        env=kept | {"ALTFLOW_DATA_DIR": str(data), "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
    )
    _, status, total = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"altflow run --end {end}: exit {child.returncode}")
    return json.loads(out.read_text()), total.ru_utime + total.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=1)
    rounds = parser.parse_args().rounds
    market = (ROOT / os.environ.get("ALTFLOW_SHARED", "../shared") / "market").resolve()
    if not market.is_dir():
        print(f"skipped: no recorded market at {market}; set ALTFLOW_SHARED")
        return
    checking = checks_of(json.loads((ROOT / "dbt_project" / "target" / "manifest.json").read_text()))
    for _ in range(rounds):
        with tempfile.TemporaryDirectory(prefix="altflow-bench-") as folder:
            for name, end in STEPS:
                told, total = run(market, Path(folder) / "data", end)
                show(name, told, total, checking)


def show(name: str, told: dict, total: float, checking: set[str]) -> None:
    nodes, used = told["nodes"], told["used"]
    heavy = sorted(((seconds, uid) for uid, seconds in nodes.items() if uid in checking), reverse=True)
    of_dbt = used["dbt"] * sum(seconds for seconds, _ in heavy) / sum(nodes.values())
    parts = {"suites": used["suites"], "nodes of dbt": of_dbt, "own process": used["own process"]}
    ratio = sum(parts.values()) / (total - sum(parts.values()))
    said = ", ".join(f"{part} {seconds:.1f} s" for part, seconds in parts.items())
    verdict = "held" if ratio <= MOST_RATIO else "NOT HELD"
    print(
        f"{name:<13} checks add {ratio:5.1%}, {total:.1f} s CPU in all (target <= {MOST_RATIO:.0%}: {verdict}): {said}"
    )
    print(
        f"  {len(heavy)} of {len(nodes)} nodes of dbt check, {sum(nodes.values()):.1f} s all, {used['dbt']:.1f} s CPU"
    )
    for seconds, uid in heavy[:SHOWN]:
        print(f"  {seconds:6.2f} s  {uid.removeprefix('model.altflow.').removeprefix('test.altflow.')[:90]}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        code = measured(Path(sys.argv[2]), sys.argv[3:])
        sys.stdout.flush()
        os._exit(code)
    main()
