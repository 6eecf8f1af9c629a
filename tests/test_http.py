"""The HTTP client against a server that misbehaves on demand, over real sockets on loopback."""

import contextlib
import gzip
import heapq
import json
import socket
import socketserver
import struct
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from orchestration.sandbox.limits import MinuteWeight, SlidingWindow
from orchestration.sources import binance, coinmetrics
from orchestration.sources.body import SourceError
from orchestration.sources.http import USER_AGENT, Budget, Host, Http, Patience, is_csv, is_json

GOOD = b'{"rows":[[1,2],[3,4]]}'
HTML = b"<!DOCTYPE html><html><body>We'll be back soon.</body></html>"
HOST = Host("upstream", ("one.example", "two.example"), per_minute=60_000, burst=60_000, max_bytes=100_000)
QUICK = Patience(tries=4, pause=0.02, longest_pause=2.0, connect=1.0, read=0.5, dead_after=2)


@dataclass
class Reply:
    """One answer. `length` overrides Content-Length; `then`: keep, close, reset or hang the connection, or drip."""

    body: bytes = GOOD
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    length: int | None = None
    then: str = "keep"
    delay: float = 0.0

    def head(self) -> bytes:
        length = len(self.body) if self.length is None else self.length
        lines = [f"HTTP/1.1 {self.status} Whatever", f"Content-Length: {length}"]
        return "\r\n".join([*lines, *(f"{k}: {v}" for k, v in self.headers.items()), "", ""]).encode()


@dataclass
class Request:
    host: str
    target: str
    headers: dict[str, str]
    at: float


class Upstream(socketserver.ThreadingTCPServer):
    """Answers with `script`, one reply per request, then with `after`; keeps what was asked."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.script: list[Reply] = []
        self.after: Callable[[Request], Reply] = lambda request: Reply()
        self.requests: list[Request] = []
        self.accepted = 0
        self.guard = threading.Lock()
        self.over = threading.Event()

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    @property
    def hosts_asked(self) -> list[str]:
        return [request.host for request in self.requests]


class _Handler(socketserver.StreamRequestHandler):
    server: Upstream
    disable_nagle_algorithm = True

    def handle(self) -> None:
        with self.server.guard:
            self.server.accepted += 1
        while line := self.rfile.readline():
            headers = {}
            while (text := self.rfile.readline().strip()) != b"":
                name, _, value = text.decode().partition(": ")
                headers[name.lower()] = value
            _, host, target = line.split()[1].decode().split("/", 2)
            request = Request(host, f"/{target}", headers, time.monotonic())
            with self.server.guard:
                self.server.requests.append(request)
                reply = self.server.script.pop(0) if self.server.script else self.server.after(request)
            time.sleep(reply.delay)
            if reply.then == "hang":
                self.server.over.wait(10)
                return
            self.wfile.write(reply.head())
            if reply.then == "drip":
                for byte in reply.body:
                    self.wfile.write(bytes([byte]))
                    if self.server.over.wait(0.02):
                        return
                return
            self.wfile.write(reply.body)
            if reply.then == "reset":
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()
            if reply.then != "keep":
                return

    def finish(self) -> None:
        with contextlib.suppress(OSError):  # reset on purpose
            super().finish()


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.over.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def http(upstream: Upstream) -> Iterator[Http]:
    client = Http(upstream.base, QUICK)
    yield client
    client.close()


def fails(http: Http, path: str = "/x", host: Host = HOST, **options) -> SourceError:
    with pytest.raises(SourceError) as caught:
        http.get(host, path, **options)
    return caught.value


# --- what may pass is asked again


PASSING = {
    "500": Reply(b'{"msg":"unknown"}', 500),
    "503 as HTML": Reply(HTML, 503),
    "reset in the middle": Reply(GOOD[:9], length=len(GOOD), then="reset"),
    "closed in the middle": Reply(GOOD[:9], length=len(GOOD), then="close"),
    "closed before the answer": Reply(b"", length=len(GOOD), then="close"),
    "cut, but said to be whole": Reply(GOOD[:9]),
    "cut behind an inner bracket": Reply(b'[["1"],["2"]'),
    "cut gzip": Reply(gzip.compress(GOOD * 50)[:-40], headers={"Content-Encoding": "gzip"}),
    "no gzip": Reply(GOOD, headers={"Content-Encoding": "gzip"}),
    "HTML": Reply(HTML),
    "empty": Reply(b""),
    "blank": Reply(b" \n"),
    "429 without a time": Reply(b"{}", 429),
}


@pytest.mark.parametrize("reply", PASSING.values(), ids=PASSING.keys())
def test_what_may_pass_is_asked_again(reply: Reply, upstream: Upstream, http: Http):
    upstream.script = [reply, reply]
    answer = http.get(HOST, "/x", {"q": "1 2"})
    assert (answer.content, answer.status) == (GOOD, 200)
    assert answer.url == "https://one.example/x?q=1+2"
    assert [(r.host, r.target) for r in upstream.requests] == [("one.example", "/x?q=1+2")] * 3


@pytest.mark.parametrize("reply", PASSING.values(), ids=PASSING.keys())
def test_what_does_not_pass_is_given_up_after_the_tries(reply: Reply, upstream: Upstream, http: Http):
    upstream.after = lambda request: reply
    error = fails(http)
    assert len(upstream.requests) == QUICK.tries
    assert error.reason == "failed"
    assert "after 4 tries (one.example); it is asked again by the next run" in str(error)


def test_pauses_between_tries_double(upstream: Upstream):
    upstream.after = lambda request: Reply(b"{}", 502)
    http = Http(upstream.base, replace(QUICK, pause=0.1, longest_pause=0.2))
    fails(http)
    at = [request.at for request in upstream.requests]
    gaps = [b - a for a, b in zip(at, at[1:], strict=False)]
    # Jitter takes off at most half; the longest pause bounds the third.
    for gap, most in zip(gaps, (0.1, 0.2, 0.2), strict=True):
        assert most / 2 <= gap < most + 0.15


def test_csv_is_checked_as_csv(upstream: Upstream, http: Http):
    upstream.script = [Reply(b"observation_date,M2SL\n2020-01-0"), Reply(b"PK\x03\x04\n"), Reply(HTML + b"\n")]
    upstream.after = lambda request: Reply(b"observation_date,M2SL\n2020-01-01,1.5\n")
    assert http.get(HOST, "/x", wrong=is_csv).content.endswith(b"1.5\n")
    assert len(upstream.requests) == 4


@pytest.mark.parametrize(
    "content", [b"[]", b"{}", b" [1] \n", b'{"name":"a ] in a text {{"}', json.dumps([["["] * 3]).encode()]
)
def test_whole_json_is_whole(content: bytes):
    assert is_json(content) is None


def test_every_cut_of_a_body_is_seen():
    body = b'[[1609459200000,"28923.63","0"],[1609545600000,"29331.69","0"]]'
    assert [length for length in range(len(body)) if is_json(body[:length]) is None] == []


# --- limits of the upstream


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_retry_after_pauses_the_whole_host(form: str, upstream: Upstream, http: Http):
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True)
    upstream.script = [Reply(b"{}", 429, {"Retry-After": "1" if form == "seconds" else later})]
    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(http.get, HOST, "/first")
        while not upstream.requests:
            time.sleep(0.005)
        time.sleep(0.1)
        others = [pool.submit(http.get, HOST, f"/{n}") for n in range(3)]
        assert [f.result().content for f in (first, *others)] == [GOOD] * 4
    refused, *rest = upstream.requests
    assert len(rest) == 4
    # An HTTP date has no fractions: between 1 and 2 s are left of it.
    assert all(request.at - refused.at >= 0.9 for request in rest)


def test_a_pause_holds_for_threads_that_wait_for_the_budget_already(upstream: Upstream, http: Http):
    slow = replace(HOST, per_minute=120, burst=1)
    upstream.script = [Reply(b"{}", 429, {"Retry-After": "1"}, delay=0.2)]
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda n: http.get(slow, f"/{n}"), range(3)))
    refused, *rest = upstream.requests
    assert len(rest) == 3
    assert min(request.at for request in rest) - refused.at >= 1.1


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (Reply(b"{}", 429, {"Retry-After": "600"}), "asks to wait 600 s (HTTP 429)"),
        (Reply(b"{}", 418, {"Retry-After": "240"}), "banned this address (HTTP 418) for 240 s"),
        (Reply(b"{}", 418), "banned this address (HTTP 418) for 120 s"),
    ],
)
def test_a_long_ban_stops_the_host_for_the_run(reply: Reply, words: str, upstream: Upstream, http: Http):
    upstream.script = [reply]
    error = fails(http)
    assert words in str(error) and error.reason == "failed"
    for path in ("/x", "/y"):
        assert "not asked" in str(fails(http, path)) and words in str(fails(http, path))
    assert len(upstream.requests) == 1
    # Another upstream is not concerned.
    assert http.get(replace(HOST, name="another"), "/x").content == GOOD


def test_weight_that_the_server_counts_slows_us_down(upstream: Upstream, http: Http):
    weighed = replace(HOST, per_minute=600, burst=600, weight_header="X-Weight")
    upstream.script = [Reply(headers={"X-Weight": "605"}), Reply(headers={"X-Weight": "many"})]
    for path in ("/1", "/2"):
        http.get(weighed, path, weight=5)
    first, second = upstream.requests
    assert 0.8 <= second.at - first.at < 2


class Clock:
    """A clock that tests set."""

    def __init__(self, now: float = 0.0):
        self.now = now

    def __call__(self) -> float:
        return self.now


def test_budget_resyncs_with_the_server_and_never_upwards():
    clock = Clock()
    budget = Budget(per_minute=600, burst=600, clock=clock)
    budget.resync(0)
    assert budget.reserve(600) == 0
    budget.resync(0)
    assert budget.reserve(10) == 1, "what the server has not counted yet is spent all the same"
    clock.now = 100
    budget.resync(595)
    assert budget.reserve(5) == 0 and budget.reserve(5) == 0.5
    budget.pause(7)
    assert budget.reserve(0) == 7 and budget.held() == 7
    clock.now = 108
    assert budget.held() == 0 and budget.reserve(1) == 0


def test_budget_holds_under_many_threads():
    clock = Clock()
    budget = Budget(per_minute=120, burst=20, clock=clock)
    sent: list[float] = []
    guard = threading.Lock()

    def ask(number: int) -> None:
        with guard:
            clock.now += 0.01
        at = clock.now + budget.reserve(1)
        with guard:
            sent.append(at)

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(ask, range(600)))
    assert len(sent) == 600
    for start in sorted(sent):
        # 0.5: the clock moves on while a thread adds what it has to wait.
        assert sum(start <= at < start + 60 for at in sent) <= 20 + 120 + 0.5 * 2
    assert max(sent) <= 600 / 2 + 1, "slower than the budget allows"


def simulate(budget: Budget, clock: Clock, clients: int, requests: int, weight: int, ask: Callable[[], int]) -> float:
    """Clients that ask in turn, each again 20 ms after its answer. Returns the time that it took."""
    start = clock.now
    events = [(clock.now, number, "reserve") for number in range(clients)]
    while requests > 0:
        clock.now, number, what = heapq.heappop(events)
        if what == "reserve":
            heapq.heappush(events, (clock.now + budget.reserve(weight), number, "send"))
            continue
        requests -= 1
        budget.resync(ask())
        heapq.heappush(events, (clock.now + 0.02, number, "reserve"))
    return clock.now - start


@pytest.mark.parametrize("spent", [0, 3000, 5900])
def test_binance_never_counts_more_than_its_limit(spent: int):
    """Minutes start where the server's clock says; somebody else at this address may have asked before."""
    clock = Clock(37.0)
    server = MinuteWeight(6000, clock)
    server.charge(spent)
    host = binance.HOST

    def ask() -> int:
        charge = server.charge(2)
        assert charge.retry_after is None
        return charge.used

    took = simulate(Budget(host.per_minute, host.burst, clock), clock, host.connections, 12_000, 2, ask)
    assert server.highest <= 6000
    # The first minute may be somebody else's.
    assert took < 24_000 / host.per_minute * 60 + 60


def test_coinmetrics_window_is_never_exceeded():
    clock = Clock()
    server = SlidingWindow(10, 6, clock)
    host = coinmetrics.HOST

    def ask() -> int:
        assert server.charge().retry_after is None
        return 0

    simulate(Budget(host.per_minute, host.burst, clock), clock, 2, 100, 1, ask)


# --- blocks


BLOCKS = {
    "451": Reply(b'{"code":0,"msg":"Service unavailable from a restricted location"}', 451),
    "403 as HTML": Reply(HTML, 403),
}


@pytest.mark.parametrize("block", BLOCKS.values(), ids=BLOCKS.keys())
def test_a_block_moves_to_the_mirror_for_good(block: Reply, upstream: Upstream, http: Http):
    upstream.after = lambda request: block if request.host == "one.example" else Reply()
    assert http.get(HOST, "/x").url == "https://two.example/x"
    assert http.get(HOST, "/y").url == "https://two.example/y"
    assert upstream.hosts_asked == ["one.example", "two.example", "two.example"]


@pytest.mark.parametrize("block", BLOCKS.values(), ids=BLOCKS.keys())
def test_no_mirror_left_is_out_of_reach_at_once(block: Reply, upstream: Upstream, http: Http):
    upstream.after = lambda request: block
    error = fails(http)
    assert error.reason == "out_of_reach" and error.status == block.status
    assert "tried one.example, two.example" in str(error) and "another region" in str(error)
    again = fails(http, "/y")
    assert again.reason == "out_of_reach" and "not asked" in str(again)
    assert upstream.hosts_asked == ["one.example", "two.example"]


def test_blocked_threads_do_not_hammer(upstream: Upstream, http: Http):
    upstream.after = lambda request: BLOCKS["451"]
    with ThreadPoolExecutor(8) as pool:
        reasons = list(pool.map(lambda n: fails(http, f"/{n}").reason, range(200)))
    assert set(reasons) == {"out_of_reach"}
    # What was under way when the first answer came, on either host.
    assert len(upstream.requests) <= 2 * 8


# --- patience


def test_a_dead_host_is_closed_quickly(upstream: Upstream, http: Http):
    upstream.after = lambda request: Reply(b"{}", 500)
    errors = [str(fails(http, f"/{n}")) for n in range(6)]
    assert len(upstream.requests) == QUICK.dead_after * QUICK.tries
    assert all("not asked, upstream failed 2 requests in a row (HTTP 500)" in error for error in errors[2:])


def test_a_host_that_answers_in_between_is_not_dead(upstream: Upstream, http: Http):
    upstream.after = lambda request: Reply(b"{}", 500) if "bad" in request.target else Reply()
    for _ in range(3):
        fails(http, "/bad")
        assert http.get(HOST, "/good").content == GOOD


@pytest.mark.parametrize("reply", [Reply(then="hang"), Reply(GOOD[:3], length=9, then="keep")], ids=["mute", "stuck"])
def test_a_hang_is_bounded(reply: Reply, upstream: Upstream):
    upstream.after = lambda request: reply
    http = Http(upstream.base, replace(QUICK, tries=2, read=0.3))
    assert "after 2 tries" in str(fails(http))
    assert len(upstream.requests) == 2


def test_nobody_listens():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        http = Http(f"http://127.0.0.1:{taken.getsockname()[1]}", QUICK)
        error = fails(http)
    assert "Connection refused" in str(error) and error.reason == "failed"


# --- what is not asked twice


def test_a_refusal_carries_status_and_content_and_is_not_repeated(upstream: Upstream, http: Http):
    refusal = b'{"code":-1121,"msg":"Invalid symbol."}'
    upstream.script = [Reply(refusal, 400), Reply(refusal, 404), Reply(b'{"msg":"forbidden"}', 403)]
    for status in (400, 404, 403):
        error = fails(http)
        assert error.status == status and error.reason == "failed"
        assert f"HTTP {status}" in str(error)
        assert json.loads(error.content)["msg"] in str(error)
    assert len(upstream.requests) == 3
    assert http.get(HOST, "/x").content == GOOD, "a refusal is no reason to leave a host alone"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    "to",
    ["/one.example/x", "{base}/two.example/elsewhere", "http://one.example/x", "http://169.254.169.254/latest",
     "file:///etc/passwd", "//evil.example/x", ""],
)  # fmt: skip
def test_redirects_are_not_followed(status: int, to: str, upstream: Upstream, http: Http, tmp_path: Path):
    """Not to another host, not to this machine, not from TLS to none, and not in circles: to nowhere."""
    location = to.format(base=upstream.base)
    upstream.after = lambda request: Reply(b"", status, {"Location": location})
    assert f"HTTP {status} to {location!r}; not followed" in str(fails(http))
    with pytest.raises(SourceError, match="not followed"):
        http.download(HOST, "/file", tmp_path / "file")
    with pytest.raises(SourceError, match="not followed"):
        http.etag(HOST, "/file")
    assert [request.target for request in upstream.requests] == ["/x", "/file", "/file"]


@pytest.mark.parametrize("is_file", [False, True])
def test_a_body_that_drips_keeps_nobody_for_ever(is_file: bool, upstream: Upstream, tmp_path: Path):
    http = Http(upstream.base, replace(QUICK, tries=1, whole=0.2, whole_file=0.2))
    upstream.after = lambda request: Reply(b"1" * 200, then="drip")
    with pytest.raises(SourceError, match="not whole within 0.2 s"):
        http.download(HOST, "/x", tmp_path / "file") if is_file else http.get(HOST, "/x")
    http.close()


def test_a_body_above_the_limit_is_not_read(upstream: Upstream, http: Http):
    upstream.script = [Reply(b"[" + b"1," * HOST.max_bytes + b"1]")]
    assert "above 100000 bytes" in str(fails(http))
    assert len(upstream.requests) == 1


def test_a_gzip_bomb_is_not_unpacked(upstream: Upstream, http: Http):
    bomb = gzip.compress(b"[" + b"0" * 60_000_000 + b"]")
    upstream.script = [Reply(bomb, headers={"Content-Encoding": "gzip"})]
    tracemalloc.start()
    error = fails(http)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "above 100000 bytes" in str(error)
    assert peak < 5_000_000
    assert len(upstream.requests) == 1


def test_gzip_is_read(upstream: Upstream, http: Http):
    upstream.script = [Reply(gzip.compress(GOOD), headers={"Content-Encoding": "gzip"})]
    assert http.get(HOST, "/x").content == GOOD


# --- manners


def test_connections_are_reused(upstream: Upstream, http: Http):
    for number in range(20):
        http.get(HOST, f"/{number}")
    assert (len(upstream.requests), upstream.accepted) == (20, 1)


def test_no_more_connections_than_the_host_allows(upstream: Upstream, http: Http):
    two = replace(HOST, connections=2)
    upstream.after = lambda request: Reply(delay=0.01)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: http.get(two, f"/{n}"), range(40)))
    assert len(upstream.requests) == 40
    assert upstream.accepted <= 2


def test_who_asks_is_said(upstream: Upstream, http: Http):
    answer = http.get(HOST, "/x")
    headers = upstream.requests[0].headers
    assert headers["user-agent"] == USER_AGENT and "altflow" in USER_AGENT
    assert headers["accept-encoding"] == "gzip"
    assert abs(answer.fetched_at - datetime.now(UTC).replace(tzinfo=None)) < timedelta(seconds=5)
