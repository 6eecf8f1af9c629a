"""`python -m orchestration` is `altflow`."""

from orchestration.cli import entry

entry()
