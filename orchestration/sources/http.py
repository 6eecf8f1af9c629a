"""One HTTP client for all upstreams: budgets, patience, mirrors, limits.

A `Host` says what an upstream allows. `Http.get` waits for the host's budget, asks, and returns
the body only when it is whole and of the expected kind. It retries what may pass (5xx, time-outs,
cut or foreign bodies), obeys Retry-After for the whole host, moves to a mirror when the host is
geo-blocked and gives up on a host that keeps failing, so that one dead upstream costs seconds.
"""

import hashlib
import json
import random
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlencode

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError, ReadTimeoutError

from orchestration.sources.body import SourceError

LATER = "it is asked again by the next run; `altflow doctor` tells what answers from here"
ELSEWHERE = "the rest is loaded without it; run from another region to have it too"
SHOWN = 120
"""characters of a query that a message quotes"""
USER_AGENT = "altflow/0.1 (open order-flow warehouse; see the project's README for contact)"


@dataclass(frozen=True)
class Host:
    """What one upstream allows. `per_minute` and `burst` are in the upstream's own weight units."""

    name: str
    hosts: tuple[str, ...]
    per_minute: float
    burst: float
    connections: int = 4
    weight_header: str | None = None
    max_bytes: int = 16 * 2**20
    """of a body that is kept; as JSON it may take twenty times that in memory"""
    hides_missing: bool = False
    """a bucket that nobody may list says 403 (`<Error>` in XML) of what is not there"""
    refuses_with: int | None = None
    """the status by which who asks too fast is refused, for minutes: the host is then left alone for this run"""


@dataclass(frozen=True)
class Patience:
    """How long to wait for an upstream: tries of one request, first pause and time-outs in seconds."""

    tries: int = 5
    pause: float = 1.0
    longest_pause: float = 60.0
    connect: float = 10.0
    read: float = 45.0
    whole: float = 300.0
    whole_file: float = 3600.0
    """seconds until a body, or a file, is there; who sends a byte a minute keeps nobody longer"""
    dead_after: int = 3
    """so many requests in a row that used up their tries: the host is left alone for this run"""


LOOPBACK_PATIENCE = Patience(tries=4, pause=0.1, longest_pause=2.0, connect=2.0, read=5.0, dead_after=2)


class Budget:
    """A token bucket in weight units, shared by all threads that ask one host."""

    def __init__(self, per_minute: float, burst: float, clock: Callable[[], float] = time.monotonic):
        self._clock = clock
        self._lock = threading.Lock()
        self._rate = per_minute / 60
        self._burst = burst
        self._tokens = burst
        self._at = clock()
        self._paused_until = 0.0

    def _refill(self) -> None:
        now = self._clock()
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
        self._at = now

    def reserve(self, weight: float) -> float:
        """Takes `weight` and returns the seconds to wait before the request may be sent."""
        with self._lock:
            self._refill()
            self._tokens -= weight
            wait = max(0.0, -self._tokens / self._rate)
            return max(wait, self._paused_until - self._clock())

    def held(self) -> float:
        """Seconds until the pause of this host is over; 0 where there is none."""
        with self._lock:
            return max(0.0, self._paused_until - self._clock())

    def pause(self, seconds: float) -> None:
        """Nobody asks this host before `seconds` have passed."""
        with self._lock:
            self._paused_until = max(self._paused_until, self._clock() + seconds)

    def resync(self, used: float) -> None:
        """The server counts `used` weight in its current window: never believe to have more left."""
        with self._lock:
            self._refill()
            self._tokens = min(self._tokens, self._burst - used)


@dataclass
class _State:
    """What is known of one host in this run."""

    budget: Budget
    session: requests.Session
    mirror: int = 0
    failures: int = 0
    closed: str | None = None


def query_of(host: Host, params: Mapping[str, str | int] | None) -> str:
    """With its question mark. Raises SourceError where an upstream named what no address can hold."""
    try:
        return f"?{urlencode(params)}" if params else ""
    except UnicodeEncodeError:
        raise SourceError(f"{host.name}: {str(params)[:SHOWN]} cannot be asked for: half a character") from None


def is_json(content: bytes) -> str | None:
    """None for a body that opens and closes like JSON, else what is wrong with it."""
    trimmed = content.strip()
    if not trimmed:
        return "an empty body"
    if trimmed[:1] == b"<":
        return "an HTML page instead of JSON"
    whole = trimmed[:1] + trimmed[-1:] in (b"[]", b"{}")
    if whole and any(trimmed.count(a) != trimmed.count(b) for a, b in (b"[]", b"{}")):
        # Cut behind an inner bracket, or brackets inside of a text.
        try:
            json.loads(trimmed)
        except (ValueError, RecursionError):
            whole = False
    return None if whole else f"a cut or foreign body of {len(content)} bytes instead of JSON"


def is_csv(content: bytes) -> str | None:
    """None for a body that looks like CSV text, else what is wrong with it."""
    if not content.strip():
        return "an empty body"
    if content.lstrip()[:1] in (b"<", b"{", b"["):
        return "an HTML page or an error instead of CSV"
    if content[:2] == b"PK":
        return "a ZIP instead of CSV (series of different frequencies in one request)"
    if not content.endswith(b"\n"):
        return f"a cut body of {len(content)} bytes: its last line has no end"
    return None


def is_xml(content: bytes) -> str | None:
    """None for a body that looks like a whole XML document, else what is wrong with it."""
    trimmed = content.strip()
    if not trimmed.startswith(b"<?xml"):
        return "something else than XML"
    return None if trimmed.endswith(b">") and b"</" in trimmed[-80:] else f"a cut XML of {len(content)} bytes"


def is_packed(content: bytes) -> str | None:
    """None for what begins like a zip, gzip or plain text file (the first bytes are enough), else what it is."""
    head = content[:256].lstrip()
    if head[:1] in (b"<", b"{"):
        return "a page or an error instead of a file"
    return None


def anything(content: bytes) -> str | None:
    """For bodies that nothing is known of."""
    return None


@dataclass(frozen=True)
class Answer:
    url: str
    status: int
    content: bytes
    fetched_at: datetime
    etag: str | None = None


@dataclass(frozen=True)
class Downloaded:
    """A file on disk, whole as far as its server says."""

    path: Path
    url: str
    sha256: str
    byte_count: int
    fetched_at: datetime
    etag: str | None = None


def _retry_after(value: str | None, default: float) -> float:
    """Seconds from a Retry-After header: a number or an HTTP date."""
    if not value:
        return default
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):
        return default


class Http:
    """`base` sends every request to `<base>/<host>/<path>`: a sandbox that stands for all hosts."""

    def __init__(self, base: str | None = None, patience: Patience | None = None):
        self._base = base.rstrip("/") if base else None
        self._patience = patience or (LOOPBACK_PATIENCE if base else Patience())
        self._states: dict[str, _State] = {}
        self._lock = threading.Lock()

    def get(
        self,
        host: Host,
        path: str,
        params: Mapping[str, str | int] | None = None,
        weight: float = 1,
        wrong: Callable[[bytes], str | None] = is_json,
        post: object = None,
    ) -> Answer:
        """The body of `path`, whole and of the expected kind. `post`: asked with POST and this JSON.

        Raises SourceError: `out_of_reach` when every mirror is blocked, `failed` otherwise; a
        refusal (HTTP 4xx) carries its status and content."""
        answer = self._tried(host, path, params, weight, wrong, post, None)
        assert isinstance(answer, Answer)
        return answer

    def download(self, host: Host, path: str, to: Path, weight: float = 1) -> Downloaded:
        """Writes the file at `path` to `to`, of any size, under the same rules as `get`; it may be there already.

        Raises SourceError like `get`; a file that is not there carries status 404."""
        answer = self._tried(host, path, None, weight, is_packed, None, to)
        assert isinstance(answer, Downloaded)
        return answer

    def etag(self, host: Host, path: str) -> str | None:
        """The tag of what is at `path`, without its body. Raises SourceError like `get`."""
        answer = self._tried(host, path, None, 1, anything, None, None, "HEAD")
        return answer.etag

    def _tried(
        self,
        host: Host,
        path: str,
        params: Mapping[str, str | int] | None,
        weight: float,
        wrong: Callable[[bytes], str | None],
        post: object,
        to: Path | None,
        method: str | None = None,
    ) -> "Answer | Downloaded":
        state = self._state(host)
        query = query_of(host, params)
        what = f"{host.name} {path}{query if len(query) <= SHOWN else query[:SHOWN] + '...'}"
        tried: list[str] = []
        for attempt in range(self._patience.tries):
            self._wait_for_turn(state, weight, what)
            mirror = state.mirror
            url = f"https://{host.hosts[mirror]}{path}{query}"
            problem, pause = self._ask(host, state, url, mirror, wrong, post, to, method)
            if isinstance(problem, Answer | Downloaded):
                state.failures = 0
                return problem
            tried.append(problem)
            if pause is None:
                continue
            if attempt + 1 < self._patience.tries:
                longest = min(self._patience.longest_pause, self._patience.pause * 2**attempt)
                time.sleep(pause or longest * random.uniform(0.5, 1.0))
        state.failures += 1
        if state.failures >= self._patience.dead_after and not state.closed:
            state.closed = f"{host.name} failed {state.failures} requests in a row ({tried[-1]})"
        raise SourceError(f"{what}: {tried[-1]} after {len(tried)} tries ({host.hosts[state.mirror]}); {LATER}")

    def _wait_for_turn(self, state: _State, weight: float, what: str) -> None:
        """Raises SourceError where the host is left alone. While one thread waits, another may be told to
        pause or to stop: both hold for all."""
        wait = 0.0 if state.closed else state.budget.reserve(weight)
        while wait > 0 and not state.closed:
            time.sleep(wait)
            wait = state.budget.held()
        if state.closed:
            blocked = state.closed.startswith("blocked")
            advice, reason = (ELSEWHERE, "out_of_reach") if blocked else (LATER, "failed")
            raise SourceError(f"{what}: not asked, {state.closed}; {advice}", reason)

    def _ask(
        self,
        host: Host,
        state: _State,
        url: str,
        mirror: int,
        wrong: Callable[[bytes], str | None],
        post: object,
        to: Path | None,
        method: str | None,
    ) -> tuple[Answer | Downloaded | str, float | None]:
        """One request: the answer, or what went wrong and the pause before the next try (0: the
        usual back-off, None: at once). Raises SourceError where no further try makes sense."""
        try:
            asked = f"{self._base}/{url.removeprefix('https://')}" if self._base else url
            with state.session.request(
                method or ("GET" if post is None else "POST"),
                asked,
                json=cast(Any, post),
                timeout=(self._patience.connect, self._patience.read),
                stream=True,
                allow_redirects=False,
            ) as response:
                status, headers = response.status_code, response.headers
                if to is not None and status == 200:
                    return _saved(response, to, url, wrong, self._patience.whole_file)
                pieces = _pieces(response, host.max_bytes + 1, self._patience.whole, is_unpacked=True)
                content = b"".join(pieces)
        except (requests.RequestException, OSError, Exception) as error:
            if not _is_transport(error):
                raise
            return self._said(error), 0.0
        if len(content) > host.max_bytes:
            raise SourceError(f"{host.name} {url}: a body above {host.max_bytes} bytes; not read")
        if host.weight_header and (used := headers.get(host.weight_header, "")).isdigit():
            state.budget.resync(float(used))
        if status == 200:
            fault = wrong(content)
            answer = Answer(url, status, content, _now(), headers.get("ETag"))
            return (f"HTTP 200 with {fault}", 0.0) if fault else (answer, 0.0)
        is_html = content.lstrip()[:1] == b"<"
        if status == host.refuses_with:
            state.closed = f"{host.name} refuses this address (HTTP {status}): asked too fast, or blocked from here"
            raise SourceError(f"{host.name} {url}: {state.closed}; {LATER}", status=status)
        if status == 403 and host.hides_missing and b"<Error>" in content[:300]:
            raise SourceError(f"{host.name} {url}: not there (HTTP 403, as this bucket says it)", status=404)
        if status == 451 or (status == 403 and is_html):
            return self._leave_mirror(host, state, mirror, status), None
        if status == 418:
            until = _retry_after(headers.get("Retry-After"), 120.0)
            state.closed = f"{host.name} banned this address (HTTP 418) for {until:.0f} s"
            raise SourceError(f"{host.name} {url}: {state.closed}; run again after that")
        if status == 429:
            seconds = _retry_after(headers.get("Retry-After"), 0.0)
            if seconds > self._patience.longest_pause:
                state.closed = f"{host.name} asks to wait {seconds:.0f} s (HTTP 429)"
                raise SourceError(f"{host.name} {url}: {state.closed}; run again after that")
            state.budget.pause(seconds or self._patience.pause)
            return f"HTTP 429 (too many requests, Retry-After {seconds:.0f} s)", seconds
        if status >= 500:
            return f"HTTP {status}", 0.0
        if 300 <= status < 400:
            raise SourceError(
                f"{host.name} {url}: HTTP {status} to {headers.get('Location', '')[:SHOWN]!r}; not followed"
            )
        text = content[:200].decode("utf-8", "replace")
        raise SourceError(f"{host.name} {url}: HTTP {status} {text}", status=status, content=content)

    def _said(self, error: Exception) -> str:
        if isinstance(error, requests.ConnectTimeout):
            return f"no connection within {self._patience.connect:g} s"
        if isinstance(error, requests.ReadTimeout | ReadTimeoutError):
            return f"no answer within {self._patience.read:g} s"
        return f"{type(error).__name__}: {_short(error)}"

    def _leave_mirror(self, host: Host, state: _State, mirror: int, status: int) -> str:
        with self._lock:
            if state.mirror == mirror:
                if mirror + 1 < len(host.hosts):
                    state.mirror = mirror + 1
                else:
                    tried = ", ".join(host.hosts)
                    state.closed = f"blocked from here (HTTP {status}; tried {tried})"
        if state.closed:
            raise SourceError(
                f"{host.name}: {state.closed}; {ELSEWHERE}",
                reason="out_of_reach",
                status=status,
            )
        return f"HTTP {status} from {host.hosts[mirror]}"

    def _state(self, host: Host) -> _State:
        with self._lock:
            if host.name not in self._states:
                session = requests.Session()
                session.trust_env = self._base is None
                # The environment may name a proxy and certificates; passwords of a ~/.netrc go to nobody.
                session.auth = _unsigned
                session.headers.update({"User-Agent": USER_AGENT, "Accept-Encoding": "gzip"})
                adapter = HTTPAdapter(pool_connections=2, pool_maxsize=host.connections, pool_block=True)
                session.mount("https://", adapter)
                session.mount("http://", adapter)
                self._states[host.name] = _State(Budget(host.per_minute, host.burst), session)
            return self._states[host.name]

    def close(self) -> None:
        for state in self._states.values():
            state.session.close()


def _saved(
    response: requests.Response, to: Path, url: str, wrong: Callable[[bytes], str | None], seconds: float
) -> tuple[Downloaded | str, float | None]:
    """The body as it comes over the wire, in a file: an archive's gzip stays one."""
    digest, count, announced = hashlib.sha256(), 0, response.headers.get("Content-Length", "")
    with open(to, "wb") as file:
        for chunk in _pieces(response, None, seconds, is_unpacked=False):
            if not count and (fault := wrong(chunk)):
                return f"HTTP 200 with {fault}", 0.0
            digest.update(chunk)
            file.write(chunk)
            count += len(chunk)
    if announced.isdigit() and int(announced) != count:
        return f"HTTP 200 with {count} of {announced} bytes", 0.0
    return Downloaded(to, url, digest.hexdigest(), count, _now(), response.headers.get("ETag")), 0.0


def _pieces(response: requests.Response, most: int | None, seconds: float, is_unpacked: bool) -> Iterator[bytes]:
    """A body as it comes, up to `most` bytes. Raises requests.Timeout where it takes longer than `seconds`."""
    until, count = time.monotonic() + seconds, 0
    while most is None or count < most:
        piece = response.raw.read1(1 << 20 if most is None else min(1 << 20, most - count), decode_content=is_unpacked)
        if not piece:
            return
        count += len(piece)
        yield piece
        if time.monotonic() > until:
            raise requests.Timeout(f"not whole within {seconds:g} s")


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)


def _unsigned(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _is_transport(error: Exception) -> bool:
    return isinstance(error, (requests.RequestException, HTTPError, OSError))


def _short(error: Exception) -> str:
    """The innermost words of a transport error, without the object they hang on."""
    reason = error.args[0] if error.args else error
    reason = getattr(reason, "reason", reason)
    return re.sub(r"<[^>]*>:? ?|HTTPS?Connection(Pool)?\([^)]*\):? ?", "", str(reason)).strip()[:160]
