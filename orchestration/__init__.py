"""altflow: an open, auditable warehouse of spot order flow.

The map, in the order in which data flows:

    sources/       fetch_x talks to an upstream, parse_x understands its bodies
    archive        bodies as received, traceable by SHA-256
    warehouse      the only module that opens the warehouse: lock, replace_window, read
    ingest         from a plan to answers: who is asked for what, all at the same time
    load           from answers to committed rows: parse, check, replace
    expectations/  what must hold of fetched windows and of marts
    builder        dbt, in a process of its own
    statistics/    what SQL should not do: bootstraps, regressions; called by dbt's Python models
    publish        the snapshot that analysts read, swapped atomically
    trace          from a published number to the bodies it was read from
    received       rows of a body in the upstream's own words
    brief/         the daily brief: one HTML file in which every sentence carries its query
    alerts         what somebody should be told, once; webhook posts it
    defs/          everything Dagster: assets, checks, job, schedule
    definitions    the door that Dagster opens
    sandbox/       a stand-in for all upstreams on loopback
    cli            altflow run, status, sql, trace, brief, import, doctor, sandbox, ui

Importing any of these talks to nothing.
"""
