"""A stand-in for all upstreams on loopback: `altflow sandbox`.

    command.py      the subcommand's arguments (also `python -m orchestration.sandbox`)
    server.py       the process: one port, the upstream chosen by the first part of the path
    directory.py    which server answers for which host
    wire.py         one request, one reply
    market.py       what a market is to the servers (`Market`), and how rows become JSON text
      recorded.py     a recorded market folder
      generated.py    a generated market: who is listed (universe.py), what happens (events.py), prices and
                      flows (paths.py), trades (trades.py) and their sums (aggregation.py), supplies, rates
                      and moods (series.py); always flagged synthetic
      truth.py        what every mart must say of it: what was traded (truth_ledger.py), flows, caps
    <exchange>_rest.py, <exchange>.py   each exchange's API and archive; venue.py: a market as one exchange
                    sees it; vision.py: Binance's archives
    bucket.py, archive_text.py, periods.py   listings, files and their names, as archives have them
    coinmetrics.py, coingecko.py, coinpaprika.py   capitalisations
    static.py       upstreams that answer with whole bodies: DefiLlama, FRED, alternative.me
    limits.py       request weights and rate limits
    faults.py       misbehaviour on demand: which request is hit; what each kind does is in fault_kinds.py
                    (fault_rows.py where it is in the rows), named sets in fault_presets.py
    delivery.py     how an answer leaves: whole, in pieces, slowly, cut off, never

`https://<host>/<path>` is served under `/<host>/<path>`. `GET /_sandbox/catalog` lists what is
served, `GET /_sandbox/log` what was asked; `POST /_sandbox/faults` changes the faults. Nothing but
cli.py and tests imports this package.
"""
