"""What a process does that reads the published file in a loop. It imports nothing else: eight of them start at once."""

import duckdb


def read_until(path: str, stop, results) -> None:
    """Reads `path` until the event `stop`; puts how often, and what must not be that it saw, into `results`."""
    reads, problems = 0, []
    while not stop.is_set():
        try:
            con = duckdb.connect(path, read_only=True)
            with con:
                run = con.execute("SELECT run_id FROM run_info").fetchall()
                numbers = con.execute(
                    "SELECT DISTINCT number FROM daily_altcoin_flow UNION ALL SELECT DISTINCT number FROM "
                    "daily_asset_flows UNION ALL SELECT DISTINCT number FROM daily_symbol_flows"
                ).fetchall()
                if [(f"run-{number}",) for (number,) in numbers] != run * 3:
                    problems.append(f"mixed: {run} {numbers}")
            reads += 1
        except Exception as error:
            problems.append(repr(error))
    results.put((reads, problems))
