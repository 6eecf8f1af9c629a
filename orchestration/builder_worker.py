"""The child process that runs dbt: `python -m orchestration.builder_worker FOLDER`.

It reads the project at once. One JSON line on stdin asks for `dbt build`; one JSON line on stdout tells of each node
that is finished and a last one of the outcome:

    {"options": ["--exclude-resource-type", "test"], "same_models": false}
    {"unique_id": "model.altflow.stg_runs", "status": "success", "seconds": 0.1}
    {"success": false, "message": "model.altflow.daily_symbol_flows: …"}

The end of stdin ends it at once: a build never outlives its run. What dbt remembers of a project lies
in FOLDER: it depends on its path.
"""

import gc
import json
import os
import queue
import sys
import threading
from collections.abc import Callable
from typing import Any

from orchestration.settings import ROOT

PROJECT = ROOT / "dbt_project"


def main() -> None:
    # The run waits for its fetching and for the checks first, and on a small machine all begin at once.
    os.nice(19)
    # The project is millions of objects that stay: to look for cycles as often as Python does is a tenth of reading it.
    gc.set_threshold(200_000, 20, 20)
    # The answers get a descriptor of their own, and descriptor 1 becomes stderr: libraries may print.
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as answers:
        os.dup2(2, 1)

        # dbt tells of a node in the thread that built it.
        one_at_a_time = threading.Lock()

        def answer(told: dict[str, Any]) -> None:
            with one_at_a_time:
                answers.write(json.dumps(told) + "\n")
                answers.flush()

        asked: queue.Queue[dict[str, Any]] = queue.Queue()
        threading.Thread(target=_listen, args=(asked,), daemon=True).start()
        try:
            outcome = _build(asked, answer)
        except Exception:
            import traceback

            outcome = {"success": False, "message": traceback.format_exc()[-2000:]}
        answer(outcome)
    # dbt's modules take half a second to be taken apart, and the run waits for the end: nothing is open any more.
    os._exit(0)


def _listen(asked: "queue.Queue[dict[str, Any]]") -> None:
    for line in sys.stdin:
        asked.put(json.loads(line))
    os._exit(1)


def _build(asked: "queue.Queue[dict[str, Any]]", answer: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager
    from dbt.cli.main import dbtRunner

    def hear(event: Any) -> None:
        if event.info.name == "NodeFinished":
            node, result = event.data.node_info, event.data.run_result
            told = {"unique_id": node.unique_id, "status": result.status, "seconds": result.execution_time}
            answer(told)

    here = sys.argv[1]
    folders = [
        "--no-use-colors", "--no-write-json", "--no-version-check", "--log-level", "none",
        "--log-path", here, "--target-path", f"{here}/target",
        "--project-dir", str(PROJECT), "--profiles-dir", str(ROOT),
    ]  # fmt: skip
    parsed: Any = dbtRunner().invoke(["parse", *folders]).result
    # Whoever read the project before may have called it by another path.
    for node in parsed.nodes.values() if parsed else ():
        if node.resource_type == "seed":
            node.root_path = str(PROJECT)
    wanted = asked.get()
    # The materialization of tables asks for it.
    os.environ["ALTFLOW_SAME_MODELS"] = "yes" if wanted["same_models"] else "no"
    result = dbtRunner(manifest=parsed, callbacks=[hear]).invoke(
        ["build", "--exclude-resource-type", "unit_test", *folders, *wanted["options"]]
    )
    DuckDBConnectionManager.close_all_connections()
    return {"success": result.success, "message": "" if result.success else _what_failed(result)}


def _what_failed(result: Any) -> str:
    if result.exception:
        return str(result.exception)[:2000]
    failed = [r for r in result.result if str(r.status) in ("error", "fail", "runtime error")]
    return "; ".join(f"{r.node.unique_id}: {(r.message or '').strip()[:300]}" for r in failed[:5])


if __name__ == "__main__":
    main()
