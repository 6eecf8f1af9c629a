"""The child process that keeps Great Expectations warm: `python -m orchestration.expectations.worker`.

One JSON line on stdin asks for checks, one JSON line on stdout answers:

    {"checks": [{"suite": "raw_spot_flows", "path": "/…/1.arrow", "window": ["2025-06-01", "2025-07-01"]}]}
    {"reports": [{…}]}    or    {"error": "traceback"}

The end of stdin ends it: a worker never outlives its parent. Everything that libraries print goes to
stderr.
"""

import contextlib
import gc
import json
import os
import shutil
import sys
from collections.abc import Callable
from datetime import date
from typing import Any


def answer_requests(requests: Any, answer: Callable[[dict[str, Any]], None]) -> None:
    """Answer until nobody is left to ask."""
    for line in requests:
        request = json.loads(line)
        try:
            reply = {"reports": [_check(each) for each in request["checks"]]}
        except Exception:
            import traceback

            reply = {"error": traceback.format_exc()}
        answer(reply)


def _check(request: dict[str, Any]) -> dict[str, Any]:
    import pyarrow as pa

    from orchestration.expectations.registry import SUITES
    from orchestration.expectations.validate import check

    with pa.memory_map(request["path"]) as source:
        table = pa.ipc.open_file(source).read_all()
    start, end = request["window"] or (None, None)
    window = (date.fromisoformat(start), date.fromisoformat(end)) if start and end else None
    return check(SUITES[request["suite"]], table, window).to_dict()


def main() -> None:
    # The run begins with its own start-up and with fetching, and on a small machine all begin at once.
    os.nice(5)
    # The answers get a descriptor of their own, and descriptor 1 becomes stderr: libraries may print.
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as answers:
        os.dup2(2, 1)

        def answer(reply: dict[str, Any]) -> None:
            answers.write(json.dumps(reply, allow_nan=False) + "\n")
            answers.flush()

        # Great Expectations can do without SQLAlchemy, which is here for Dagster: a tenth of its import.
        sys.modules["sqlalchemy"] = None  # type: ignore[assignment]
        from orchestration.expectations.validate import warm_up

        # Importing makes a million objects that stay: to look for cycles among them is a sixth of it.
        gc.disable()
        warm_up()
        gc.freeze()
        gc.enable()
        with contextlib.suppress(BrokenPipeError):
            answer_requests(sys.stdin, answer)
    if len(sys.argv) > 1:
        # The parent was killed: its folder is nobody's now.
        shutil.rmtree(sys.argv[1], ignore_errors=True)


if __name__ == "__main__":
    main()
