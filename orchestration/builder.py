"""dbt in a process of its own: it is imported and reads the project on another core while the run fetches."""

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from orchestration.settings import ROOT, Settings

TAIL = 2_000
WHOLE = ["--full-refresh", "--exclude", "test_name:unique_grain"]
"""Everything anew. That rows are unique is judged for all marts at once by dq_grains, in every run."""
PROJECT = ROOT / "dbt_project"
PARSED = "target/partial_parse.msgpack"
"""dbt's memory of a project that it has read, below the folder that it works in."""
STATISTICS = ROOT / "orchestration" / "statistics"


class BuildError(RuntimeError):
    """dbt did not build; the message names the models and why."""


@dataclass(frozen=True)
class Finished:
    """One model, seed or test that dbt is done with; `status` as dbt words it."""

    unique_id: str
    status: str
    seconds: float


class Builder:
    """The client of one `builder_worker`, which builds once and ends.

    While it builds, nobody else may hold the warehouse open."""

    def __init__(self, settings: Settings):
        self._settings = settings
        self._log: IO[bytes] | None = None
        self._process: subprocess.Popen[str] | None = None

    @classmethod
    def start(cls, settings: Settings, early: bool = True) -> "Builder":
        """Returns at once. `early`: dbt gets ready now, else when it is first needed."""
        builder = cls(settings)
        if early:
            builder._spawn()
        return builder

    def build(self, options: list[str], same_models: bool = False) -> Iterator[Finished]:
        """`dbt build` with these options: yields what is finished as it comes. The warehouse is closed again
        when the last one was taken. `same_models`: the tables were made by the project as it is, so that their rows
        can be replaced. Raises BuildError where something failed."""
        process = self._spawn()
        assert process.stdin and process.stdout
        outcome: dict[str, Any] | None = None
        with contextlib.suppress(OSError):
            process.stdin.write(json.dumps({"options": options, "same_models": same_models}) + "\n")
            process.stdin.flush()
            for line in process.stdout:
                told = json.loads(line)
                if "success" in told:
                    outcome = told
                else:
                    yield Finished(**told)
        code = process.wait()
        last_words = self._last_words()
        self.close()
        if outcome is None:
            raise BuildError(f"the process that runs dbt died (exit code {code}); its last words are:\n{last_words}")
        if not outcome["success"]:
            raise BuildError(outcome["message"])

    def close(self) -> None:
        """Ends the process, also one that is still getting ready or at work."""
        if self._process:
            self._process.kill()
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout, self._log):
                with contextlib.suppress(OSError):
                    if pipe:
                        pipe.close()
            self._process = None

    def _spawn(self) -> "subprocess.Popen[str]":
        if self._process is None:
            warehouse = self._settings.warehouse_path.resolve()
            folder = warehouse.parent / "dbt"
            _take_over_what_setup_read(folder / PARSED)
            self._log = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the process is
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "orchestration.builder_worker", str(folder)],
                # The warehouse by its name alone: dbt reads the whole project anew where the path of its database is
                # another than last time.
                cwd=warehouse.parent,
                # One thread for linear algebra: the arrays are small, the cores busy, and sums come in one order.
                env=os.environ | {"ALTFLOW_WAREHOUSE": warehouse.name, "OPENBLAS_NUM_THREADS": "1"},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._log,
                text=True,
                encoding="utf-8",
                # Ctrl-C is for the run: it decides when the child ends, at the latest by closing its stdin.
                process_group=0,
            )
        return self._process

    def _last_words(self) -> str:
        if not self._log:
            return "(none)"
        self._log.seek(0)
        return self._log.read()[-TAIL:].decode(errors="replace").strip() or "(none)"


def _take_over_what_setup_read(parsed: Path) -> None:
    """Half of dbt's work in a new folder is to read the project, as `make setup` did. What has changed since is read
    again, by dbt's own checksums. It only saves time: a disk that is full or read-only is for the run to tell of."""
    aside = parsed.with_name(f".{parsed.name}.new")
    with contextlib.suppress(OSError):
        parsed.parent.mkdir(parents=True, exist_ok=True)
        if not parsed.exists():
            shutil.copyfile(PROJECT / PARSED, aside)
            os.replace(aside, parsed)


def project_version() -> str:
    """A hash of every file that dbt reads, and of what its Python models call."""
    digest = hashlib.sha256()
    for path in sorted([*PROJECT.rglob("*"), *STATISTICS.rglob("*.py")]):
        if path.is_file() and not {"target", "logs"} & set(path.relative_to(ROOT).parts):
            digest.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()
