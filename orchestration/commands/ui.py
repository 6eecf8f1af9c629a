"""`altflow ui`: Dagster's UI and daemon on this folder's data, schedules on."""

import argparse
import os
import sys

from orchestration import settings as settings_module
from orchestration.commands.run import dagster_home
from orchestration.settings import ROOT


def main(args: argparse.Namespace) -> int:
    settings = settings_module.load()
    environment = dict(os.environ)
    environment |= {
        "DAGSTER_HOME": dagster_home(settings),
        "ALTFLOW_SOURCE": settings.source,
        "ALTFLOW_DATA_DIR": str(settings.data_dir),
    }
    print(f"altflow ui: http://127.0.0.1:{args.port} on {settings.data_dir}; Ctrl-C ends it", file=sys.stderr)
    command = [sys.executable, "-m", "dagster", "dev", "-h", "127.0.0.1", "-p", str(args.port)]
    command += ["-w", str(ROOT / "workspace.yaml")]
    os.chdir(ROOT)
    os.execve(sys.executable, command, environment)
