"""One file per command of `altflow`; each has `main(args) -> exit code`."""

PUBLISHED, FAILED, USAGE, GAPS, LOCKED = 0, 1, 2, 3, 4
"""Exit codes: published and complete; failed, nothing published; wrong usage; published, but something
that was asked of an upstream did not arrive; another run is writing."""
