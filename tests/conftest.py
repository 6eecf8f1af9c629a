"""What every test gets: no settings of the developer's shell, throw-away folders, a parsed dbt project."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

ROOT = Path(__file__).resolve().parent.parent
DBT_PROJECT = ROOT / "dbt_project"
MANIFEST = DBT_PROJECT / "target" / "manifest.json"
RECORDED_RUN = {
    "test_analyst_desk",
    "test_brief_browser",
    "test_brief",
    "test_claims",
    "test_imports",
    "test_marts_altcoins",
    "test_marts_caps",
    "test_marts_context",
    "test_marts_flows",
    "test_marts_statistics",
    "test_run",
}
LONGEST = [
    "test_marts_flows",
    "test_marts_caps",
    "test_marts_altcoins",
    "test_marts_statistics",
    "test_run",
    "test_truth",
    "test_all_exchanges",
    "test_archive_verification",
    "test_taker_estimates",
    "test_faults",
    "test_publish",
    "test_reduce",
    "test_chaos",
    "test_fault_schedules",
    "test_rebuild",
    "test_sandbox_market",
    "test_sandbox_archives",
    "test_sandbox_faults",
    "test_made_up_exchange",
]
SESSION_FOLDER = pytest.StashKey[Path]()


def pytest_configure(config: pytest.Config) -> None:
    """Isolate before collection, so that session fixtures and child processes are isolated too."""
    folder = Path(tempfile.mkdtemp(prefix="altflow-tests-"))
    config.stash[SESSION_FOLDER] = folder
    shared = os.environ.get("ALTFLOW_SHARED")
    for name in [name for name in os.environ if name.startswith(("ALTFLOW_", "DAGSTER_", "DBT_"))]:
        del os.environ[name]
    if shared is not None:
        os.environ["ALTFLOW_SHARED"] = shared
    # An empty value in the environment wins over the developer's `.env`.
    os.environ.update(dict.fromkeys(_names_in(ROOT / ".env"), ""))
    os.environ.update(_folders(folder))
    os.environ.update(DO_NOT_TRACK="1", DAGSTER_DISABLE_TELEMETRY="yes", GX_ANALYTICS_ENABLED="false")


def pytest_unconfigure(config: pytest.Config) -> None:
    shutil.rmtree(config.stash[SESSION_FOLDER], ignore_errors=True)


def pytest_sessionstart(session: pytest.Session) -> None:
    """Parse the dbt project when its manifest is missing or older than a source: definitions need it to load."""
    if MANIFEST.exists() and MANIFEST.stat().st_mtime >= _newest_dbt_source():
        return
    parse = [sys.executable, "-m", "dbt.cli.main", "--quiet", "--no-version-check", "parse"]
    folders = ["--project-dir", str(DBT_PROJECT), "--profiles-dir", str(DBT_PROJECT)]
    environment = os.environ | {"ALTFLOW_WAREHOUSE": "warehouse.duckdb"}
    done = subprocess.run([*parse, *folders], cwd=ROOT, env=environment, capture_output=True, text=True)
    if done.returncode:
        pytest.exit(f"dbt parse failed; no test was run\n{done.stdout}{done.stderr}", returncode=1)
    MANIFEST.touch()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest begins first, so that no worker is left alone at the end."""
    items.sort(key=lambda item: LONGEST.index(item.path.stem) if item.path.stem in LONGEST else len(LONGEST))


class ByFile(LoadScopeScheduling):
    """Workers share the tests by file: a file's fixtures are made once. The files that run the recorded
    market share one run of it. (xdist's own groups are lost with pytest 9.2, whose node ids are fixed.)"""

    def _split_scope(self, nodeid: str) -> str:
        stem = Path(nodeid.split("::")[0]).stem
        return "recorded_run" if stem in RECORDED_RUN else stem


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    config.option.loadscopereorder = False
    return ByFile(config, log)


def pytest_report_header() -> str:
    return f"recorded data: {_shared()}{'' if _shared().is_dir() else ' (absent)'}"


def _names_in(dotenv: Path) -> list[str]:
    lines = dotenv.read_text().splitlines() if dotenv.is_file() else []
    return [line.split("=", 1)[0].strip() for line in lines if line.startswith("ALTFLOW_") and "=" in line]


def _folders(folder: Path) -> dict[str, str]:
    """The settings that send everything written into `folder`."""
    home = folder / "dagster"
    home.mkdir(parents=True, exist_ok=True)
    shutil.copy(ROOT / "dagster.yaml", home)
    return {"ALTFLOW_DATA_DIR": str(folder / "data"), "DAGSTER_HOME": str(home)}


def _newest_dbt_source() -> float:
    built = {DBT_PROJECT / "target", DBT_PROJECT / "logs"}
    sources = [path for path in DBT_PROJECT.rglob("*") if not built.intersection([path, *path.parents])]
    return max(path.stat().st_mtime for path in sources)


def _shared() -> Path:
    return (ROOT / os.environ.get("ALTFLOW_SHARED", "../shared")).resolve()


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test writes into its own data folder and Dagster home."""
    for name, value in _folders(tmp_path).items():
        monkeypatch.setenv(name, value)


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of recorded data. Absent: the test is skipped, in CI it fails."""
    path = _shared()
    if not path.is_dir():
        reason = f"no recorded data at {path}; set ALTFLOW_SHARED"
        if os.environ.get("CI", "").lower() in ("1", "true"):
            pytest.fail(reason)
        pytest.skip(reason)
    return path


@pytest.fixture(scope="session")
def market(shared: Path) -> Path:
    """The recorded market."""
    return shared / "market"
