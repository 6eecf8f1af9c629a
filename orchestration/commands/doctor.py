"""`altflow doctor`: which upstreams answer from here, and what to do about those that do not."""

import argparse
import json
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime

from orchestration import settings as settings_module
from orchestration.commands import FAILED
from orchestration.settings import Settings
from orchestration.sources import alternative_me, binance, coingecko, coinmetrics, defillama, fred
from orchestration.sources.body import SourceError
from orchestration.sources.http import Host, Http, Patience, is_csv, is_json

PATIENCE = Patience(tries=2, pause=0.5, connect=5.0, read=15.0)
CLOCK_SKEW_SECONDS = 60


@dataclass(frozen=True)
class Probe:
    """One small request to one upstream."""

    host: Host
    path: str
    params: dict
    required: bool


def _probes(settings: Settings) -> list[Probe]:
    return [
        Probe(binance.HOST, "/api/v3/time", {}, True),
        Probe(defillama.HOST, "/stablecoins", {"includePrices": "true"}, True),
        Probe(fred.HOST, "/graph/fredgraph.csv", {"id": "FEDFUNDS"}, True),
        Probe(alternative_me.HOST, "/fng/", {"limit": 0, "format": "json"}, False),
        Probe(coingecko.HOST, "/api/v3/coins/markets", {"vs_currency": "usd", "per_page": 1, "page": 1}, False),
        *(
            [Probe(coinmetrics.HOST, "/v4/catalog-v2/asset-metrics", {"metrics": coinmetrics.CAP}, False)]
            if settings.allow_noncommercial
            else []
        ),
    ]


def main(args: argparse.Namespace) -> int:
    settings = settings_module.load(args.source or ("recorded" if args.market else None), args.market)
    from orchestration.run import RunError, Upstreams

    try:
        upstreams = Upstreams.start(settings).wait()
    except RunError as error:
        print(f"altflow doctor: {error}", file=sys.stderr)
        return FAILED
    http = Http(upstreams.base, PATIENCE)
    try:
        print(f"source {settings.source}{f' through {upstreams.base}' if upstreams.base else ''}")
        probes = _probes(settings)
        with ThreadPoolExecutor(len(probes)) as pool:
            outcomes = list(pool.map(lambda probe: _ask(http, probe, settings), probes))
    finally:
        http.close()
        upstreams.close()
    healthy = True
    for probe, (fine, message) in zip(probes, outcomes, strict=True):
        state = "ok  " if fine else "FAIL" if probe.required else "warn"
        print(f"{state}  {probe.host.name:<16} {message}")
        healthy &= fine or not probe.required
    healthy &= _disk(settings)
    return 0 if healthy else FAILED


def _ask(http: Http, probe: Probe, settings: Settings) -> tuple[bool, str]:
    try:
        wrong = is_csv if probe.host is fred.HOST else is_json
        answer = http.get(probe.host, probe.path, probe.params, wrong=wrong)
    except SourceError as error:
        return False, f"{error}. {_advice(error)}"
    host = answer.url.split("/")[2]
    if probe.host is binance.HOST and settings.source == "live":
        server = datetime.fromtimestamp(json.loads(answer.content)["serverTime"] / 1000, UTC)
        skew = abs((datetime.now(UTC) - server).total_seconds())
        if skew > CLOCK_SKEW_SECONDS:
            return False, f"{host} answers, but this clock is {skew:.0f} s off: set it by NTP"
    return True, f"{host} answers ({len(answer.content):,} bytes)"


def _advice(error: SourceError) -> str:
    text = str(error)
    if error.reason == "out_of_reach":
        return "This region is blocked: run altflow elsewhere, or leave this upstream out."
    if "certificate" in text.lower() or "ssl" in text.lower():
        return "TLS failed: check the clock and the CA certificates of this machine."
    if "resolve" in text.lower() or "getaddrinfo" in text.lower() or "name" in text.lower():
        return "The name was not resolved: check the network and DNS."
    return "Try again later; if it stays, look at the upstream's status page."


def _disk(settings: Settings) -> bool:
    folder = settings.data_dir
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free / 2**30
    fine = free > 2
    print(
        f"{'ok  ' if fine else 'FAIL'}  {'disk':<16} {free:.1f} GiB free under {folder}{'' if fine else ': make room'}"
    )
    return fine
