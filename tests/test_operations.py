"""What docs/operations.md promises: units that start what there is, a backup that can be gone on from."""

import configparser
import shlex
import shutil
from pathlib import Path

import pytest

from orchestration import cli
from tests import recorded
from tests.commandline import altflow, differences

KEPT = ("archive", "warehouse.duckdb", "alerts.jsonl", "brief")
"""the list of docs/operations.md"""


def units(root: Path, kind: str) -> dict[str, configparser.SectionProxy]:
    """Section `kind` of the files that have it, by name of the file."""
    found = {}
    for path in sorted((root / "docs/systemd").iterdir()):
        unit = configparser.ConfigParser(interpolation=None, strict=False)
        unit.read(path)
        if kind in unit:
            found[path.name] = unit[kind]
    return found


def test_services_start_commands_that_exist(root: Path) -> None:
    services = units(root, "Service")
    assert set(services) == {"altflow.service", "altflow-ui.service", "altflow-stale.service"}
    for service in services.values():
        program, *arguments = shlex.split(service["ExecStart"])
        assert program == "/srv/altflow/.venv/bin/altflow"
        assert cli.parser().parse_args(arguments).command == arguments[0]
        assert service["ReadWritePaths"] == "/srv/altflow/data"


def test_the_timer_ticks_as_the_schedule_does(root: Path) -> None:
    from orchestration.defs.schedules import CRON

    assert units(root, "Timer")["altflow.timer"]["OnCalendar"] == "*-*-* 00,10:30:00 UTC"
    assert CRON == ["30 0 * * *", "30 10 * * *"]


@pytest.mark.chaos
def test_a_restored_backup_goes_on(market: Path, tmp_path: Path) -> None:
    data = recorded.run(market)
    restored = tmp_path / "restored"
    restored.mkdir()
    for name in KEPT:
        copy = shutil.copytree if (data / name).is_dir() else shutil.copy2
        copy(data / name, restored / name)

    verified = altflow("doctor", "--verify-archive", data=restored, settings={"SOURCE": "recorded"})
    assert verified.returncode == 0, verified.stdout + verified.stderr
    arguments = ("run", "--source", "recorded", "--market", str(market), "--end", "2025-06-14")
    done = altflow(*arguments, data=restored)
    assert done.returncode == 0, done.stdout + done.stderr
    assert differences(data / "published/marts.duckdb", restored / "published/marts.duckdb") == []
