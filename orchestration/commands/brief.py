"""`altflow brief`: where the brief of what is published is, made where it is missing or older."""

import argparse
import sys

from orchestration.brief import page
from orchestration.commands import FAILED
from orchestration.publish import NothingPublished
from orchestration.settings import load_for_reading


def main(args: argparse.Namespace) -> int:
    settings = load_for_reading(args.source)
    try:
        page.build(settings)
    except NothingPublished as error:
        print(f"altflow brief: {error}", file=sys.stderr)
        return FAILED
    except OSError as error:
        print(f"altflow brief: {page.index(settings)} cannot be written: {error.strerror}", file=sys.stderr)
        return FAILED
    print(page.index(settings))
    if args.open:
        import webbrowser

        if not webbrowser.open(page.index(settings).as_uri()):
            print("altflow brief: no browser was found; open that file in one", file=sys.stderr)
    return 0
