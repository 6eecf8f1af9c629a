"""The outside world: one file per upstream, each a pair of functions.

`fetch_x(http, …)` talks: it yields bodies as received and hides paging. `parse_x(body)` understands:
bytes in, tables of `records` out, no I/O. Nothing here knows Dagster, DuckDB, pandas or GX.
`registry` lists who can be asked.
"""
