"""The subcommand `altflow sandbox`: arguments, and what a person is told."""

import argparse
import contextlib
import sys
from datetime import date
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--market", type=Path, metavar="DIR", help="a recorded market folder; without it one is generated"
    )
    parser.add_argument("--port", type=int, default=0, metavar="P", help="port on 127.0.0.1 (default: a free one)")
    parser.add_argument("--now", type=date.fromisoformat, metavar="YYYY-MM-DD", help="the upstreams' today, 00:00 UTC")
    parser.add_argument(
        "--start", type=date.fromisoformat, metavar="YYYY-MM-DD", help="first day of the generated market (2020-01-01)"
    )
    parser.add_argument(
        "--faults",
        action="append",
        default=[],
        metavar="F",
        help="upstream:kind[=value][:path][:when], a preset or a YAML file; repeatable; `help` lists all kinds",
    )
    parser.add_argument("--fault-seed", type=int, metavar="N", help="of faults that are drawn (default: --seed)")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of the generated market")
    parser.add_argument("--size", type=int, default=150, metavar="N", help="base assets of the generated market")
    parser.add_argument(
        "--weight-limit", type=int, default=6000, metavar="N", help="Binance weight per minute; 0 lifts all limits"
    )
    parser.add_argument(
        "--truth", type=Path, metavar="FOLDER", help="write what every mart must say of the generated market, and end"
    )
    parser.add_argument("--with-parent", action="store_true", help="end when standard input is closed")


def main(args: argparse.Namespace) -> int:
    """Serve until interrupted, list the faults or write the truth. 0: done, 1: cannot listen, 2: wrong usage."""
    from . import faults, market, server

    if "help" in args.faults:
        print(faults.listing())
        return 0
    try:
        if args.truth:
            return _write_truth(args)
        rules = faults.load(args.faults)
        with contextlib.suppress(KeyboardInterrupt):
            server.serve(
                args.market,
                args.port,
                args.now,
                rules,
                sys.stdout,
                seed=args.seed,
                size=args.size,
                weight_limit=args.weight_limit,
                with_parent=args.with_parent,
                fault_seed=args.fault_seed,
                start=args.start,
            )
    except (faults.FaultError, market.MarketError) as error:
        print(f"altflow sandbox: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"altflow sandbox: cannot listen on 127.0.0.1:{args.port}: {error}; try another --port", file=sys.stderr)
        return 1
    return 0


def _write_truth(args: argparse.Namespace) -> int:
    if args.market:
        print("altflow sandbox: --truth is of a generated market; a recorded one knows none", file=sys.stderr)
        return 2
    from . import truth
    from .generated import GeneratedMarket

    market = GeneratedMarket(args.now, args.seed, args.size, **({"start": args.start} if args.start else {}))
    print(f"{market.name}: SYNTHETIC; every exchange, sides as they are labelled (flows: as they are)", file=sys.stderr)
    for path in truth.write(market, args.truth):
        print(path)
    return 0
