"""Misbehaviour on demand: which request is answered badly, and how.

As text, repeatable: `upstream:kind[:path-substring][:when]`; or a YAML file, a list of mappings
with the keys upstream, kind, path, nth, from_nth, probability, retry_after. `upstream` is a host, a
key of UPSTREAMS or `*`. `when` is the number of the one matching request that is hit (`3`), the
first from which all are (`3+`), or a probability (`0.1`); without it every matching request is hit.
A probability is drawn from the seed, the rule, the URL and how often that URL was asked, so it does
not depend on the order in which parallel requests arrive.
"""

import asyncio
import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import binance
from .wire import Reply, Request, json_reply

UPSTREAMS = {
    "binance": binance.HOSTS,
    "defillama": ("stablecoins.llama.fi", "api.llama.fi"),
    "coinmetrics": ("community-api.coinmetrics.io",),
    "coingecko": ("api.coingecko.com",),
    "fred": ("fred.stlouisfed.org",),
    "alternative_me": ("api.alternative.me",),
}
HTML = "text/html"
CLOUDFRONT = b"""<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 4.01 Transitional//EN" "http://www.w3.org/TR/html4/loose.dtd">
<HTML><HEAD><TITLE>ERROR: The request could not be satisfied</TITLE></HEAD><BODY><H1>403 ERROR</H1>
The Amazon CloudFront distribution is configured to block access from your country.</BODY></HTML>
"""
MAINTENANCE = b"<!DOCTYPE html>\n<html><head><title>Maintenance</title></head><body>We'll be back soon.</body></html>\n"
RESTRICTED = (
    "Service unavailable from a restricted location according to 'b. Eligibility' in https://www.binance.com/en/terms. "
    "Please contact customer service if you believe you received this message in error."
)


class FaultError(ValueError):
    """A fault rule that cannot be read; the message shows the rule and what is accepted."""


def _retry_later(rule: "Rule", status: int, message: str, seconds: int) -> Reply:
    after = str(seconds if rule.retry_after is None else rule.retry_after)
    return json_reply({"code": -1003, "msg": message}, status, (("Retry-After", after),))


# Instead of the real answer.
REPLIES = {
    "500": lambda rule: json_reply(
        {"code": -1000, "msg": "An unknown error occurred while processing the request."}, 500
    ),
    "429": lambda rule: _retry_later(rule, 429, "Too many requests.", 1),
    "418": lambda rule: _retry_later(rule, 418, "Way too many requests; IP banned.", 120),
    "451": lambda rule: json_reply({"code": 0, "msg": RESTRICTED}, 451),
    "403-html": lambda rule: Reply(CLOUDFRONT, 403, HTML),
    "html-200": lambda rule: Reply(MAINTENANCE, 200, HTML),
    "empty": lambda rule: Reply(b""),
}
# Applied while the real answer is sent.
DELIVERIES = ("truncated", "reset", "hang")
KINDS = (*REPLIES, *DELIVERIES)


@dataclass
class Rule:
    upstream: str
    kind: str
    path: str = ""
    nth: int | None = None
    from_nth: int | None = None
    probability: float | None = None
    retry_after: int | None = None
    seen: int = field(default=0, compare=False)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise FaultError(f"fault kind {self.kind!r}: want one of {', '.join(KINDS)}")
        # YAML reads `nth: 2` as a number and `kind: 500` too; a dotted host is taken as it is.
        if self.upstream not in UPSTREAMS and self.upstream != "*" and "." not in self.upstream:
            raise FaultError(f"fault upstream {self.upstream!r}: want a host, * or one of {', '.join(UPSTREAMS)}")

    def matches(self, host: str, target: str) -> bool:
        hosts = UPSTREAMS.get(self.upstream, (self.upstream,))
        return (self.upstream == "*" or host in hosts) and self.path in target

    def __str__(self) -> str:
        return ":".join([self.upstream, self.kind] + ([self.path] if self.path else []))


def parse(text: str) -> Rule:
    """`upstream:kind[:path-substring][:when]`."""
    upstream, _, rest = text.partition(":")
    kind, _, rest = rest.partition(":")
    path, _, when = rest.rpartition(":")
    if when and not _is_when(when):
        path, when = rest, ""
    return Rule(upstream, kind, path, **_when(when))


def _is_when(text: str) -> bool:
    return bool(text) and text.rstrip("+").replace(".", "", 1).isdecimal()


def _when(text: str) -> dict[str, Any]:
    if not text:
        return {}
    if text.endswith("+"):
        return {"from_nth": int(text[:-1])}
    return {"probability": float(text)} if "." in text else {"nth": int(text)}


def load(specifications: Iterable[str]) -> list[Rule]:
    """Rules from YAML files and short texts, in the order given."""
    rules = []
    for text in specifications:
        if not text.endswith((".yaml", ".yml")):
            rules.append(parse(text))
            continue
        import yaml

        try:
            content = yaml.safe_load(Path(text).read_text())
        except (OSError, yaml.YAMLError) as error:
            raise FaultError(f"faults file {text}: {error}") from error
        for item in (content.get("faults", []) if isinstance(content, Mapping) else content) or []:
            if isinstance(item, str):
                rules.append(parse(item))
                continue
            try:
                rules.append(Rule(**{**item, "kind": str(item.get("kind"))}))
            except (TypeError, AttributeError) as error:
                raise FaultError(f"faults file {text}: {item!r}: {error}") from error
    return rules


class Faults:
    """Picks the fault of a request; the first rule that hits counts. `fired` is the log."""

    KEPT = 10_000

    def __init__(self, rules: Iterable[Rule] = (), seed: int = 1) -> None:
        self.rules, self.seed = list(rules), seed
        self.asked: Counter[str] = Counter()
        self.counts: Counter[str] = Counter()
        self.fired: list[dict[str, Any]] = []

    def pick(self, host: str, target: str) -> Rule | None:
        if not self.rules:
            return None
        url = host + target
        self.asked[url] += 1
        hit = None
        for index, rule in enumerate(self.rules):
            if rule.matches(host, target):
                rule.seen += 1
                if hit is None and self._hits(rule, index, url):
                    hit = rule
        if hit is not None:
            self.counts[str(hit)] += 1
            if len(self.fired) < self.KEPT:
                self.fired.append({"upstream": host, "kind": hit.kind, "url": target, "request": hit.seen})
        return hit

    def _hits(self, rule: Rule, index: int, url: str) -> bool:
        if rule.nth is not None:
            return rule.seen == rule.nth
        if rule.from_nth is not None:
            return rule.seen >= rule.from_nth
        if rule.probability is None:
            return True
        key = f"{self.seed}|{index}|{url}|{self.asked[url]}".encode()
        return int.from_bytes(hashlib.blake2b(key, digest_size=8).digest(), "big") < rule.probability * 2**64


async def deliver(rule: Rule, request: Request, reply: Reply | None, receive, send) -> None:
    """Send what the fault makes of the answer. `reply` is None for the kinds in REPLIES."""
    if rule.kind == "hang":
        while (await receive())["type"] != "http.disconnect":
            await asyncio.sleep(0)
        return
    if reply is None:
        return await deliver_whole(REPLIES[rule.kind](rule), send)
    half = reply.body[: len(reply.body) // 2]
    if rule.kind == "truncated":
        # A whole HTTP message around half a body: only who reads the body can notice.
        return await deliver_whole(Reply(half, reply.status, reply.content_type, reply.headers), send)
    await send(start(reply))
    # The headers promise the whole body; the server cuts a connection whose answer stays unfinished.
    await send({"type": "http.response.body", "body": half, "more_body": True})


def start(reply: Reply) -> dict[str, Any]:
    headers = [
        (b"content-type", reply.content_type.encode()),
        (b"content-length", str(len(reply.body)).encode()),
        *((name.lower().encode(), value.encode()) for name, value in reply.headers),
    ]
    return {"type": "http.response.start", "status": reply.status, "headers": headers}


async def deliver_whole(reply: Reply, send) -> None:
    await send(start(reply))
    await send({"type": "http.response.body", "body": reply.body})
