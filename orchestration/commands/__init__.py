"""One file per command of `altflow`; each has `main(args) -> exit code`."""
