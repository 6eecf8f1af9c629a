"""Checks tables in a warm child process, so that a run fetches while Great Expectations is being imported."""

import contextlib
import json
import select
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self

from orchestration.expectations.registry import SUITES
from orchestration.expectations.report import Report
from orchestration.expectations.suite import Window

if TYPE_CHECKING:
    import pyarrow as pa

ROOT = Path(__file__).resolve().parents[2]
TAIL = 2_000


class ValidatorError(RuntimeError):
    """The child process could not answer; the message names the suites, the exit code and its last words."""


class Validator:
    """The client of one `worker`. Safe to use from several threads: checks queue up.

    with Validator.start() as validator:
        report = validator.check("raw_spot_flows", table, window)
    """

    def __init__(self, patience: float):
        self._patience = patience
        self._lock = threading.Lock()
        self._sent = 0
        self._folder = Path(tempfile.mkdtemp(prefix="altflow-checks-"))
        self._log = (self._folder / "stderr").open("w+b")
        self._started: subprocess.Popen[str] | None = None

    @classmethod
    def start(cls, early: bool = True, patience: float = 600) -> Self:
        """Return at once. `early`: the child gets ready now, else when it is first asked. `patience`: seconds to
        wait for one answer before giving up."""
        validator = cls(patience)
        if early:
            validator._spawn()
        return validator

    def _spawn(self) -> "subprocess.Popen[str]":
        if self._started is None:
            self._started = subprocess.Popen(
                [sys.executable, "-m", "orchestration.expectations.worker", str(self._folder)],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._log,
                text=True,
                encoding="utf-8",
                # Ctrl-C is for the run: it decides when the child ends, at the latest by closing its stdin.
                process_group=0,
            )
        return self._started

    @property
    def pid(self) -> int:
        return self._spawn().pid

    def check(self, suite: str, table: "pa.Table", window: Window | None = None) -> Report:
        """Check one table; `window`: the days [start, end) that it was asked for."""
        return self.check_many([(suite, table)], window)[0]

    def check_many(self, checks: Iterable[tuple[str, "pa.Table"]], window: Window | None = None) -> list[Report]:
        """Check several tables in one round trip; reports come in the order of `checks`.

        Raises KeyError for a suite that is not registered and ValidatorError if the child is gone."""
        checks = list(checks)
        unknown = [suite for suite, _ in checks if suite not in SUITES]
        if unknown:
            raise KeyError(f"no suite named {', '.join(unknown)}; there are {', '.join(SUITES)}")
        days = [day.isoformat() for day in window] if window else None
        with self._lock:
            paths = [self._write(table) for _, table in checks]
            requests = [
                {"suite": suite, "path": str(path), "window": days}
                for (suite, _), path in zip(checks, paths, strict=True)
            ]
            try:
                reply = self._ask({"checks": requests}, ", ".join(suite for suite, _ in checks))
            finally:
                for path in paths:
                    path.unlink(missing_ok=True)
        return [Report.from_dict(report) for report in reply["reports"]]

    def close(self) -> None:
        """End the child, also one that is still importing, and remove the temporary files."""
        pipes: list[IO[Any] | None] = [self._log]
        if self._started:
            self._started.kill()  # it holds nothing that could be lost, and importing it would not hear a request
            self._started.wait()
            pipes += [self._started.stdin, self._started.stdout]
        for pipe in pipes:
            with contextlib.suppress(OSError):
                if pipe:
                    pipe.close()
        for path in self._folder.glob("*"):
            path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self._folder.rmdir()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _write(self, table: "pa.Table") -> Path:
        import pyarrow as pa

        self._sent += 1
        path = self._folder / f"{self._sent}.arrow"
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)
        return path

    def _send(self, request: dict[str, Any]) -> None:
        child = self._spawn()
        assert child.stdin
        child.stdin.write(json.dumps(request) + "\n")
        child.stdin.flush()

    def _ask(self, request: dict[str, Any], suites: str) -> dict[str, Any]:
        child = self._spawn()
        assert child.stdout
        try:
            self._send(request)
        except (OSError, ValueError):
            raise self._died(suites) from None
        # One answer per request: between two requests nothing waits in the buffer that select cannot see.
        if not select.select([child.stdout], [], [], self._patience)[0]:
            child.kill()
            raise self._died(suites, f"did not answer within {self._patience:g} s and was ended")
        line = child.stdout.readline()
        if not line.endswith("\n"):
            raise self._died(suites)
        reply = json.loads(line)
        if "error" in reply:
            raise ValidatorError(f"checking {suites} failed in the child process:\n{reply['error'][-TAIL:]}")
        return reply

    def _died(self, suites: str, what: str = "died") -> ValidatorError:
        try:
            code = self._spawn().wait(timeout=5)
        except subprocess.TimeoutExpired:
            code = None
        how = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
        self._log.seek(0)
        tail = self._log.read()[-TAIL:].decode(errors="replace").strip()
        return ValidatorError(
            f"checking {suites}: the process that runs Great Expectations {what} ({how}); nothing was checked. "
            f"Run again; if it happens again, its last words are:\n{tail or '(none)'}"
        )
