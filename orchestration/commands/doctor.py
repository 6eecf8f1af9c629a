"""`altflow doctor`: which upstreams answer from here, and what to do about those that do not."""

import argparse
import shutil
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from urllib.parse import urlsplit

from orchestration import settings as settings_module
from orchestration.commands import FAILED
from orchestration.settings import Settings
from orchestration.sources import alternative_me, coingecko, coinmetrics, defillama, defillama_api, fred
from orchestration.sources.body import SourceError, Window
from orchestration.sources.exchange import Exchange, TradeFiles
from orchestration.sources.http import ELSEWHERE, LATER, Host, Http, Patience, is_csv, is_json
from orchestration.sources.registry import DERIVATIVES, EXCHANGES, followed, followed_derivatives, served

PATIENCE = Patience(tries=2, pause=0.5, connect=5.0, read=15.0)
CLOCK_SKEW_SECONDS = 60
REQUIRED = ("binance",)
"""exchanges without which there is no headline"""
ONE_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Finding:
    """What one host said, or why it did not; `is_required`: without it nothing can be published."""

    name: str
    is_fine: bool
    message: str
    is_required: bool = False


def main(args: argparse.Namespace) -> int:
    if args.verify_archive:
        from orchestration.commands import verify_archive

        return verify_archive.main(args)
    settings = settings_module.load(args.source or ("recorded" if args.market else None), args.market)
    settings = settings.override(exchanges=tuple(args.exchange or ()) or None)
    from orchestration.run import RunError, Upstreams

    exchanges = [(name, EXCHANGES[name]) for name in followed(settings)]
    try:
        upstreams = Upstreams.start(settings).wait()
    except RunError as error:
        print(f"altflow doctor: {error}", file=sys.stderr)
        return FAILED
    contracts = [name for name in followed_derivatives(settings) if served(name, upstreams.catalog)]
    exchanges += [(name, DERIVATIVES[name]) for name in contracts]
    http, now = Http(upstreams.base, PATIENCE), _now(upstreams.catalog)
    probes: list[Callable[[], list[Finding]]] = [
        *(lambda name=name, exchange=exchange: _exchange(http, name, exchange, settings, now)
          for name, exchange in exchanges),
        *(lambda service=service: [_service(http, *service)] for service in _services(settings)),
    ]  # fmt: skip
    try:
        print(
            f"source {settings.source}{f' through {settings_module.shown(upstreams.base)}' if upstreams.base else ''}"
        )
        with ThreadPoolExecutor(len(probes)) as pool:
            findings = [finding for found in pool.map(lambda probe: probe(), probes) for finding in found]
    finally:
        http.close()
        upstreams.close()
    findings.append(_disk(settings))
    for finding in findings:
        state = "ok  " if finding.is_fine else "FAIL" if finding.is_required else "warn"
        print(f"{state}  {finding.name:<16} {finding.message}")
    return 0 if all(finding.is_fine or not finding.is_required for finding in findings) else FAILED


def _now(catalog: dict | None) -> datetime:
    """Naive UTC; a sandbox has a day of its own."""
    return datetime.fromisoformat(catalog["now"]).replace(tzinfo=None) if catalog else _clock()


def _clock() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)


def _exchange(http: Http, name: str, exchange: Exchange, settings: Settings, now: datetime) -> list[Finding]:
    """Its listing, read as a run reads it; and where trades come from an archive, one file of it."""
    is_required, symbols = name in REQUIRED, []
    try:
        body = next(iter(exchange.fetch_symbols(http)))
        rows = exchange.parse_symbols(body).tables[exchange.symbols_table].select(["symbol", "is_trading"]).to_pylist()
        symbols = [row["symbol"] for row in rows if row["is_trading"]]
        skew = 0.0
        if exchange.server_time and settings.source == "live":
            skew = abs((_clock() - exchange.server_time(body)).total_seconds())
        if skew > CLOCK_SKEW_SECONDS:
            message = f"{_host(body.url)} answers, but this clock is {skew:.0f} s off: set it by NTP"
            found = Finding(name, False, message, is_required)
        else:
            found = Finding(name, True, f"{_host(body.url)} answers ({len(symbols):,} symbols trade)", is_required)
    except SourceError as error:
        found = Finding(name, False, _failure(error) + ("" if is_required else _without(name)), is_required)
    if not isinstance(exchange.flows, TradeFiles):
        return [found]
    return [found, _archive(http, exchange.flows, symbols, settings, now)]


def _archive(http: Http, flows: TradeFiles, symbols: Sequence[str], settings: Settings, now: datetime) -> Finding:
    """The newest file that should be there by now is looked for as a run does it, and asked for without its content."""
    name, day = flows.host.name, _published_day(flows, now)
    try:
        file = next(iter(flows.list_files(http, symbols[:1], Window(day, day + ONE_DAY), now)), None)
        if file is None:
            return Finding(name, False, f"lists no file of {day}. See at {flows.host.hosts[0]} whether it has moved.")
        if settings.trade_archive:
            return Finding(name, True, f"lists files of {day}; they are read from ALTFLOW_TRADE_ARCHIVE")
        for url in (file.url, *file.also):
            try:
                http.etag(flows.host, urlsplit(url).path)
                return Finding(name, True, f"{flows.host.hosts[0]} has trades of {day}")
            except SourceError as error:
                if error.status != 404:
                    raise
        return Finding(name, False, f"{file.url}: not there (HTTP 404). See whether the archive has moved.")
    except SourceError as error:
        return Finding(name, False, _failure(error))


def _published_day(flows: TradeFiles, now: datetime) -> date:
    """The newest day whose files were due a day ago."""
    day = now.date() - ONE_DAY
    while flows.due(day) > now - ONE_DAY:
        day -= ONE_DAY
    return day


def _services(settings: Settings) -> list[tuple[Host, str, dict, bool]]:
    """Host, path, query and whether it is required: one small request each."""
    asked = [
        (defillama.HOST, "/stablecoins", {"includePrices": "true"}, True),
        (defillama_api.HOST, "/v2/historicalChainTvl", {}, False),
        (fred.HOST, "/graph/fredgraph.csv", {"id": "FEDFUNDS"}, True),
        (alternative_me.HOST, "/fng/", {"limit": 0, "format": "json"}, False),
        (coingecko.HOST, "/api/v3/coins/markets", {"vs_currency": "usd", "per_page": 1, "page": 1}, False),
    ]
    if settings.allow_noncommercial:
        asked.append((coinmetrics.HOST, "/v4/catalog-v2/asset-metrics", {"metrics": coinmetrics.CAP}, False))
    return asked


def _service(http: Http, host: Host, path: str, query: dict, is_required: bool) -> Finding:
    try:
        answer = http.get(host, path, query, wrong=is_csv if host is fred.HOST else is_json)
    except SourceError as error:
        return Finding(host.name, False, _failure(error), is_required)
    message = f"{_host(answer.url)} answers ({len(answer.content):,} bytes)"
    return Finding(host.name, True, message, is_required)


def _host(url: str) -> str:
    return urlsplit(url).netloc


def _without(name: str) -> str:
    return f" A run goes on without {name}; ALTFLOW_EXCHANGES names those to ask."


def _failure(error: SourceError) -> str:
    """What went wrong and what to do; what a run would do next is no advice here."""
    said = str(error).removesuffix(f"; {LATER}").removesuffix(f"; {ELSEWHERE}")
    return f"{said}. {_advice(error)}"


def _advice(error: SourceError) -> str:
    text = str(error).lower()
    if error.reason == "out_of_reach":
        return "This region is blocked: run altflow elsewhere, or leave this upstream out."
    if error.content and error.status is None:
        return "It answers otherwise than is known here: look for a newer altflow."
    if "certificate" in text or "ssl" in text:
        return "TLS failed: check the clock and the CA certificates of this machine."
    if any(words in text for words in ("resolve", "getaddrinfo", "name or service", "name resolution")):
        return "The name was not resolved: check the network and DNS."
    return "Try again later; if it stays, look at the upstream's status page."


def _disk(settings: Settings) -> Finding:
    folder = settings.data_dir
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free / 2**30
    is_fine = free > 2
    return Finding("disk", is_fine, f"{free:.1f} GiB free under {folder}{'' if is_fine else ': make room'}", True)
