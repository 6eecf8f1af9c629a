"""Kline pages of a thousand rows from the generated market, on one core, against a bare route in the same run.

The server has one core and its client another. The bare route is Starlette and uvicorn with one page as its answer:
what is above its time is ours. Warm: the pairs that are asked fit into the server's memory. Cold: every pair is asked
for the first time. Memory: a market of three thousand assets and ten years, asked at random.
"""

import argparse
import json
import os
import random
import re
import selectors
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parent.parent
KLINES = "/data-api.binance.vision/api/v3/klines?symbol={}&interval=1d&limit=1000"
PAGES_PER_SECOND, MOST_MB = 2_000, 500
WARM_PAIRS, CONNECTIONS, SECONDS = 50, 8, 3.0
LARGE = ("--size", "3000", "--now", "2029-12-31")
LARGE_PAGES = 6_000

BARE = """
import socket, sys, uvicorn
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route
page = open(sys.argv[1], "rb").read()
async def klines(request):
    return Response(page, media_type="application/json")
listener = socket.create_server(("127.0.0.1", 0))
print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
app = Starlette(routes=[Route("/{rest:path}", klines)])
uvicorn.Server(uvicorn.Config(app, access_log=False, log_level="error", lifespan="off")).run(sockets=[listener])
"""


# --- the client ----------------------------------------------------------------------------------


def pages(url: str, paths: Sequence[str], seconds: float | None = None) -> tuple[int, float]:
    """Asks `paths` over a few kept connections, once each or round and round for `seconds`: pages and seconds."""
    address = urlsplit(url)
    requests = [f"GET {path} HTTP/1.1\r\nHost: sandbox\r\n\r\n".encode() for path in paths]
    selector, asked, answered = selectors.DefaultSelector(), 0, 0
    began = time.perf_counter()

    def ask(connection: socket.socket) -> bool:
        nonlocal asked
        if (seconds is None and asked == len(requests)) or (seconds and time.perf_counter() - began > seconds):
            return False
        connection.sendall(requests[asked % len(requests)])
        asked += 1
        return True

    for _ in range(CONNECTIONS):
        connection = socket.create_connection((address.hostname, address.port))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if ask(connection):
            selector.register(connection, selectors.EVENT_READ, [0])
    buffer = memoryview(bytearray(2**20))
    while selector.get_map():
        for key, _ in selector.select():
            connection, missing = key.fileobj, key.data
            assert isinstance(connection, socket.socket)
            count = connection.recv_into(buffer)
            if not count:
                raise SystemExit("the server closed a connection")
            if not missing[0]:
                # The head comes in one piece: it is written at once.
                head, _, _ = bytes(buffer[: min(count, 1000)]).partition(b"\r\n\r\n")
                if not head.startswith(b"HTTP/1.1 200"):
                    raise SystemExit(f"the server answered {head[:300]!r}")
                length = re.search(rb"(?i)content-length: (\d+)", head)
                assert length
                missing[0] = len(head) + 4 + int(length[1])
            missing[0] -= count
            if not missing[0]:
                answered += 1
                if not ask(connection):
                    selector.unregister(connection)
                    connection.close()
    return answered, time.perf_counter() - began


# --- the servers ---------------------------------------------------------------------------------


CORES = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


def on_core(number: int):
    """Pins a process to one core, where the system can."""

    def pin() -> None:
        if CORES:
            os.sched_setaffinity(0, {CORES[number % len(CORES)]})

    return pin


@contextmanager
def server(command: list[str]) -> Iterator[tuple[str, subprocess.Popen]]:
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, preexec_fn=on_core(0)
    ) as process:
        assert process.stdin and process.stdout
        try:
            line = process.stdout.readline().strip()
            yield (json.loads(line)["url"] if line.startswith("{") else line), process
        finally:
            process.kill()


def sandbox(*arguments: str):
    command = [sys.executable, "-m", "orchestration", "sandbox", "--with-parent", "--weight-limit", "0", *arguments]
    return server(command)


def symbols_of(url: str) -> list[str]:
    """Pairs with at least a page of bars, as far as the newest page tells."""
    with urllib.request.urlopen(f"{url}/data-api.binance.vision/api/v3/exchangeInfo", timeout=300) as answer:
        return [row["symbol"] for row in json.load(answer)["symbols"]]


def full_pages(url: str, symbols: Sequence[str], most: int) -> list[str]:
    found = []
    for symbol in symbols:
        with urllib.request.urlopen(url + KLINES.format(symbol), timeout=60) as answer:
            if len(json.load(answer)) == 1000:
                found.append(KLINES.format(symbol))
        if len(found) == most:
            break
    return found


def memory_mb(process: subprocess.Popen) -> tuple[float, float]:
    """Resident now, and at most so far."""
    status = Path(f"/proc/{process.pid}/status")
    if not status.exists():
        return float("nan"), float("nan")
    now, most = (re.findall(rf"{name}:\s+(\d+) kB", status.read_text())[0] for name in ("VmRSS", "VmHWM"))
    return int(now) / 1024, int(most) / 1024


# --- the clock -----------------------------------------------------------------------------------


def measure_rate(rounds: int) -> None:
    rates: dict[str, list[float]] = {"bare": [], "warm": []}
    with tempfile.TemporaryDirectory(prefix="altflow-bench-") as folder:
        page = Path(folder) / "page.json"
        with sandbox() as (url, _):
            paths = full_pages(url, symbols_of(url), WARM_PAIRS)
            page.write_bytes(urllib.request.urlopen(url + paths[0], timeout=60).read())
            with server([sys.executable, "-c", BARE, str(page)]) as (bare, _):
                for _ in range(rounds):
                    for name, where, asked in (("bare", bare, paths[:1]), ("warm", url, paths)):
                        count, seconds = pages(where, asked, SECONDS)
                        rates[name].append(count / seconds)
        bare_rate, warm = (statistics.median(rates[name]) for name in ("bare", "warm"))
        print(f"bare route  {bare_rate:7,.0f} pages/s of {page.stat().st_size:,} bytes")
        print(f"warm        {warm:7,.0f} pages/s ({WARM_PAIRS} pairs) = {warm / bare_rate:.2f} x bare; ", end="")
        print(f"target >= {PAGES_PER_SECOND:,}: {_verdict(warm >= PAGES_PER_SECOND)}")
    with sandbox() as (url, process):
        symbols = symbols_of(url)
        count, seconds = pages(url, [KLINES.format(symbol) for symbol in symbols])
        print(f"cold        {count / seconds:7,.0f} pages/s, each of {count} pairs for the first time; ", end="")
        print(f"{memory_mb(process)[0]:.0f} MB resident then")


def measure_memory() -> None:
    with sandbox(*LARGE) as (url, process):
        began = time.perf_counter()
        symbols = symbols_of(url)
        listed = time.perf_counter() - began
        chosen = random.Random(1).choices(symbols, k=LARGE_PAGES)
        count, seconds = pages(url, [KLINES.format(symbol) for symbol in chosen])
        now, most = memory_mb(process)
    print(f"large       {count / seconds:7,.0f} pages/s of {len(symbols):,} pairs at random, listed in {listed:.1f} s;")
    print(f"            {now:.0f} MB resident, {most:.0f} at most; target < {MOST_MB}: {_verdict(most < MOST_MB)}")


def _verdict(held: bool) -> str:
    return "held" if held else "NOT HELD"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    on_core(1)()
    measure_rate(rounds)
    measure_memory()


if __name__ == "__main__":
    main()
