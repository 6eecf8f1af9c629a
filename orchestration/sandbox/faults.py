"""Misbehaviour on demand: which request is answered badly. What the kinds do: fault_kinds.py.

As text, repeatable: `upstream:kind[=value][:path][:when]`; or a name of fault_presets.PRESETS; or a YAML file, a list
of such texts and of mappings with the keys upstream, kind, value (or what it is: retry_after, symbol, seconds,
bytes_per_second), path, nth, from_nth, to_nth, probability.

    upstream     a host, a key of directory.UPSTREAMS, or `*`
    kind         a key of fault_kinds.KINDS; several with `|`; `*` for all that pass. Of several, the seed picks
                 one that makes sense for the request.
    value        what the kind takes, e.g. `429=30`, `slow=0.5,20000`, `renamed=XRPUSDT`
    path         part of path and query; with `*` a glob of the whole; with `re:` before it a regular expression
    when         `3`: the third matching request; `3+`: from the third on; `1-2`: the first two; `0.1`: so many of
                 all, drawn from the seed, the rule, the URL and how often that URL was asked, so that the order
                 in which parallel requests arrive does not matter. Without it: every matching request.

The first rule that hits and makes sense counts; `slow` joins any other.
"""

import hashlib
import random
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import Any

from . import delivery
from .directory import UPSTREAMS
from .fault_kinds import KINDS, PASSING, DoesNotApply, Outcome, Turn, Unconcerned
from .fault_presets import PRESETS
from .wire import Reply, Request

VALUES = ("retry_after", "symbol", "seconds", "bytes_per_second")
WHEN = re.compile(r"(?P<nth>\d+)|(?P<from_nth>\d+)\+|(?P<first>\d+)-(?P<to_nth>\d+)|(?P<probability>[01]?\.\d+|1\.)")


class FaultError(ValueError):
    """A fault rule that cannot be read; the message shows the rule and what is accepted."""


@dataclass
class Rule:
    upstream: str
    kind: str
    path: str = ""
    nth: int | None = None
    from_nth: int | None = None
    probability: float | None = None
    value: str | None = None
    to_nth: int | None = None
    seen: int = field(default=0, compare=False)
    aliases: dict[str, str] = field(default_factory=dict, compare=False, repr=False)

    def __post_init__(self) -> None:
        unknown = [name for name in self.kinds if name not in KINDS]
        if unknown or not self.kinds:
            raise FaultError(f"fault kind {self.kind!r}: want one of {', '.join(KINDS)}, or several with |, or *")
        # A dotted host is taken as it is: a market may have others than the directory.
        if self.upstream not in UPSTREAMS and self.upstream != "*" and "." not in self.upstream:
            raise FaultError(f"fault upstream {self.upstream!r}: want a host, * or one of {', '.join(UPSTREAMS)}")
        if self.value is not None:
            _require_value(self.kinds, self.value)
        if self.probability is not None and not 0 <= self.probability <= 1:
            raise FaultError(f"fault probability {self.probability}: want 0 to 1")
        if self.path.startswith("re:"):
            try:
                re.compile(self.path[3:])
            except re.error as error:
                raise FaultError(f"fault path {self.path!r}: not a regular expression ({error})") from None

    @cached_property
    def kinds(self) -> Sequence[str]:
        return PASSING if self.kind == "*" else self.kind.split("|")

    @cached_property
    def _is_at(self) -> Callable[[str], bool]:
        if self.path.startswith("re:"):
            pattern = re.compile(self.path[3:])
            return lambda target: pattern.search(target) is not None
        if "*" in self.path:
            return lambda target: fnmatchcase(target, self.path)
        return lambda target: self.path in target

    def matches(self, host: str, target: str) -> bool:
        hosts = UPSTREAMS.get(self.upstream, (self.upstream,))
        return (self.upstream == "*" or host in hosts) and self._is_at(target)

    @property
    def pace(self) -> tuple[float, float | None]:
        """Seconds before the answer, bytes a second."""
        seconds, _, size = (self.value or "0.2").partition(",")
        return float(seconds), float(size) if size else None

    def __str__(self) -> str:
        value = f"={self.value}" if self.value is not None else ""
        return ":".join([self.upstream, self.kind + value] + ([self.path] if self.path else []))


def _require_value(kinds: Sequence[str], value: str) -> None:
    for name in kinds:
        wanted = KINDS[name].value
        numbers = {"number": [value], "pace": value.split(",", 1)}.get(wanted or "", [])
        if wanted is None or not all(re.fullmatch(r"-?\d+(\.\d+)?", number) for number in numbers):
            takes = f"{name}: {KINDS[name].says}"
            raise FaultError(f"fault value {value!r} does not fit; {takes}{'' if wanted else '; it takes none'}")


def parse(text: str) -> Rule:
    """`upstream:kind[=value][:path][:when]`."""
    upstream, _, rest = text.partition(":")
    kind, _, rest = rest.partition(":")
    kind, has_value, value = kind.partition("=")
    path, _, last = rest.rpartition(":")
    when = WHEN.fullmatch(last)
    return Rule(upstream, kind, path if when else rest, value=value if has_value else None, **_when(when))


def _when(found: re.Match[str] | None) -> dict[str, Any]:
    if found is None:
        return {}
    if found["probability"]:
        return {"probability": float(found["probability"])}
    if found["to_nth"]:
        return {"from_nth": int(found["first"]), "to_nth": int(found["to_nth"])}
    return {name: int(found[name]) for name in ("nth", "from_nth") if found[name]}


def load(specifications: Iterable[str]) -> list[Rule]:
    """Rules from presets, YAML files and short texts, in the order given. Raises FaultError."""
    rules = []
    for text in specifications:
        if text in PRESETS:
            rules += [parse(line) for line in PRESETS[text][1]]
        elif text.endswith((".yaml", ".yml")):
            rules += _of_file(text)
        elif ":" in text:
            rules.append(parse(text))
        else:
            known = ", ".join(PRESETS)
            raise FaultError(f"faults {text!r}: want upstream:kind, a YAML file or one of {known}; `help` lists all")
    return rules


def _of_file(path: str) -> list[Rule]:
    import yaml

    try:
        content = yaml.safe_load(Path(path).read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise FaultError(f"faults file {path}: {error}") from error
    rules = []
    for item in (content.get("faults", []) if isinstance(content, Mapping) else content) or []:
        try:
            rules.append(parse(item) if isinstance(item, str) else _of_mapping(item))
        except (TypeError, ValueError, AttributeError) as error:
            raise FaultError(f"faults file {path}: {item!r}: {error}") from error
    return rules


def _of_mapping(item: Mapping[str, Any]) -> Rule:
    allowed = {f.name for f in fields(Rule)} - {"seen", "aliases"}
    if unknown := item.keys() - allowed - set(VALUES):
        raise FaultError(f"unknown {', '.join(sorted(unknown))}; want {', '.join([*sorted(allowed), *VALUES])}")
    # YAML reads `kind: 500` and `value: 7` as numbers.
    given: dict[str, Any] = {
        key: str(v) if key in ("kind", "value", "upstream", "path") else v for key, v in item.items()
    }
    if values := [str(given.pop(name)) for name in VALUES if name in given]:
        given["value"] = ",".join((["0"] if "bytes_per_second" in item and len(values) == 1 else []) + values)
    return Rule(**given)


def listing() -> str:
    """The kinds and presets, for people."""
    lines = ["kinds (* stands for those without a star before them):"]
    lines += [f"  {' ' if k.passes else '*'} {k.name:<16} {k.says}" for k in KINDS.values()]
    lines += ["", f"upstreams: {', '.join(UPSTREAMS)}, a host, or *", "", "presets:"]
    for name, (says, rules) in PRESETS.items():
        lines += [f"    {name:<16} {says}", *(f"    {'':<16}   {rule}" for rule in rules)]
    lines += ["", "upstream:kind[=value][:path][:when], e.g."]
    lines += [f"    --faults '{text}'" for text in EXAMPLES]
    return "\n".join(lines)


EXAMPLES = (
    "binance:500:klines:0.1",
    "binance:429=30:/api/v3/klines:3",
    "binance:nan|negative:symbol=BTCUSDT",
    "*:slow=0.3,50000",
    "binance:missing:*BTCUSDT-1d-2024-01-??.zip:1-2",
    "binance:renamed=XRPUSDT",
    "*:*:0.1",
)


@dataclass(frozen=True)
class Misbehaved:
    """What is sent, and how slowly."""

    outcome: Outcome | None
    pace: tuple[float, float | None] | None


class Faults:
    """Picks what happens to a request. `fired` and `skipped` are the log: what happened, and what made no sense."""

    KEPT = 10_000

    def __init__(self, rules: Iterable[Rule] = (), seed: int = 1) -> None:
        self.rules, self.seed = list(rules), seed
        self.asked: Counter[str] = Counter()
        self.counts: Counter[str] = Counter()
        self.kinds: Counter[str] = Counter()
        self.fired: list[dict[str, Any]] = []
        self.skipped: list[dict[str, Any]] = []

    def misbehave(self, request: Request, target: str, ask: Callable[[Request], Reply]) -> Misbehaved:
        """`target`: path and query as asked. The outcome is None where the real answer is sent."""
        url = request.host + target
        self.asked[url] += 1
        hits = [(i, rule) for i, rule in enumerate(self.rules) if self._hits(i, rule, request.host, target, url)]
        pace = None
        for index, rule in hits:
            for name in self._order(index, rule, url):
                if name == "slow" and pace is not None:
                    continue
                # A file and its checksum are drawn alike: what changes the one must change the other.
                key = f"{self.seed}|{index}|{name}|{url.removesuffix('.CHECKSUM')}|{self.asked[url]}"
                stable = random.Random(f"{self.seed}|{index}")
                turn = Turn(request, url, rule.value, random.Random(key), stable, rule.aliases, ask)
                try:
                    done = KINDS[name].act(turn)
                except Unconcerned:
                    continue
                except DoesNotApply as error:
                    if len(rule.kinds) == 1:
                        self._note(self.skipped, request, name, target, rule, why=str(error))
                    continue
                self.counts[str(rule)] += 1
                self.kinds[name] += 1
                self._note(self.fired, request, name, target, rule)
                if name != "slow":
                    return Misbehaved(done if isinstance(done, Outcome) else Outcome(done), pace)
                pace = rule.pace
                break
        return Misbehaved(None, pace)

    def _note(self, log: list, request: Request, kind: str, target: str, rule: Rule, **more: str) -> None:
        if len(log) < self.KEPT:
            log.append({"upstream": request.host, "kind": kind, "url": target, "request": rule.seen} | more)

    def _order(self, index: int, rule: Rule, url: str) -> Sequence[str]:
        if len(rule.kinds) == 1:
            return rule.kinds
        key = f"{self.seed}|{index}|kinds|{url.removesuffix('.CHECKSUM')}|{self.asked[url]}"
        return random.Random(key).sample(rule.kinds, len(rule.kinds))

    def _hits(self, index: int, rule: Rule, host: str, target: str, url: str) -> bool:
        if not rule.matches(host, target):
            return False
        rule.seen += 1
        if rule.nth is not None:
            return rule.seen == rule.nth
        if rule.from_nth is not None:
            return rule.from_nth <= rule.seen <= (rule.to_nth or rule.seen)
        if rule.probability is None:
            return True
        key = f"{self.seed}|{index}|{url.removesuffix('.CHECKSUM')}|{self.asked[url]}".encode()
        return int.from_bytes(hashlib.blake2b(key, digest_size=8).digest(), "big") < rule.probability * 2**64


async def deliver(done: Misbehaved, reply: Callable[[], Reply], receive: delivery.Receive, send: delivery.Send) -> None:
    """Sends what came of a request that rules hit; `reply` is asked where that is the real answer."""
    outcome = done.outcome or Outcome(reply())
    slowly = delivery.paced(send, *done.pace) if done.pace else send
    if outcome.send is None:
        await delivery.whole(outcome.reply, slowly)
    else:
        await outcome.send(outcome.reply, receive, slowly)
