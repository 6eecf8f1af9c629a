"""The command line: `altflow`, also `python -m orchestration`."""

import argparse
import contextlib
import os
import sys
from datetime import date

from orchestration.commands import FAILED, LOCKED, USAGE


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a UTC day; write it as YYYY-MM-DD") from None


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text)):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return int(text)


def parser() -> argparse.ArgumentParser:
    """The command line: all commands and their options."""
    parser = argparse.ArgumentParser(
        prog="altflow",
        description="An open, auditable warehouse of spot order flow.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="""examples:
  altflow run                                     the main job on a generated (synthetic) market
  altflow run --source recorded --market DIR      on a recorded market
  altflow run --source live                       on the real exchanges
  altflow run --source live --exchange okx --dry-run   what OKX would cost: requests, bytes, time
  altflow sql "from cumulative_flow(365, 'ex_btc_eth', 'all', 'all') order by utc_date desc limit 5"
  altflow trace daily_altcoin_flow 2025-06-14     what a number is made of, down to the bodies received
  altflow status                                  what is published and how fresh it is

exit codes: 0 published and complete; 1 failed, nothing published; 2 wrong usage;
  3 published, but something that was asked of an upstream did not arrive; 4 another run is writing""",
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    run = commands.add_parser("run", help="fetch what is missing, build, check and publish")
    run.add_argument("--source", choices=("sandbox", "recorded", "live"), help="default: ALTFLOW_SOURCE, else sandbox")
    run.add_argument("--market", metavar="DIR", help="the folder of a recorded market (goes with --source recorded)")
    run.add_argument("--start", type=_day, metavar="DAY", help="first UTC day (default: everything missing)")
    run.add_argument("--end", type=_day, metavar="DAY", help="last UTC day, included (default: the last closed one)")
    run.add_argument("--exchange", action="append", metavar="X", help="fetch only this exchange; repeatable")
    run.add_argument(
        "--dry-run", action="store_true", help="ask only for listings; show what would be fetched and how long it takes"
    )
    run.add_argument("--quiet", action="store_true", help="no progress bar")

    status = commands.add_parser("status", help="freshness, coverage and runs of the published snapshot")
    status.add_argument("--json", action="store_true", help="as JSON")
    status.add_argument("--sizes", action="store_true", help="only how much room everything takes")
    _snapshot_arguments(status)

    sql = commands.add_parser("sql", help="SQL on the published snapshot; without a query an interactive prompt")
    sql.add_argument("query", nargs="?", help="one statement; `-` reads it from standard input")
    form = sql.add_mutually_exclusive_group()
    form.add_argument("--csv", action="store_const", const="csv", dest="form", help="comma-separated, with a header")
    form.add_argument("--json", action="store_const", const="json", dest="form", help="one JSON array of objects")
    _snapshot_arguments(sql)

    _trace_arguments(
        commands.add_parser(
            "trace",
            help="from a number to the rows, addresses and SHA-256 it was made of",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            description="""Shows what a published number is made of: the rows of the tables below it, the sum computed
again, the addresses that they were read from and the SHA-256 of each body as received. Exit code 1 where a sum
does not come out as published, or a body in the archive is not what it should be.""",
            epilog="""examples:
  altflow trace daily_symbol_flows 2025-06-14 --where "symbol = 'SOLUSDT'" --open
  altflow trace daily_altcoin_flow 2025-06-14 --where "definition_id = 'rolling_365d.ex_btc_eth.all.all'"
  altflow trace daily_stablecoin_supply 2025-06-14 --column circulating_usd --json
  altflow trace claims 2025-06-14 --where "claim_id = 'C1'\"""",
        )
    )

    brief = commands.add_parser("brief", help="the daily brief of what is published: one HTML file")
    brief.add_argument("--open", action="store_true", help="show it in the browser")
    _snapshot_arguments(brief)

    doctor = commands.add_parser("doctor", help="which upstreams answer from here, and what to do")
    doctor.add_argument(
        "--source", choices=("sandbox", "recorded", "live"), help="default: ALTFLOW_SOURCE, else sandbox"
    )
    doctor.add_argument("--market", metavar="DIR", help="the folder of a recorded market")
    doctor.add_argument("--exchange", action="append", metavar="X", help="ask only this exchange; repeatable")
    doctor.add_argument(
        "--verify-archive",
        action="store_true",
        help="ask nobody; read every archived body, compare it with its SHA-256 and the index, tell sizes",
    )
    doctor.add_argument(
        "--alert-if-stale",
        action="store_true",
        help="ask nobody; exit 1 and alert if no run has published for too long",
    )
    doctor.add_argument("--stale-after", type=float, default=30, metavar="HOURS", help="what is too long (default: 30)")

    sandbox = commands.add_parser("sandbox", help="serve the stand-in upstreams on 127.0.0.1")
    from orchestration.sandbox import command

    command.add_arguments(sandbox)

    _import_arguments(
        commands.add_parser(
            "import",
            help="data of your own in CSV: market capitalisations, ETF flows",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            description="""Reads a CSV file (also .gz) into the warehouse: checked line by line, kept in the archive
under its SHA-256. Nothing is imported unless every line can be read. A file replaces what was imported
before between its first and its last day; the same file again changes nothing. The next
`altflow run` builds on it.""",
            epilog="""columns, by any of these names (case and spaces do not matter):
  caps       date; coin, asset, symbol or ticker; mkt_cap, market_cap, cap or cap_usd
  etf-flows  date; total (then in millions of dollars), net_flow_usd (in dollars), net_flow or flow (say --unit)

days as 2024-01-31, 31 Jan 2024 or Jan 31, 2024; numbers as 1234.5, "1,234.5", (1,234.5) for -1234.5; a dash or nothing
is not known, which is not 0. Lines called Total, Average, Maximum or Minimum below the days are left out, and the days
must come to the total.

examples:
  altflow import caps cmc_snapshots.csv.gz
  altflow import etf-flows farside_total.csv
  altflow import etf-flows flows.csv --unit dollars
  altflow import caps caps.csv --source live              into the data folder of live runs""",
        )
    )

    rebuild = commands.add_parser(
        "rebuild",
        help="the warehouse and the snapshot made anew from the archive alone",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="""Makes the warehouse anew from the bodies in the archive, builds and checks the marts, publishes.
No upstream is asked, and the marts are those of before. The warehouse of before stays beside the new one; until the
new one has passed every blocking check nothing is changed. Gaps and what stood published are taken over from the old
warehouse, if it can still be read; the archive does not know them.""",
        epilog="""examples:
  altflow rebuild                                 where there is no warehouse (lost, or a copy of the archive)
  altflow rebuild --replace                       keeps the present one as warehouse.<time>.duckdb
  altflow rebuild --source recorded --market DIR  into the data folder of recorded runs""",
    )
    rebuild.add_argument("--replace", action="store_true", help="a warehouse is there: make a new one in its place")
    rebuild.add_argument("--quiet", action="store_true", help="no progress bar")
    _snapshot_arguments(rebuild)
    rebuild.add_argument(
        "--market", metavar="DIR", help="the folder of a recorded market (goes with --source recorded)"
    )

    prune = commands.add_parser(
        "prune",
        help="remove old bodies from the archive",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="""Removes whole packs of the archive (what one run received of one upstream) whose bodies are all
older than so many days. A pack that a stored row was read from stays, unless --cited. A note of what was removed stays
in its place: `altflow trace --open` and `altflow doctor --verify-archive` call it pruned, not lost. No run prunes.""",
        epilog="""examples:
  altflow prune --keep-days 400 --dry-run         what that would remove
  altflow prune --keep-days 400 --cited           also what rows were read from: they stay, and lose their proof""",
    )
    prune.add_argument(
        "--keep-days", type=_count, metavar="N", help="keep bodies of the last N days (ALTFLOW_KEEP_DAYS)"
    )
    prune.add_argument("--cited", action="store_true", help="also bodies that rows were read from")
    prune.add_argument("--dry-run", action="store_true", help="only say what would be removed")
    _snapshot_arguments(prune)

    ui = commands.add_parser("ui", help="Dagster's UI and daemon with the schedules on")
    ui.add_argument("--port", type=int, default=3000, metavar="P")
    return parser


def _import_arguments(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(command="imports")
    parser.add_argument("kind", choices=("caps", "etf-flows"), help="what the file holds")
    parser.add_argument("file", metavar="FILE", help="a CSV file, as it is or packed with gzip")
    parser.add_argument(
        "--unit",
        choices=("dollars", "millions", "billions"),
        help="what its amounts count (default: dollars; for a column called Total millions)",
    )
    _snapshot_arguments(parser)
    parser.add_argument("--market", metavar="DIR", help="the folder of a recorded market (goes with --source recorded)")


def _trace_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("table", metavar="TABLE", help="a published table")
    parser.add_argument("date", type=_day, metavar="DATE", help="UTC day, YYYY-MM-DD")
    parser.add_argument("--column", metavar="C", help="whose number (default: the first that is a sum)")
    parser.add_argument("--where", metavar="EXPR", help="SQL that chooses among the rows of the day")
    parser.add_argument("--open", action="store_true", help="show the rows as received and check them in the archive")
    parser.add_argument("--all", action="store_true", help="all bodies, not only ten")
    parser.add_argument("--json", action="store_true", help="as JSON")
    _snapshot_arguments(parser)


def _snapshot_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--source", choices=("sandbox", "recorded", "live"), help="whose data folder (default: ALTFLOW_SOURCE)"
    )


def main(argv: list[str] | None = None) -> int:
    """Runs one command and returns its exit code."""
    args = parser().parse_args(argv)
    if args.command == "sandbox":
        from orchestration.sandbox import command

        return command.main(args)
    if args.command == "doctor" and args.alert_if_stale:
        # A command of its own: doctor reads all sources first, and this one must work where they do not.
        args.command = "stale"
    from importlib import import_module

    from orchestration.settings import SettingsError

    try:
        return import_module(f"orchestration.commands.{args.command}").main(args)
    except SettingsError as error:
        print(f"altflow: {error}", file=sys.stderr)
        return USAGE
    except BrokenPipeError:
        return 0
    except KeyboardInterrupt:
        print("altflow: interrupted; run again to go on where this stopped", file=sys.stderr)
        return FAILED
    except Exception as error:
        from orchestration.warehouse import LockHeld

        if not isinstance(error, LockHeld):
            raise
        print(f"altflow: {error}", file=sys.stderr)
        return LOCKED


def entry() -> None:
    # Whatever this machine's habit is: nobody else may write into a data folder.
    os.umask(os.umask(0o022) | 0o022)
    code = main()
    # Everything is closed by now; to take Dagster's modules apart one by one is more than a second of every run.
    for stream in (sys.stdout, sys.stderr):
        # Whoever read it may be gone (`altflow sql … | head`).
        with contextlib.suppress(OSError):
            stream.flush()
    os._exit(code)
