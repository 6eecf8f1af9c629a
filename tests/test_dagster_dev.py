"""`dagster dev` from the root with nothing but workspace.yaml: the UI's "Materialize all", a tick of the schedule,
and a queue that a killed run does not block. Run by `make chaos`: it takes minutes."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
import requests

from tests.commandline import ROOT, altflow, differences, environment, small_market

pytestmark = pytest.mark.chaos

END = date(2026, 11, 20)
LOCATION = {"repositoryName": "__repository__", "repositoryLocationName": "orchestration"}

LAUNCH = """mutation($params: ExecutionParams!) { launchRun(executionParams: $params) {
  __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }"""
BACKFILL = """mutation($params: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $params) {
  __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }"""
ASSETS = "{ assetNodes { assetKey { path } isMaterializable isPartitioned partitionKeys } }"
RUN = """query($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }"""
BACKFILLS = "{ partitionBackfillsOrError { ... on PartitionBackfills { results { id status } } } }"


class Dev:
    """A `dagster dev` process and its GraphQL."""

    def __init__(self, data: Path, home: Path, settings: dict[str, str]):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        home.mkdir(parents=True, exist_ok=True)
        (home / "dagster.yaml").write_text((ROOT / "dagster.yaml").read_text())
        self.log = open(data.parent / "dagster-dev.log", "w")  # noqa: SIM115 - closed by close()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "dagster", "dev", "-h", "127.0.0.1", "-p", str(self.port)],
            cwd=ROOT,
            env=environment(data, settings) | {"DAGSTER_HOME": str(home)},
            stdout=self.log,
            stderr=self.log,
            start_new_session=True,
        )
        self.wait(lambda: self.ask("{ version }"), 90)

    def ask(self, query: str, **variables) -> dict:
        answer = requests.post(
            f"http://127.0.0.1:{self.port}/graphql", json={"query": query, "variables": variables}, timeout=30
        ).json()
        assert "errors" not in answer, answer
        return answer["data"]

    def wait(self, ready: Callable[[], object], seconds: float) -> object:
        until = time.monotonic() + seconds
        while True:
            try:
                if found := ready():
                    return found
            except (requests.RequestException, ValueError):
                pass
            assert time.monotonic() < until, "waited in vain; see dagster-dev.log"
            assert self.process.poll() is None, "dagster dev ended"
            time.sleep(1)

    def finished(self, run_id: str) -> str | None:
        status = self.ask(RUN, id=run_id)["runOrError"]["status"]
        return status if status in ("SUCCESS", "FAILURE", "CANCELED") else None

    def close(self) -> None:
        os.killpg(self.process.pid, signal.SIGINT)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.log.close()


@pytest.fixture(scope="module")
def settings():
    with small_market() as url:
        yield {"UPSTREAMS": url, "START": "2026-09-01", "EXCHANGES": "binance okx"}


@pytest.fixture(scope="module")
def clean(settings, tmp_path_factory) -> Path:
    data = tmp_path_factory.mktemp("clean") / "data"
    run = altflow("run", "--source", "sandbox", "--end", END.isoformat(), "--quiet", data=data, settings=settings)
    assert run.returncode == 0, run.stderr
    return data / "published" / "marts.duckdb"


def test_materialize_all_does_what_altflow_run_does(settings, clean, tmp_path):
    dev = Dev(tmp_path / "data", tmp_path / "home", settings)
    try:
        nodes = [node for node in dev.ask(ASSETS)["assetNodes"] if node["isMaterializable"]]
        months = next(node["partitionKeys"] for node in nodes if node["isPartitioned"])
        backfill = dev.ask(
            BACKFILL,
            params={
                "assetSelection": [{"path": node["assetKey"]["path"]} for node in nodes],
                "partitionNames": months,
            },
        )["launchPartitionBackfill"]
        assert backfill["__typename"] == "LaunchBackfillSuccess", backfill

        def ended() -> str | None:
            state = dev.ask(BACKFILLS)["partitionBackfillsOrError"]["results"][0]["status"]
            return state if state not in ("REQUESTED", "CANCELING", "FAILING") else None

        assert dev.wait(ended, 400) == "COMPLETED_SUCCESS"
    finally:
        dev.close()
    assert differences(clean, tmp_path / "data" / "published" / "marts.duckdb") == []


def test_a_tick_starts_unaided_behind_a_killed_run(settings, clean, tmp_path):
    data = tmp_path / "data"
    command = [sys.executable, "-m", "orchestration", "run", "--source", "sandbox", "--end", END.isoformat(), "--quiet"]
    killed = subprocess.Popen(command, cwd=ROOT, env=environment(data, settings), stderr=subprocess.DEVNULL)
    until = time.monotonic() + 60
    while not (data / "published" / "status.json").exists() and time.monotonic() < until:
        time.sleep(0.05)
    killed.kill()
    killed.wait()
    dev = Dev(data, data / "dagster", settings)
    try:
        tags = _tick(datetime(2026, 11, 21, 0, 30, tzinfo=UTC), data, settings)
        launched = dev.ask(
            LAUNCH,
            params={
                "selector": {**LOCATION, "pipelineName": "daily"},
                "runConfigData": {},
                "mode": "default",
                "executionMetadata": {"tags": [{"key": key, "value": value} for key, value in tags.items()]},
            },
        )["launchRun"]
        assert launched["__typename"] == "LaunchRunSuccess", launched
        assert dev.wait(lambda: dev.finished(launched["run"]["runId"]), 300) == "SUCCESS"
        states = dev.ask("{ runsOrError { ... on Runs { results { runId status } } } }")["runsOrError"]["results"]
        assert sorted(run["status"] for run in states) == ["FAILURE", "SUCCESS"]
    finally:
        dev.close()
    assert differences(clean, data / "published" / "marts.duckdb") == []


def _tick(moment: datetime, data: Path, settings: dict[str, str]) -> dict[str, str]:
    """The tags of the run that the schedule asks for at `moment`, evaluated in a process of its own."""
    code = (
        "import json, sys, datetime, dagster as dg\n"
        "from orchestration.definitions import build\n"
        "from orchestration.settings import load\n"
        "schedule = build(load).get_schedule_def('daily_schedule')\n"
        "moment = datetime.datetime.fromisoformat(sys.argv[1])\n"
        "with dg.build_schedule_context(scheduled_execution_time=moment) as context:\n"
        "    request = schedule.evaluate_tick(context).run_requests[0]\n"
        "print(json.dumps(dict(request.tags)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, moment.isoformat()],
        cwd=ROOT,
        env=environment(data, settings),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_seven_skipped_ticks_are_made_good_by_the_eighth(settings, clean, tmp_path):
    data = tmp_path / "data"
    first = altflow("run", "--source", "sandbox", "--end", "2026-11-12", "--quiet", data=data, settings=settings)
    assert first.returncode == 0, first.stderr
    tags = _tick(datetime(2026, 11, 21, 0, 30, tzinfo=UTC), data, settings)
    assert tags["altflow/end"] == "2026-11-20"
    code = (
        "import json, sys, dagster as dg\n"
        "from orchestration.definitions import build\n"
        "from orchestration.settings import load\n"
        "job = build(load).get_job_def('daily')\n"
        "with dg.DagsterInstance.ephemeral() as instance:\n"
        "    result = job.execute_in_process(instance=instance, tags=json.loads(sys.argv[1]), raise_on_error=False)\n"
        "sys.exit(not result.success)\n"
    )
    eighth = subprocess.run(
        [sys.executable, "-c", code, json.dumps(tags)],
        cwd=ROOT,
        env=environment(data, settings),
        capture_output=True,
        text=True,
    )
    assert eighth.returncode == 0, eighth.stderr[-3000:]
    # With its second new day a folder has months from a second source, which R2 compares; R23 and R24 tell its past.
    rows = {"data_quality_results": "check_id NOT IN ('R2', 'R23', 'R24')"}
    differing = differences(clean, data / "published" / "marts.duckdb", provenance=False, rows=rows)
    # Two runs on two days looked twice at the order books, and a look of a day that is over cannot be had again.
    assert [line for line in differing if not line.startswith("daily_order_book_depth: 0 only in the first")] == []
