"""Upstreams that answer with whole bodies: DefiLlama, FRED, alternative.me.

A body answers every request that carries its query parameters, in any order; parameters that it
does not know (`format`, `cosd` …) are ignored.
"""

import json
from collections.abc import Sequence

from .market import Body, Market
from .wire import Reply, Request, absent, json_reply

FRED, FNG = "fred.stlouisfed.org", "api.alternative.me"
FRED_404 = b"""<!DOCTYPE html>
<html lang="en"><head><title>Error - St. Louis Fed</title></head>
<body><h1>We're sorry, the page you requested was not found.</h1>
<p>The series you asked for does not exist in FRED.</p></body></html>
"""


class StaticBodies:
    def __init__(self, market: Market, is_limited: bool = True) -> None:
        self._known: dict[tuple[str, str], list[Body]] = {}
        for body in market.bodies():
            self._known.setdefault((body.host, body.path.rstrip("/")), []).append(body)
        for found in self._known.values():
            found.sort(key=lambda body: -len(body.query))
        self._read: dict[int, bytes] = {}

    @property
    def hosts(self) -> list[str]:
        return sorted({host for host, _ in self._known})

    def served(self, host: str) -> list[str]:
        """Paths with queries, as a client asks for them."""
        queries = (body for (of, _), found in self._known.items() if of == host for body in found)
        return sorted(
            b.path + ("?" + "&".join(f"{k}={v}" for k, v in b.query.items()) if b.query else "") for b in queries
        )

    def queries(self, host: str, path: str) -> Sequence[Body]:
        return self._known.get((host, path.rstrip("/")), ())

    def children(self, host: str, path: str) -> list[str]:
        """Last parts of the paths right below `path`."""
        below = [p.removeprefix(path) for of, p in self._known if of == host and p.startswith(path)]
        return sorted(name for name in below if name and "/" not in name)

    def __call__(self, request: Request) -> Reply:
        candidates = self.queries(request.host, request.path)
        if request.host == FNG and candidates:
            return self._newest(request, candidates[0])
        for body in candidates:
            if body.query.items() <= request.query.items():
                return Reply(self._bytes(body), content_type=body.content_type)
        if request.host == FRED and candidates:
            return Reply(FRED_404, 404, "text/html; charset=utf-8")
        return absent(request, self.served(request.host))

    def _bytes(self, body: Body) -> bytes:
        if id(body) not in self._read:
            self._read[id(body)] = body.read()
        return self._read[id(body)]

    def _newest(self, request: Request, body: Body) -> Reply:
        """alternative.me: the `limit` newest values, newest first; 0 for all, by default one."""
        limit = request.query.get("limit", "1")
        if limit == "0":
            return Reply(self._bytes(body))
        if not limit.isdecimal():
            return json_reply({"name": "Fear and Greed Index", "data": [], "metadata": {"error": "invalid limit"}}, 400)
        content = json.loads(self._bytes(body))
        return json_reply(content | {"data": content["data"][: int(limit)]})
