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

    def __init__(self, child: "subprocess.Popen[str]", folder: Path, log: IO[bytes], patience: float):
        self._child, self._folder, self._log, self._patience = child, folder, log, patience
        self._lock = threading.Lock()
        self._sent = 0

    @classmethod
    def start(cls, patience: float = 600) -> Self:
        """Start the child and return at once. `patience`: seconds to wait for one answer before giving up."""
        folder = Path(tempfile.mkdtemp(prefix="altflow-checks-"))
        log = (folder / "stderr").open("w+b")
        child = subprocess.Popen(
            [sys.executable, "-m", "orchestration.expectations.worker", str(folder)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            encoding="utf-8",
            # Ctrl-C is for the run: it decides when the child ends, at the latest by closing its stdin.
            start_new_session=True,
        )
        return cls(child, folder, log, patience)

    @property
    def pid(self) -> int:
        return self._child.pid

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
        self._child.kill()  # it holds nothing that could be lost, and importing it would not hear a request
        self._child.wait()
        for pipe in (self._child.stdin, self._child.stdout, self._log):
            with contextlib.suppress(OSError):
                pipe.close()  # type: ignore[union-attr]
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
        assert self._child.stdin
        self._child.stdin.write(json.dumps(request) + "\n")
        self._child.stdin.flush()

    def _ask(self, request: dict[str, Any], suites: str) -> dict[str, Any]:
        assert self._child.stdout
        try:
            self._send(request)
        except (OSError, ValueError):
            raise self._died(suites) from None
        # One answer per request: between two requests nothing waits in the buffer that select cannot see.
        if not select.select([self._child.stdout], [], [], self._patience)[0]:
            self._child.kill()
            raise self._died(suites, f"did not answer within {self._patience:g} s and was ended")
        line = self._child.stdout.readline()
        if not line.endswith("\n"):
            raise self._died(suites)
        reply = json.loads(line)
        if "error" in reply:
            raise ValidatorError(f"checking {suites} failed in the child process:\n{reply['error'][-TAIL:]}")
        return reply

    def _died(self, suites: str, what: str = "died") -> ValidatorError:
        try:
            code = self._child.wait(timeout=5)
        except subprocess.TimeoutExpired:
            code = None
        how = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
        self._log.seek(0)
        tail = self._log.read()[-TAIL:].decode(errors="replace").strip()
        return ValidatorError(
            f"checking {suites}: the process that runs Great Expectations {what} ({how}); nothing was checked. "
            f"Run again; if it happens again, its last words are:\n{tail or '(none)'}"
        )
