"""One more day of every exchange: each alone, and all at once, from the sandbox to raw tables.

A run over all should take as long as the slowest host: what it asks is bound by what hosts allow, not by us. Hosts
are asked at the pace of their own budgets, as live ones are. Prints ratios of one run; asserts nothing.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path

from orchestration.builder import Builder
from orchestration.expectations.validator import Validator
from orchestration.run import Companions, Upstreams, open_run
from orchestration.settings import Settings
from orchestration.sources.registry import EXCHANGES

ROOT = Path(__file__).resolve().parent.parent
START, DAY = date(2023, 2, 6), date(2023, 2, 9)
MOST = 1.2


@contextmanager
def sandbox(size: int, now: date) -> Iterator[str]:
    command = [sys.executable, "-m", "orchestration", "sandbox", "--with-parent", "--size", str(size)]
    with subprocess.Popen(
        [*command, "--now", now.isoformat()], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin and process.stdout
        try:
            yield json.loads(process.stdout.readline())["url"]
        finally:
            process.stdin.close()


def load(data: Path, url: str, exchanges: tuple[str, ...], validator: Validator, now: date) -> float:
    """Seconds from the first request to the last commit."""
    data.mkdir(exist_ok=True)
    settings = Settings("sandbox", data, start=START, exchanges=exchanges, upstreams=url)
    companions = Companions(validator, Upstreams(url), Builder(settings))
    began = time.perf_counter()
    with open_run(settings, f"run-{now}", {"spot_symbols", "spot_flows"}, end=now, companions=companions) as run:
        run.ingest.load("spot_symbols")
        loaded = run.ingest.load("spot_flows")
        assert not loaded.gaps, loaded.gaps[0]
        return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=20, help="base assets of the generated market")
    options = parser.parse_args()
    validator = Validator.start()
    together = tuple(EXCHANGES)
    alone: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="altflow-bench-") as folder:
        for now in (DAY, DAY + timedelta(days=1)):
            with sandbox(options.size, now) as url:
                for name in together:
                    alone[name] = load(Path(folder) / name, url, (name,), validator, now)
                all_at_once = load(Path(folder) / "all", url, together, validator, now)
    validator.close()
    for name, seconds in sorted(alone.items(), key=lambda item: -item[1]):
        print(f"  {name:<12} {seconds:6.1f} s alone")
    slowest = max(alone.values())
    ratio = all_at_once / slowest
    held = "held" if ratio <= MOST else "NOT HELD"
    print(
        f"all {len(together)} at once {all_at_once:.1f} s, the slowest alone {slowest:.1f} s: {ratio:.2f} x "
        f"(target <= {MOST}: {held}); one after the other they would take {sum(alone.values()):.1f} s"
    )


if __name__ == "__main__":
    main()
