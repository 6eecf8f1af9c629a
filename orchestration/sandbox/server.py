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
from typing import Any, TextIO
from urllib.parse import parse_qsl

from . import delivery, faults
from .directory import BY_HOST, ENTRIES, UPSTREAMS
from .faults import Faults, Rule
from .market import Market
from .static import StaticBodies
from .wire import Reply, Request, Server, json_reply

LOOPBACK = "127.0.0.1"
OWN_PAGES = "_sandbox"
LOGGED_PATHS = 10_000


class Upstreams:
    """All upstreams over one market, as an ASGI application; each server is made when it is first needed."""

    def __init__(self, market: Market, rules: Faults, weight_limit: int = 6000) -> None:
        self.market, self.faults, self.weight_limit = market, rules, weight_limit
        self.servers: dict[str, Server] = {}
        self.requests: Counter[tuple[str, str]] = Counter()
        self.statuses: Counter[int] = Counter()

    async def __call__(self, scope, receive, send) -> None:
        host, _, rest = scope["path"][1:].partition("/")
        if host == OWN_PAGES:
            return await delivery.whole(await self.own_page(scope["method"], rest, receive), send)
        raw_path, raw_query = scope["raw_path"].decode("latin-1"), scope["query_string"].decode("latin-1")
        target = "/" + raw_path[1:].partition("/")[2]
        if (host, target) in self.requests or len(self.requests) < LOGGED_PATHS:
            self.requests[host, target] += 1
        query = dict(parse_qsl(raw_query)) if raw_query else {}
        posted = await _body(receive) if scope["method"] == "POST" else b""
        request = Request(host, "/" + rest, query, base_url(scope), posted)
        if self.faults.rules:
            if raw_query:
                target = f"{target}?{raw_query}"
            done = self.faults.misbehave(request, target, self.answer)
            if done.outcome or done.pace:
                return await faults.deliver(done, lambda: self.answer(request), receive, send)
        reply = self.answer(request)
        self.statuses[reply.status] += 1
        await delivery.whole(reply, send)

    def server(self, host: str) -> Server | None:
        """Raises KeyError for no host at all; None where nobody serves it."""
        entry = BY_HOST.get(host)
        where = entry.server if entry else "static:StaticBodies"
        if where not in self.servers:
            self.servers[where] = self._make(where, host)
        server = self.servers[where]
        return server if entry or (isinstance(server, StaticBodies) and host in server.hosts) else None

    def _make(self, where: str, host: str) -> Server:
        if where == "binance:Binance":
            from .binance import Binance

            return Binance(self.market, self.weight_limit)
        entry = BY_HOST.get(host)
        return entry.make(self.market, bool(self.weight_limit)) if entry else StaticBodies(self.market)

    def answer(self, request: Request) -> Reply:
        server = self.server(request.host)
        if server is None:
            return json_reply({"error": f"the sandbox has no host {request.host!r}", "served": self.hosts()}, 404)
        return server(request)

    def hosts(self) -> list[str]:
        return sorted({*BY_HOST, *self.static.hosts})

    # --- the sandbox's own pages

    async def own_page(self, method: str, page: str, receive: delivery.Receive) -> Reply:
        """`catalog`, `catalog/<upstream>`, `log`; POST to `faults` replaces the rules and empties the log."""
        page, _, upstream = page.partition("/")
        if page == "catalog":
            if not upstream:
                return json_reply(self.catalog())
            if upstream in UPSTREAMS:
                return json_reply(self.details(upstream))
        elif page == "log" and not upstream:
            return json_reply(self.log())
        elif page == "faults" and not upstream and method == "POST":
            return self.change_faults(await _body(receive))
        pages = ["catalog", "catalog/<upstream>", "log", "POST faults"]
        return json_reply({"error": "no such page", "pages": pages, "upstreams": list(UPSTREAMS)}, 404)

    def change_faults(self, body: bytes) -> Reply:
        """`{"faults": [texts], "seed": n}`; an empty list lifts all faults."""
        try:
            wanted = json.loads(body)
            rules = faults.load(wanted.get("faults", []))
            self.faults = Faults(rules, int(wanted.get("seed", self.faults.seed)))
        except (ValueError, TypeError, AttributeError) as error:
            return json_reply({"error": str(error), "wanted": {"faults": ["binance:500"], "seed": 1}}, 400)
        self.requests.clear()
        self.statuses.clear()
        return json_reply({"faults": [str(rule) for rule in rules], "seed": self.faults.seed})

    @property
    def static(self) -> StaticBodies:
        host = next(entry.hosts[0] for entry in ENTRIES if entry.server == "static:StaticBodies")
        server = self.server(host)
        assert isinstance(server, StaticBodies)
        return server

    def catalog(self) -> dict[str, Any]:
        """What there is to ask for: a pipeline that follows it meets no 404."""
        market = self.market
        first_day, last_day = market.span()
        upstreams: dict[str, dict[str, Any]] = {name: {"hosts": list(hosts)} for name, hosts in UPSTREAMS.items()}
        for name, more in self._served().items():
            upstreams[name] |= more
        return {
            "market": market.name,
            "source": market.kind,
            "synthetic": market.synthetic,
            "now": market.now.isoformat(),
            "first_day": first_day.isoformat(),
            "last_day": last_day.isoformat(),
            "hosts": self.hosts(),
            "exchanges": [name for name in market.exchanges() if name != "binance_usdm"],
            "upstreams": upstreams,
        }

    def _served(self) -> dict[str, dict[str, Any]]:
        """What a run reads before it asks."""
        from .binance_futures import BinanceFutures
        from .coingecko import CoinGecko
        from .coinmetrics import CoinMetrics

        market, static, llama = self.market, self.static, "stablecoins.llama.fi"
        coinmetrics, coingecko = self.server("community-api.coinmetrics.io"), self.server("api.coingecko.com")
        assert isinstance(coinmetrics, CoinMetrics) and isinstance(coingecko, CoinGecko)
        futures = self.server("fapi.binance.com")
        assert isinstance(futures, BinanceFutures)
        return {
            "binance": {
                "symbols": len(market.symbols()),
                "intervals": {k: v if v is None else list(v) for k, v in market.intervals().items()},
                "weight_limit": self.weight_limit,
            }
            | self._books("binance"),
            "okx": self._books("okx", "-"),
            "bybit": self._books("bybit"),
            "binance_usdm": {"tables": futures.tables},
            "defillama": {
                "paths": static.served(llama),
                "stablecoins": sorted(static.children(llama, "/stablecoin/"), key=int),
            },
            "defillama_api": {
                "paths": static.served("api.llama.fi"),
                "tvl": self._chains("/v2/historicalChainTvl"),
                "dexs": self._chains("/overview/dexs"),
            },
            "coinmetrics": {"assets": sorted(coinmetrics.assets), "metrics": coinmetrics.metrics},
            "coingecko": {"coins": len(coingecko.coins), "pages": -(-len(coingecko.coins) // 250)},
            "fred": {
                "series": sorted(
                    body.query["id"] for body in static.queries("fred.stlouisfed.org", "/graph/fredgraph.csv")
                )
            },
            "alternative_me": {"paths": static.served("api.alternative.me")},
        }

    def _chains(self, path: str) -> list[str]:
        """What there is below a path of DefiLlama's: `all` for itself, then chains."""
        host = "api.llama.fi"
        total = ["all"] if self.static.queries(host, path) else []
        return total + self.static.children(host, f"{path}/")

    def _books(self, exchange: str, between: str = "") -> dict[str, list[str]]:
        """Pairs that have an order book now; of a recording, which has none, no pair."""
        market = self.market
        pairs = market.listings(exchange).values() if market.synthetic and exchange in market.exchanges() else ()
        return {"order_books": [f"{p.base}{between}{p.quote}" for p in pairs if p.end is None or p.end > market.now]}

    def details(self, upstream: str) -> dict[str, Any]:
        """The hosts of one upstream, and what its servers say of themselves (their `catalog()`)."""
        found: dict[str, Any] = {"hosts": list(UPSTREAMS[upstream])} | self._served().get(upstream, {})
        for host in UPSTREAMS[upstream]:
            says = getattr(self.server(host), "catalog", None)
            found |= says() if says else {}
        return found

    def log(self) -> dict[str, Any]:
        hosts: dict[str, dict[str, int]] = {}
        for (host, path), count in self.requests.items():
            hosts.setdefault(host, {})[path] = count
        binance: Any = self.servers.get("binance:Binance")
        return {
            "requests": hosts,
            "request_count": sum(self.requests.values()),
            "statuses": {str(status): count for status, count in sorted(self.statuses.items())},
            "max_weight_used": binance.weight.highest if binance else 0,
            "fault_counts": dict(self.faults.counts),
            "fault_kinds": dict(self.faults.kinds),
            "faults_fired": self.faults.fired,
            "faults_skipped": self.faults.skipped,
        }


async def _body(receive: delivery.Receive) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


def base_url(scope) -> str:
    address, port = scope.get("server") or (LOOPBACK, 80)
    return f"http://{address}:{port}"


def open_market(folder: Path | None, now: date | None, seed: int, size: int, start: date | None = None) -> Market:
    if folder is not None:
        from .recorded import RecordedMarket

        return RecordedMarket(folder, now)
    from .generated import GeneratedMarket
    from .universe import DAY_0

    return GeneratedMarket(now, seed=seed, size=size, start=start or DAY_0)


def serve(
    market: Path | None,
    port: int = 0,
    now: date | None = None,
    rules: Iterable[Rule] = (),
    announce: TextIO | None = None,
    *,
    seed: int = 1,
    size: int = 150,
    weight_limit: int = 6000,
    with_parent: bool = False,
    fault_seed: int | None = None,
    start: date | None = None,
) -> None:
    """Serve until stopped. One line of JSON on `announce` says where; the port then answers."""
    opened = open_market(market, now, seed, size, start)
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

    config = uvicorn.Config(
        Upstreams(opened, Faults(rules, seed if fault_seed is None else fault_seed), weight_limit),
        interface="asgi3",
        lifespan="off",
        access_log=False,
        log_config=None,
        log_level="error",
        ws="none",
        # An upstream's clock may be wrong on purpose: the answers bring their own date.
        date_header=False,
        server_header=False,
        proxy_headers=False,
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
  curl -d '{{"faults": ["storm"]}}' {url}/_sandbox/faults    other faults from now on; [] lifts them
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
