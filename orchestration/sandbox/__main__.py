"""`python -m orchestration.sandbox`: the sandbox without the pipeline's command line."""

import argparse
import sys

from .command import add_arguments, main

if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="altflow sandbox", description="Stand-in upstreams on 127.0.0.1.")
    add_arguments(parser)
    sys.exit(main(parser.parse_args()))
