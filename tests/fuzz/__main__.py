"""python -m tests.fuzz --minutes M: fuzzes everything that reads bodies, and ends with 1 where anything was found.

Guided by coverage where Atheris is installed (`make fuzz` tries to), else by recorded bodies alone.
"""

import argparse
import importlib.util
import json
import random
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
FOLDER = ROOT / "fuzz-findings"
CPU_SECONDS, MEMORY_BYTES = 120, 4 << 30


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--engine", choices=["atheris", "random"])
    parser.add_argument("--only", default="", help="targets whose names contain this")
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))
    parser.add_argument("--costs", help="JSON, target to bodies: prints what they cost")
    args = parser.parse_args()
    if args.costs:
        return costs(json.loads(args.costs))
    engine = args.engine or ("atheris" if importlib.util.find_spec("atheris") else "random")
    print(f"fuzzing for {args.minutes:g} minutes, engine {engine}, seed {args.seed}; findings go to {FOLDER.name}/")
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()
    if engine == "atheris":
        guided = [sys.executable, "-m", "tests.fuzz.guided", str(args.minutes), args.only, str(args.seed), str(FOLDER)]
        ended = subprocess.run(guided, cwd=ROOT).returncode
    else:
        ended = unguided(args.minutes * 60, args.only, args.seed)
    found = sorted(FOLDER.iterdir())
    for path in found:
        if path.suffix == ".txt":
            print(f"\n{path.read_text()}")
    print(f"{len([path for path in found if path.suffix != '.txt'])} findings in {FOLDER.name}/")
    return 1 if found or ended else 0


def unguided(seconds: float, only: str, seed: int) -> int:
    """One target after the other, again and again, until so much processor time has passed."""
    from tests.fuzz import bodies
    from tests.fuzz.harness import Watch, all_targets

    watch, choose, count = Watch(FOLDER), random.Random(seed), 0
    targets = [target for target in all_targets() if only in target.name]
    while time.process_time() < seconds:
        target = choose.choice(targets)
        for _ in range(200):
            watch.read(target, bodies.mutated(choose, choose.choice(target.seeds), target.seeds))
        count += 200
    print(f"{count} bodies in {time.process_time():.0f} s of processor time")
    return 0


def costs(names: dict[str, list[str]]) -> int:
    """Prints target, body, bytes, seconds, mebibytes and finding of each as JSON. The process is killed before it
    could take the machine."""
    from tests.fuzz.harness import all_targets, measured, worst_of

    targets = {target.name: target for target in all_targets()}
    told = []
    for name, wanted in names.items():
        worst = worst_of(targets[name])
        for body in wanted or worst:
            content = worst[body]()
            used = int(time.process_time()) + CPU_SECONDS
            resource.setrlimit(resource.RLIMIT_CPU, (used, resource.RLIM_INFINITY))
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, resource.RLIM_INFINITY))
            finding, seconds, grown = measured(targets[name], content)
            told.append(
                {
                    "target": name,
                    "body": body,
                    "bytes": len(content),
                    "seconds": round(seconds, 2),
                    "mebibytes": grown >> 20,
                    "finding": finding and f"{finding.kind}\n{finding.told}",
                }
            )
    print(json.dumps(told))
    return 0


if __name__ == "__main__":
    sys.exit(main())
