"""The process: one port on 127.0.0.1; the upstream is chosen by the first part of the path."""

import json
import os
import socket
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import date
from pathlib import Path
from typing import TextIO
from urllib.parse import parse_qsl, quote

from . import binance, coingecko, coinmetrics
from .binance import Binance
from .coingecko import CoinGecko
from .coinmetrics import CoinMetrics
from .faults import REPLIES, Faults, Rule, deliver, deliver_whole
from .market import Market
from .static import StaticBodies
from .wire import Reply, Request, Server, json_reply

LOOPBACK = "127.0.0.1"
LOGGED_PATHS = 10_000


class Upstreams:
    """All upstreams over one market, as an ASGI application."""

    def __init__(self, market: Market, faults: Faults, weight_limit: int = 6000) -> None:
        self.market, self.faults = market, faults
        self.binance = Binance(market, weight_limit)
        self.coinmetrics = CoinMetrics(market, is_limited=bool(weight_limit))
        self.coingecko = CoinGecko(market)
        self.static = StaticBodies(market)
        self.servers: dict[str, Server] = dict.fromkeys(self.static.hosts, self.static)
        self.servers |= dict.fromkeys(binance.HOSTS, self.binance)
        self.servers |= dict.fromkeys(coinmetrics.HOSTS, self.coinmetrics)
        self.servers |= dict.fromkeys(coingecko.HOSTS, self.coingecko)
        self.requests: Counter[tuple[str, str]] = Counter()
        self.statuses: Counter[int] = Counter()

    async def __call__(self, scope, receive, send) -> None:
        host, _, rest = scope["path"][1:].partition("/")
        target = "/" + quote(rest)
        raw_query = scope["query_string"].decode("latin-1")
        if (host, target) in self.requests or len(self.requests) < LOGGED_PATHS:
            self.requests[host, target] += 1
        request = Request(host, "/" + rest, dict(parse_qsl(raw_query)), base_url(scope))
        rule = self.faults.pick(host, f"{target}?{raw_query}" if raw_query else target)
        # A fault that replaces the answer comes from before the upstream: it costs no weight.
        reply = None if rule and (rule.kind in REPLIES or rule.kind == "hang") else self.answer(request)
        if rule:
            return await deliver(rule, request, reply, receive, send)
        assert reply is not None
        self.statuses[reply.status] += 1
        await deliver_whole(reply, send)

    def answer(self, request: Request) -> Reply:
        server = self.servers.get(request.host)
        if server is None:
            return json_reply(
                {"error": f"the sandbox has no host {request.host!r}", "served": sorted(self.servers)}, 404
            )
        return server(request)

    def catalog(self) -> dict:
        """What there is to ask for: a pipeline that follows it meets no 404."""
        market, static = self.market, self.static
        first_day, last_day = market.span()
        llama = "stablecoins.llama.fi"
        return {
            "market": market.name,
            "source": market.kind,
            "synthetic": market.synthetic,
            "now": market.now.isoformat(),
            "first_day": first_day.isoformat(),
            "last_day": last_day.isoformat(),
            "hosts": sorted(self.servers),
            "upstreams": {
                "binance": {
                    "symbols": len(market.symbols()),
                    "intervals": {k: v if v is None else list(v) for k, v in market.intervals().items()},
                    "weight_limit": self.binance.weight.limit,
                },
                "defillama": {
                    "paths": static.served(llama),
                    "stablecoins": sorted(static.children(llama, "/stablecoin/"), key=int),
                    "chains": static.children("api.llama.fi", "/v2/historicalChainTvl/"),
                },
                "coinmetrics": {"assets": sorted(self.coinmetrics.assets), "metrics": self.coinmetrics.metrics},
                "coingecko": {"coins": len(self.coingecko.coins), "pages": -(-len(self.coingecko.coins) // 250)},
                "fred": {
                    "series": sorted(
                        body.query["id"] for body in static.queries("fred.stlouisfed.org", "/graph/fredgraph.csv")
                    )
                },
                "alternative_me": {"paths": static.served("api.alternative.me")},
            },
        }

    def log(self) -> dict:
        hosts: dict[str, dict[str, int]] = {}
        for (host, path), count in self.requests.items():
            hosts.setdefault(host, {})[path] = count
        return {
            "requests": hosts,
            "request_count": sum(self.requests.values()),
            "statuses": {str(status): count for status, count in sorted(self.statuses.items())},
            "max_weight_used": self.binance.weight.highest,
            "fault_counts": dict(self.faults.counts),
            "faults_fired": self.faults.fired,
        }


def base_url(scope) -> str:
    address, port = scope.get("server") or (LOOPBACK, 80)
    return f"http://{address}:{port}"


def application(upstreams: Upstreams):
    """The ASGI application: the sandbox's own pages, then the upstreams."""
    from starlette.applications import Starlette
    from starlette.responses import JSONResponse
    from starlette.routing import Mount, Route

    async def catalog(request) -> JSONResponse:
        return JSONResponse(upstreams.catalog())

    async def log(request) -> JSONResponse:
        return JSONResponse(upstreams.log())

    return Starlette(
        routes=[Route("/_sandbox/catalog", catalog), Route("/_sandbox/log", log), Mount("/", upstreams)],
    )


def open_market(folder: Path | None, now: date | None, seed: int, size: int) -> Market:
    if folder is not None:
        from .recorded import RecordedMarket

        return RecordedMarket(folder, now)
    from .generated import GeneratedMarket

    return GeneratedMarket(now, seed=seed, size=size)


def serve(
    market: Path | None,
    port: int = 0,
    now: date | None = None,
    faults: Iterable[Rule] = (),
    announce: TextIO | None = None,
    *,
    seed: int = 1,
    size: int = 150,
    weight_limit: int = 6000,
    with_parent: bool = False,
) -> None:
    """Serve until stopped. One line of JSON on `announce` says where; the port then answers."""
    opened = open_market(market, now, seed, size)
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((LOOPBACK, port))
    # From here on connections wait in the backlog: whoever reads the line may ask at once.
    listener.listen(2048)
    url = f"http://{LOOPBACK}:{listener.getsockname()[1]}"
    line = {"url": url, "market": opened.name, "synthetic": opened.synthetic, "now": opened.now.isoformat()}
    print(json.dumps(line), file=announce or sys.stdout, flush=True)
    if not with_parent:
        print(_directions(url, opened), file=sys.stderr, flush=True)
    else:
        threading.Thread(target=_end_with_parent, daemon=True).start()
    threading.Thread(target=_quietly(opened.warm), daemon=True).start()

    import uvicorn

    rules = Faults(faults, seed)
    config = uvicorn.Config(
        application(Upstreams(opened, rules, weight_limit)),
        lifespan="off",
        access_log=False,
        log_config=None,
        # An answer cut on purpose is an error to uvicorn.
        log_level="critical" if rules.rules else "error",
        ws="none",
        timeout_keep_alive=75,
        timeout_graceful_shutdown=1,
    )
    uvicorn.Server(config).run(sockets=[listener])


def _directions(url: str, market: Market) -> str:
    data = "synthetic data, generated" if market.synthetic else "recorded data"
    return f"""{market.name} ({data}); its now is {market.now} 00:00 UTC. Stop with Ctrl-C. Ask it like this:
  curl '{url}/data-api.binance.vision/api/v3/klines?symbol=BTCUSDT&interval=1d&limit=2'
  curl {url}/_sandbox/catalog    what is served
  curl {url}/_sandbox/log        what was asked, and which faults fired
  ALTFLOW_UPSTREAMS={url} altflow run    a run against it"""


def _quietly(warm: Callable[[], None]) -> Callable[[], None]:
    def run() -> None:
        # What fails here fails again, and is answered, when a request needs it.
        import contextlib

        with contextlib.suppress(Exception):
            warm()

    return run


def _end_with_parent() -> None:
    """End when the pipe that the parent holds is closed, however the parent died."""
    while os.read(0, 4096):
        pass
    os._exit(0)
