"""A data folder that an older altflow has filled goes on under this one, and ends as if this one had begun it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.commandline import ROOT, altflow, differences, environment, small_market

RUN = ("run", "--source", "sandbox", "--end", "2026-11-20", "--quiet")
NO_SCREENS = {
    "data_quality_results": "check_id NOT IN ('R13', 'R14', 'R15', 'R16', 'R17', 'R23', 'R24')",
    "trust_tiers": "false",
}
"""Trades that were reduced before there were screens keep their bodies: what rests on screens is not measurable."""
OLDER = {
    "before Parquet by years and first days by exchange": ("0eaebc8", True, {}),
    "before screens, perpetuals, macro series, claims and the marts of single altcoins": ("d0daaf5", False, NO_SCREENS),
}
"""What was not there yet → commit; whether the bodies are those of a clean run; by table, which rows are compared."""


def tree_of(commit: str, folder: Path) -> Path:
    """The project as it was, ready to run with the packages of today."""
    known = subprocess.run(["git", "cat-file", "-e", f"{commit}^{{commit}}"], cwd=ROOT, capture_output=True)
    if known.returncode:
        pytest.skip(f"this copy of the repository has no history as far back as {commit}")
    folder.mkdir()
    archive = subprocess.run(["git", "archive", commit], cwd=ROOT, capture_output=True, check=True)
    subprocess.run(["tar", "-x"], cwd=folder, input=archive.stdout, check=True)
    subprocess.run(
        [
            *(Path(sys.executable).parent / "dbt", "--quiet", "--no-version-check", "--no-send-anonymous-usage-stats"),
            *("parse", "--project-dir", "dbt_project", "--profiles-dir", "dbt_project"),
        ],
        cwd=folder,
        env=os.environ | {"ALTFLOW_WAREHOUSE": "warehouse.duckdb"},
        check=True,
    )
    return folder


@pytest.fixture(scope="module")
def settings() -> Iterator[dict[str, str]]:
    with small_market() as url:
        yield {"UPSTREAMS": url, "START": "2026-09-01", "EXCHANGES": "binance okx coinbase"}


@pytest.fixture(scope="module")
def clean(settings: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = tmp_path_factory.mktemp("clean")
    run = altflow(*RUN, data=data, settings=settings)
    assert run.returncode == 0, run.stderr
    return data / "published" / "marts.duckdb"


@pytest.mark.chaos
@pytest.mark.parametrize("then", OLDER)
def test_a_folder_of_an_older_altflow_goes_on(then: str, clean: Path, settings: dict[str, str], tmp_path: Path):
    commit, same_bodies, rows = OLDER[then]
    data, tree = tmp_path / "data", tree_of(commit, tmp_path / "tree")
    older = subprocess.run(
        [sys.executable, "-m", "orchestration", *RUN],
        cwd=tree,
        env=environment(data, settings) | {"PYTHONPATH": str(tree)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert older.returncode == 0, older.stdout + older.stderr
    assert (data / "published" / "marts.duckdb").exists()
    run = altflow(*RUN, data=data, settings=settings)
    assert run.returncode == 0, run.stdout + run.stderr
    assert differences(clean, data / "published" / "marts.duckdb", provenance=same_bodies, rows=rows) == []
    assert altflow("doctor", "--verify-archive", data=data, settings=settings).returncode == 0
