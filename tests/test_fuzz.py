"""What reads a body gives rows or a SourceError, whatever the body is; and costs little.

`make fuzz` does the same for minutes, with Atheris where it can be installed.
"""

import importlib
import inspect
import json
import pkgutil
import random
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from orchestration import sources
from orchestration.sources.body import Body
from orchestration.sources.http import Answer
from tests.fuzz import bodies
from tests.fuzz.harness import Finding, all_targets, attempt
from tests.fuzz.targets import Target

ROOT = Path(__file__).resolve().parent.parent
TARGETS = all_targets()
BY_NAME = {target.name: target for target in TARGETS}
EXAMPLES = 1500


def told(finding: Finding | None) -> str:
    return f"{finding.target}: {finding.kind}\n{finding.content[:400]!r}\n{finding.told}" if finding else ""


# --- every parser


def readers() -> dict[str, Callable]:
    """Public functions of orchestration.sources that take a body, an answer or bytes, and nothing else."""
    found = {}
    for each in pkgutil.iter_modules(sources.__path__, f"{sources.__name__}."):
        module = importlib.import_module(each.name)
        for name, function in inspect.getmembers(module, inspect.isfunction):
            if function.__module__ != each.name or name.startswith("_"):
                continue
            parameters = list(inspect.signature(function).parameters.values())
            if len(parameters) == 1 and parameters[0].annotation in (Body, Answer, bytes):
                found[f"{each.name}.{name}"] = function
    return found


def unfuzzed(fuzzed: Sequence[Target]) -> list[str]:
    tried = {parser.func if isinstance(parser, partial) else parser for target in fuzzed for parser in target.parsers}
    return [name for name, function in readers().items() if function not in tried and name not in BELOW]


BELOW = {
    "orchestration.sources.trade_pages.stuck": "makes an error and reads nothing",
}
"""readers that need no target, and why"""


def test_every_reader_of_bodies_is_fuzzed():
    assert len(readers()) > 50
    assert not unfuzzed(TARGETS), "name it among the `parsers` of a target in tests/fuzz/targets.py"
    assert unfuzzed([target for target in TARGETS if not target.name.startswith("fred")]) == [
        "orchestration.sources.fred.parse_series"
    ]


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_a_target_understands_what_was_recorded_and_refuses_what_is_hostile(target: Target):
    """Bodies that nobody understands would fuzz an error message."""
    assert target.seeds
    if " asked " not in target.name:
        for seed in target.seeds:
            target.read(seed)
    findings = [attempt(target, content) for content in bodies.HOSTILE.values()]
    assert not any(findings), told(next(filter(None, findings)))


@settings(max_examples=EXAMPLES, derandomize=True, database=None, deadline=None, phases=[Phase.generate])
@given(st.sampled_from(TARGETS), st.integers(0, 2**32))
def test_rows_or_an_error_that_says_why(target: Target, number: int):
    choose = random.Random(number)
    content = bodies.mutated(choose, choose.choice(target.seeds), target.seeds)
    finding = attempt(target, content)
    assert finding is None, told(finding)


@settings(max_examples=300, derandomize=True, database=None, deadline=None, phases=[Phase.generate])
@given(st.sampled_from(TARGETS), st.binary(max_size=200))
def test_bytes_of_any_kind(target: Target, content: bytes):
    finding = attempt(target, content)
    assert finding is None, told(finding)


def test_the_harness_finds_what_breaks_the_promise():
    broken = {
        "raises": lambda content: content[10_000],
        "cannot be written": lambda content: "\ud800".encode(),
        "comes to nothing": lambda content: (_ for _ in ()).throw(AssertionError),
    }
    for read in broken.values():
        assert attempt(Target("broken", read, (b"",)), b"[]")


# --- what was found: the smallest body of each finding


FOUND = json.loads((Path(__file__).parent / "fuzz" / "found.json").read_text())


@pytest.mark.parametrize("found", FOUND, ids=lambda found: f"{found['target']}: {found['was']}"[:80])
def test_what_was_found_stays_mended(found: dict):
    content = bytes.fromhex(found["hex"]) if "hex" in found else found["body"].encode("utf-8", "surrogatepass")
    finding = attempt(BY_NAME[found["target"]], content)
    assert finding is None, told(finding)


# --- what it may cost

WORST = {
    "zip of klines": ("zip bomb", "zip bomb that says 10 bytes", "zip bomb of rows", "zip of many"),
    "binance flows": ("a page of rows that open nowhere", "a megabyte of lists"),
    "binance_usdm perpetual_metrics": ("zip of distinct rows of nothing",),
    "binance_usdm looks at depth": ("zip of 200,000 rows of nothing",),
    "okx reduced trades": ("a megabyte of lists", "a megabyte of objects"),
    "okx file": ("gzip bomb of lines", "gzip bomb of no trades"),
    "imported_caps": ("gzip bomb", "gzip bomb of no trades"),
    "a bucket's listing": ("open entries", "open keys", "open prefixes"),
    "a pack of the archive": ("a card that says 1 TB",),
    "defillama stablecoins": ("a megabyte of objects",),
}
"""bodies that once took minutes or gigabytes, or that are the worst of their kind"""


def costs(names: dict[str, Sequence[str]]) -> list[dict]:
    """What the bodies cost in a process that may take 4 GiB and two minutes of processor time at most; an empty list
    of bodies stands for all of a target."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz", "--costs", json.dumps(names)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=1200,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


def test_the_worst_bodies_cost_little():
    """Memory is measured; time is only bounded by the process's limit, so that a busy machine fails nothing."""
    told = costs(WORST)
    assert len(told) == sum(map(len, WORST.values()))
    for cost in told:
        most = 128 if cost["target"].endswith(" file") else 64
        assert not cost["finding"] and cost["mebibytes"] <= most, cost


@pytest.mark.chaos
def test_all_bad_bodies_cost_little():
    for cost in costs({name: () for name in BY_NAME}):
        most = 128 if cost["target"].endswith(" file") else 64
        assert not cost["finding"] and cost["mebibytes"] <= most and cost["seconds"] <= 10, cost
