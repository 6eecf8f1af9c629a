"""What every kind of fault does on the wire, over real HTTP, and that the log says so."""

import argparse
import csv
import gzip
import hashlib
import io
import json
import random
import re
import subprocess
import sys
import time
import zipfile
import zlib
from collections.abc import Iterator
from datetime import UTC, date, datetime
from email.utils import parsedate_to_datetime
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import requests

from orchestration.sandbox import fault_rows
from orchestration.sandbox.directory import ENTRIES
from orchestration.sandbox.fault_kinds import BOMB_BYTES, HOSTILE, KINDS, PASSING
from orchestration.sandbox.fault_presets import PRESETS
from orchestration.sandbox.fault_rows import DoesNotApply
from orchestration.sandbox.faults import EXAMPLES, FaultError, Rule, load, parse

DAY = 86_400_000
HOST = "data-api.binance.vision"
KLINES, INFO, CLOCK = (f"{HOST}/api/v3/{name}" for name in ("klines", "exchangeInfo", "time"))
METRICS = "community-api.coinmetrics.io/v4/timeseries/asset-metrics"
SERIES = "fred.stlouisfed.org/graph/fredgraph.csv?id=DFF"
BTC = f"{KLINES}?symbol=BTCUSDT&interval=1d&limit=50"


class Sandbox:
    """One server for all tests here; each says which faults it wants."""

    def __init__(self, url: str, session: requests.Session) -> None:
        self.url, self.session = url, session

    def faults(self, *texts: str, seed: int = 1) -> None:
        answer = self.session.post(f"{self.url}/_sandbox/faults", json={"faults": texts, "seed": seed}, timeout=10)
        assert answer.status_code == 200, answer.text

    def get(self, path: str, timeout: float = 20, **options: Any) -> requests.Response:
        return self.session.get(f"{self.url}/{path}", timeout=timeout, **options)

    def log(self) -> dict:
        return self.get("_sandbox/log").json()

    def fired(self) -> list[str]:
        return [entry["kind"] for entry in self.log()["faults_fired"]]

    def both(self, rule: str, path: str) -> tuple[requests.Response, requests.Response]:
        """The real answer, and the one under the fault, which the log must name."""
        self.faults()
        real = self.get(path)
        assert real.status_code == 200, real.text
        self.faults(rule)
        faulty = self.get(path)
        kind = parse(rule).kind
        assert self.log()["fault_kinds"] == {kind: 1} and self.log()["faults_skipped"] == []
        entry = self.log()["faults_fired"][0]
        assert (entry["kind"], f"{entry['upstream']}{entry['url']}", entry["request"]) == (kind, path, 1)
        return real, faulty


@pytest.fixture(scope="module")
def sandbox(root: Path) -> Iterator[Sandbox]:
    command = [sys.executable, "-m", "orchestration.sandbox", "--with-parent"]
    command += ["--size", "20", "--now", "2020-07-20", "--weight-limit", "0"]
    with (
        subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process,
        requests.Session() as session,
    ):
        assert process.stdin and process.stdout
        session.trust_env = False
        yield Sandbox(json.loads(process.stdout.readline())["url"], session)
        process.stdin.close()


# --- instead of the answer -----------------------------------------------------------------------

STATUSES = {
    "429": (429, "application/json", b'{"code":-1003'),
    "429-date": (429, "application/json", b'{"code":-1003'),
    "429-bare": (429, "application/json", b'{"code":-1003'),
    "418": (418, "application/json", b'{"code":-1003'),
    "451": (451, "application/json", b'{"code":0,"msg":"Service unavailable from a restricted location'),
    "403-html": (403, "text/html", b"<!DOCTYPE HTML"),
    "500": (500, "application/json", b'{"code":-1000'),
    "502": (502, "text/html", b"<html>\r\n<head><title>502"),
    "503": (503, "text/plain", b""),
    "504": (504, "text/html", b"<html>\r\n<head><title>504"),
    "html-200": (200, "text/html", b"<!DOCTYPE html>"),
    "json-error-200": (200, "application/json", b'{"code":"50011"'),
    "empty": (200, "application/json", b""),
    "missing": (404, "application/json", b'{"code":-1'),
}


@pytest.mark.parametrize("kind", STATUSES)
def test_another_answer_comes_instead(sandbox: Sandbox, kind: str) -> None:
    _, answer = sandbox.both(f"binance:{kind}", BTC)
    status, content_type, start = STATUSES[kind]
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, content_type)
    assert answer.content.startswith(start) and int(answer.headers["Content-Length"]) == len(answer.content)


def test_retry_after_is_seconds_or_a_date_or_absent(sandbox: Sandbox) -> None:
    def after(rule: str) -> str | None:
        return sandbox.both(rule, BTC)[1].headers.get("Retry-After")

    assert [after(f"binance:{kind}") for kind in ("429", "418", "429=7", "429-bare")] == ["1", "120", "7", None]
    told = after("binance:429-date=30")
    assert told and 28 <= (parsedate_to_datetime(told) - datetime.now(UTC)).total_seconds() <= 31


def test_a_missing_file_is_missing_as_a_bucket_says_it(sandbox: Sandbox) -> None:
    sandbox.faults("*:missing")
    answer = sandbox.get("data.binance.vision/data/spot/daily/klines/BTCUSDT/1d/BTCUSDT-1d-2020-07-01.zip")
    assert (answer.status_code, answer.headers["Content-Type"]) == (404, "application/xml")
    assert b"<Code>NoSuchKey</Code>" in answer.content


# --- on the wire ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["hang", "stall"])
def test_who_waits_waits_in_vain(sandbox: Sandbox, kind: str) -> None:
    sandbox.faults(f"binance:{kind}")
    with pytest.raises((requests.ReadTimeout, requests.ConnectionError), match="(?i)timed out"):
        sandbox.get(BTC, timeout=0.5)
    assert sandbox.fired() == [kind]


@pytest.mark.parametrize("kind", ["reset", "reset-before"])
def test_a_connection_is_reset(sandbox: Sandbox, kind: str) -> None:
    sandbox.faults(f"binance:{kind}")
    with pytest.raises(requests.RequestException, match="(?i)reset by peer"):
        sandbox.get(BTC)
    received = b""
    with pytest.raises(requests.RequestException), sandbox.get(BTC, stream=True) as answer:
        for piece in answer.iter_content(100):
            received += piece
    assert (received != b"") == (kind == "reset"), "half of the body came before"
    assert sandbox.fired() == [kind, kind]
    sandbox.faults()
    assert sandbox.get(BTC).status_code == 200, "the server is well"


def test_slow_waits_and_lets_only_so_many_bytes_through(sandbox: Sandbox) -> None:
    kind = "slow"
    real, late = sandbox.both(f"binance:{kind}=0.4", BTC)
    assert late.content == real.content and late.elapsed.total_seconds() >= 0.4
    began = time.monotonic()
    _, narrow = sandbox.both(f"binance:{kind}=0,20000", BTC)
    assert narrow.content == real.content
    assert len(real.content) / 20_000 * 0.8 < time.monotonic() - began < len(real.content) / 20_000 + 2


def test_slow_joins_another_fault(sandbox: Sandbox) -> None:
    sandbox.faults("*:slow=0.3", "binance:500")
    answer = sandbox.get(BTC)
    assert answer.status_code == 500 and answer.elapsed.total_seconds() >= 0.3
    assert sandbox.fired() == ["slow", "500"]


# --- the body as a whole -------------------------------------------------------------------------


def test_half_a_body_comes_as_if_it_were_whole(sandbox: Sandbox) -> None:
    real, cut = sandbox.both("binance:truncated", BTC)
    assert cut.content == real.content[: len(real.content) // 2]
    assert int(cut.headers["Content-Length"]) == len(cut.content)


def test_corrupt_bytes_stand_in_the_middle(sandbox: Sandbox) -> None:
    real, corrupt = sandbox.both("binance:corrupt", BTC)
    assert len(corrupt.content) == len(real.content)
    assert sum(a != b for a, b in zip(corrupt.content, real.content, strict=True)) == 16
    with pytest.raises(UnicodeDecodeError):
        corrupt.content.decode()


def memory_of(process_id: int) -> int:
    """Resident bytes."""
    return int(re.findall(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{process_id}/status").read_text())[0]) * 1024


def test_a_bomb_is_small_on_the_wire_and_never_whole_anywhere(sandbox: Sandbox) -> None:
    sandbox.faults("binance:bomb")
    with sandbox.get(BTC, stream=True) as answer:
        assert answer.headers["Content-Encoding"] == "gzip"
        assert int(answer.headers["Content-Length"]) < BOMB_BYTES / 500
        read = 0
        while read < 100 * 2**20:
            piece = answer.raw.read(2**20, decode_content=True)
            assert piece and not piece.strip(b"\0")
            read += len(piece)
    assert sandbox.fired() == ["bomb"]
    with sandbox.get(BTC, stream=True) as answer:
        packed = b"".join(answer.raw.stream(2**16, decode_content=False))
    unpacker, total = zlib.decompressobj(-15), 0
    rest = packed[10:]
    while rest and total < 300 * 2**20:
        total += len(unpacker.decompress(rest, 2**20))
        rest = unpacker.unconsumed_tail
    assert total >= 300 * 2**20 and int.from_bytes(packed[-4:], "little") == BOMB_BYTES


# --- rows ----------------------------------------------------------------------------------------


def rows_of(sandbox: Sandbox, kind: str) -> tuple[list[list], list[list]]:
    real, faulty = sandbox.both(f"binance:{kind}", BTC)
    return real.json(), json.loads(faulty.content, parse_constant=str)


@pytest.mark.parametrize(("kind", "more"), [(kind, i) for i, kind in enumerate(("duplicated", "triplicated"), 1)])
def test_a_row_comes_again_to_the_letter(sandbox: Sandbox, kind: str, more: int) -> None:
    real, faulty = rows_of(sandbox, kind)
    assert len(faulty) == len(real) + more
    assert [row for i, row in enumerate(faulty) if i == 0 or row != faulty[i - 1]] == real


def test_rows_come_in_another_order(sandbox: Sandbox) -> None:
    real, faulty = rows_of(sandbox, "unordered")
    assert faulty != real and sorted(faulty) == real


def test_a_row_is_missing(sandbox: Sandbox) -> None:
    real, faulty = rows_of(sandbox, "missing-row")
    assert len(faulty) == len(real) - 1 and all(row in real for row in faulty)


def test_the_open_bar_comes_behind_the_last(sandbox: Sandbox) -> None:
    real, faulty = rows_of(sandbox, "open-bar")
    assert faulty[:-1] == real
    assert (faulty[-1][0], faulty[-1][6]) == (real[-1][0] + DAY, real[-1][6] + DAY)


UNITS = {"seconds": lambda ms: ms // 1000, "microseconds": lambda ms: ms * 1000}


@pytest.mark.parametrize("kind", UNITS)
def test_times_come_in_another_unit(sandbox: Sandbox, kind: str) -> None:
    real, faulty = rows_of(sandbox, kind)
    assert [row[0] for row in faulty] == [UNITS[kind](row[0]) for row in real]
    assert [[row[i] for i in (1, 5, 7, 8)] for row in faulty] == [[row[i] for i in (1, 5, 7, 8)] for row in real]


def test_every_second_time_comes_in_microseconds(sandbox: Sandbox) -> None:
    real, faulty = rows_of(sandbox, "mixed-units")
    assert [row[0] for row in faulty] == [row[0] * (1 if i % 2 else 1000) for i, row in enumerate(real)]


def test_milliseconds_where_they_are_not() -> None:
    kind = "milliseconds"
    body = b"1735689600000000,93576.00,1\n1735776000000000,94591.79,2\n"
    rows = fault_rows.opened(body)
    fault_rows.unit(13)(rows, random.Random(1))
    assert rows.close(rows) == body.replace(b"000000,", b"000,")
    assert KINDS[kind].passes


@pytest.mark.parametrize("kind", ["nan", "infinity", "negative", "1e308", "40-digits"])
def test_one_amount_is_nonsense(sandbox: Sandbox, kind: str) -> None:
    real, faulty = rows_of(sandbox, kind)
    changed = [
        (before, after)
        for old, new in zip(real, faulty, strict=True)
        for before, after in zip(old, new, strict=True)
        if before != after
    ]
    assert len(changed) == 1
    before, after = changed[0]
    expected = {"nan": "NaN", "infinity": "Infinity", "negative": f"-{before}", "1e308": "1e308"}
    assert after == expected.get(kind, "1234567890" * 4)


def test_a_number_without_quotes_stays_without(sandbox: Sandbox) -> None:
    _, answer = sandbox.both("defillama:nan", "stablecoins.llama.fi/stablecoincharts/all")
    assert b":NaN" in answer.content and b'"NaN"' not in answer.content
    real, answer = sandbox.both("defillama:duplicated", "stablecoins.llama.fi/stablecoincharts/all")
    assert set(answer.json()[0]) == set(real.json()[0])
    assert set(re.findall(rb"[\d.]+", answer.content)) == set(re.findall(rb"[\d.]+", real.content)), "to the digit"


def test_a_header_comes_and_goes(sandbox: Sandbox) -> None:
    real, faulty = sandbox.both("fred:header", SERIES)
    assert real.text.startswith("observation_date,DFF\n")
    assert faulty.text == real.text.partition("\n")[2]
    rows = fault_rows.opened(b"1,2,3,4,1735689600000,true,true\n")
    fault_rows.header(rows, random.Random(1))
    assert rows.close(rows).startswith(b"id,price,qty,quote_qty,time,is_buyer_maker,is_best_match\n1,2")


def test_an_unknown_column_comes(sandbox: Sandbox) -> None:
    kind = "columns"
    real, faulty = rows_of(sandbox, kind)
    assert [row[:-1] for row in faulty] == real
    real, faulty = sandbox.both(f"fred:{kind}", SERIES)
    table = list(csv.reader(io.StringIO(faulty.text)))
    assert table[0] == ["observation_date", "DFF", "brand_new"] and {len(row) for row in table} == {3}
    real, faulty = sandbox.both(f"coingecko:{kind}", "api.coingecko.com/api/v3/coins/markets?vs_currency=usd")
    assert [set(row) - {"brandNew"} for row in faulty.json()] == [set(row) for row in real.json()]


# --- files ---------------------------------------------------------------------------------------

ARCHIVE = "data.binance.vision/data/spot/daily/klines/BTCUSDT/1h/BTCUSDT-1h-2020-07-01.zip"


@pytest.fixture
def archive(sandbox: Sandbox) -> str:
    sandbox.faults()
    answer = sandbox.get(ARCHIVE)
    assert answer.status_code == 200 and zipfile.is_zipfile(io.BytesIO(answer.content)), answer.text
    return ARCHIVE


def lines_of(packed: bytes) -> list[bytes]:
    with zipfile.ZipFile(io.BytesIO(packed)) as file:
        return file.read(file.namelist()[0]).splitlines()


def test_a_checksum_is_wrong_once_and_then_corrected(sandbox: Sandbox, archive: str) -> None:
    kind = "checksum"
    real, wrong = sandbox.both(f"*:{kind}:CHECKSUM:1", archive + ".CHECKSUM")
    assert wrong.status_code == 200 and wrong.content != real.content and len(wrong.content) == len(real.content)
    assert sandbox.get(archive + ".CHECKSUM").content == real.content


def test_a_file_is_replaced_in_place_with_its_checksum(sandbox: Sandbox, archive: str) -> None:
    kind = "replaced"
    real, replaced = sandbox.both(f"*:{kind}:1h", archive)
    assert len(lines_of(replaced.content)) == len(lines_of(real.content)) - 1
    checksum = sandbox.get(archive + ".CHECKSUM").text
    assert checksum.startswith(hashlib.sha256(replaced.content).hexdigest()) and checksum.strip().endswith(".zip")


def test_one_amount_of_a_file_ends_with_another_digit(sandbox: Sandbox, archive: str) -> None:
    real, faulty = sandbox.both("*:last-digit=10:1h", archive)
    before, after = ([line.split(b",") for line in lines_of(answer.content)] for answer in (real, faulty))
    ((row, other),) = [pair for pair in zip(before, after, strict=True) if pair[0] != pair[1]]
    assert [index for index in range(12) if row[index] != other[index]] == [10]
    assert int(other[10][-1:]) == (int(row[10][-1:]) + 1) % 10 and other[10][:-1] == row[10][:-1]
    assert sandbox.get(archive + ".CHECKSUM").text.startswith(hashlib.sha256(faulty.content).hexdigest())
    real, faulty = sandbox.both("binance:last-digit", BTC)
    assert sum(a != b for a, b in zip(real.json(), faulty.json(), strict=True)) == 1


@pytest.mark.parametrize("kind", ["duplicated", "unordered", "header", "nan", "seconds", "columns"])
def test_rows_of_a_file_go_wrong_and_its_checksum_is_right(sandbox: Sandbox, archive: str, kind: str) -> None:
    real, faulty = sandbox.both(f"*:{kind}:1h", archive)
    assert lines_of(faulty.content) != lines_of(real.content)
    assert sandbox.get(archive + ".CHECKSUM").text.startswith(hashlib.sha256(faulty.content).hexdigest())


@pytest.mark.parametrize("kind", ["truncated", "corrupt", "empty"])
def test_a_broken_zip_does_not_open(sandbox: Sandbox, archive: str, kind: str) -> None:
    _, broken = sandbox.both(f"*:{kind}", archive)
    with pytest.raises((zipfile.BadZipFile, zlib.error, NotImplementedError)):
        lines_of(broken.content)


def test_a_zip_bomb_opens_and_does_not_end(sandbox: Sandbox, archive: str) -> None:
    _, bomb = sandbox.both("*:bomb", archive)
    with zipfile.ZipFile(io.BytesIO(bomb.content)) as file:
        member = file.infolist()[0]
        assert (member.file_size, member.compress_size < 2**23) == (BOMB_BYTES, True)
        with file.open(member) as opened:
            assert not opened.read(50 * 2**20).strip(b"\0")


def test_rows_inside_of_a_gzip_and_of_a_listing() -> None:
    body = gzip.compress(b"1593561600,1,2.5\n1593561660,2,3.5\n")
    rows = fault_rows.opened(body)
    fault_rows.repeated(1)(rows, random.Random(1))
    assert len(gzip.decompress(rows.close(rows)).splitlines()) == 3
    listing = b"<R><Name>x</Name><Contents><Key>a</Key></Contents><Contents><Key>b</Key></Contents></R>"
    rows = fault_rows.opened(listing)
    fault_rows.repeated(1)(rows, random.Random(1))
    assert rows.close(rows).count(b"<Contents>") == 3 and rows.close(rows).endswith(b"</R>")
    with pytest.raises(DoesNotApply):
        fault_rows.columns(rows, random.Random(1))


# --- pages and clocks ----------------------------------------------------------------------------


def test_a_page_token_repeats_for_ever(sandbox: Sandbox) -> None:
    kind = "repeated-token"
    query = f"{METRICS}?assets=btc&metrics=CapMrktEstUSD&page_size=10&paging_from=start"
    sandbox.faults()
    second = sandbox.get(query).json()["next_page_token"]
    real, faulty = sandbox.both(f"coinmetrics:{kind}", f"{query}&next_page_token={second}")
    assert real.json()["next_page_token"] != second
    assert faulty.json()["next_page_token"] == second and faulty.json()["data"] == real.json()["data"]
    sandbox.faults(f"coinmetrics:{kind}")
    assert sandbox.get(query).json()["next_page_token"] == second, "the first page was asked without one"
    assert sandbox.log()["faults_skipped"][0]["why"] == "no page token was sent" and sandbox.fired() == []


def test_an_upstream_has_another_clock(sandbox: Sandbox) -> None:
    kind = "clock-skew"
    for seconds in (7200, -90_000):
        real, skewed = sandbox.both(f"binance:{kind}={seconds}", CLOCK)
        assert skewed.json()["serverTime"] == real.json()["serverTime"] + seconds * 1000
        told = parsedate_to_datetime(skewed.headers["Date"])
        assert abs((told - datetime.now(UTC)).total_seconds() - seconds) < 5
    assert abs((parsedate_to_datetime(real.headers["Date"]) - datetime.now(UTC)).total_seconds()) < 5
    real, skewed = sandbox.both(f"binance:{kind}=-7200", INFO)
    assert skewed.json() == real.json() | {"serverTime": real.json()["serverTime"] - 7_200_000}


# --- what is listed ------------------------------------------------------------------------------


def listed(answer: requests.Response) -> dict[str, dict]:
    return {row["symbol"]: row for row in answer.json()["symbols"]}


def test_a_symbol_is_new_renamed_or_gone(sandbox: Sandbox) -> None:
    real, new = sandbox.both("binance:listed=XRPUSDT", INFO)
    assert listed(new).keys() - listed(real).keys() == {"XRP2USDT"} and "XRPUSDT" in listed(new)
    assert listed(new)["XRP2USDT"]["baseAsset"] == "XRP2"
    data = sandbox.get(f"{KLINES}?symbol=XRP2USDT&interval=1d&limit=5").json()
    assert data == sandbox.get(f"{KLINES}?symbol=XRPUSDT&interval=1d&limit=5").json() and len(data) == 5
    real, renamed = sandbox.both("binance:renamed=XRPUSDT", INFO)
    assert set(listed(renamed)) == set(listed(real)) - {"XRPUSDT"} | {"XRP2USDT"}
    real, gone = sandbox.both("binance:unlisted=XRPUSDT", INFO)
    assert set(listed(gone)) == set(listed(real)) - {"XRPUSDT"}
    real, dead = sandbox.both("binance:delisted=XRPUSDT", INFO)
    assert listed(dead) == listed(real) | {"XRPUSDT": listed(real)["XRPUSDT"] | {"status": "BREAK"}}


def test_without_a_name_the_seed_chooses_the_same_symbol_every_time(sandbox: Sandbox) -> None:
    chosen = set()
    for seed in (1, 1, 2, 3, 4):
        sandbox.faults()
        real = set(listed(sandbox.get(INFO)))
        sandbox.faults("binance:renamed", seed=seed)
        first, again = (real - set(listed(sandbox.get(INFO))) for _ in range(2))
        assert first == again and len(first) == 1
        chosen |= first
    assert 1 < len(chosen) < 5


def test_a_ticker_means_another_coin(sandbox: Sandbox) -> None:
    path = f"{KLINES}?symbol=XRPUSDT&interval=1d&limit=5"
    sandbox.faults()
    before, whole = sandbox.get(path).json(), listed(sandbox.get(INFO))
    sandbox.faults("binance:reused=XRPUSDT")
    assert listed(sandbox.get(INFO)) == whole
    after = sandbox.get(path).json()
    assert [row[0] for row in after] == [row[0] for row in before] and after != before
    assert sandbox.fired() == ["reused", "reused"]


def test_hostile_symbols_are_listed_and_have_data(sandbox: Sandbox) -> None:
    real, hostile = sandbox.both("binance:hostile-symbols=XRPUSDT", INFO)
    assert listed(hostile).keys() - listed(real).keys() == set(HOSTILE)
    for name in HOSTILE:
        query = {"symbol": name, "interval": "1d", "limit": "3"}
        rows = sandbox.get(KLINES, params=query).json()
        assert len(rows) == 3 and rows[0][0] % DAY == 0, name


def test_a_market_fault_leaves_other_requests_alone(sandbox: Sandbox) -> None:
    sandbox.faults("binance:renamed=XRPUSDT")
    assert len(sandbox.get(BTC).json()) == 50
    assert sandbox.fired() == [] and sandbox.log()["faults_skipped"] == []
    sandbox.faults("binance:renamed=NOSUCH")
    assert sandbox.get(INFO).status_code == 200
    assert sandbox.log()["faults_skipped"][0]["why"] == "NOSUCH is not listed"


# --- which request -------------------------------------------------------------------------------


def statuses(sandbox: Sandbox, count: int, path: str = CLOCK) -> list[int]:
    return [sandbox.get(path).status_code for _ in range(count)]


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ("", [500, 500, 500, 500]),
        (":2", [200, 500, 200, 200]),
        (":3+", [200, 200, 500, 500]),
        (":1-2", [500, 500, 200, 200]),
        (":2-3", [200, 500, 500, 200]),
        (":1.0", [500, 500, 500, 500]),
        (":0.0", [200, 200, 200, 200]),
    ],
)
def test_when(sandbox: Sandbox, when: str, expected: list[int]) -> None:
    sandbox.faults(f"binance:500{when}")
    assert statuses(sandbox, 4) == expected


@pytest.mark.parametrize(
    ("path", "hits"),
    [
        ("symbol=BTC", True),
        ("/api/v3/klines?symbol=BTCUSDT", True),
        ("symbol=ETH", False),
        ("*klines*limit=50", True),
        ("klines*", False),
        ("re:symbol=(BTC|ETH)USDT&", True),
        ("re:^/api/v3/time", False),
    ],
)
def test_where(sandbox: Sandbox, path: str, hits: bool) -> None:
    sandbox.faults(f"binance:500:{path}")
    assert sandbox.get(BTC).status_code == (500 if hits else 200)


def test_chance_depends_on_seed_and_request_but_not_on_order(sandbox: Sandbox) -> None:
    paths = [f"{CLOCK}?number={i}" for i in range(150)]

    def hit(order: list[str], seed: int) -> set[str]:
        sandbox.faults("*:500|empty|451:0.3", seed=seed)
        return {f"{path} {code}" for path in order if (code := sandbox.get(path).status_code) != 200}

    first = hit(paths, 1)
    assert 15 < len(first) < 60
    assert hit(paths[::-1], 1) == first != hit(paths, 2)
    assert len({line.split()[1] for line in first}) == 2


def test_of_several_kinds_one_that_makes_sense_is_drawn(sandbox: Sandbox) -> None:
    sandbox.faults("binance:checksum|header|repeated-token|500")
    assert statuses(sandbox, 3) == [500, 500, 500] and sandbox.fired() == ["500"] * 3
    sandbox.faults("binance:checksum|header")
    assert statuses(sandbox, 1) == [200] and sandbox.fired() == []


def test_what_makes_no_sense_is_said_and_the_real_answer_sent(sandbox: Sandbox) -> None:
    for kind, words in [("checksum", "not a checksum"), ("header", "only a CSV"), ("replaced", "not a file")]:
        sandbox.faults()
        real = sandbox.get(BTC)
        sandbox.faults(f"binance:{kind}")
        assert sandbox.get(BTC).content == real.content
        (skipped,) = sandbox.log()["faults_skipped"]
        assert (skipped["kind"], sandbox.fired()) == (kind, []) and words in skipped["why"]


def test_rules_are_tried_in_order_and_lifted_by_an_empty_list(sandbox: Sandbox) -> None:
    sandbox.faults("binance:500:klines", "binance:502")
    assert (statuses(sandbox, 1, BTC), statuses(sandbox, 1)) == ([500], [502])
    sandbox.faults()
    assert statuses(sandbox, 1, BTC) == [200] and sandbox.log()["request_count"] == 1


def test_wrong_rules_are_refused_in_words_and_change_nothing(sandbox: Sandbox) -> None:
    sandbox.faults("binance:500")
    for body in ({"faults": ["binance:explode"]}, {"faults": ["nosuch"]}, {"faults": 5}, []):
        answer = sandbox.session.post(f"{sandbox.url}/_sandbox/faults", json=body, timeout=10)
        assert answer.status_code == 400 and answer.json()["wanted"]["faults"] == ["binance:500"]
    assert statuses(sandbox, 1) == [500]
    assert sandbox.get("_sandbox/nosuch").status_code == 404


# --- rules as text and data ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("fred:500", Rule("fred", "500")),
        ("binance:429=30:klines:0.1", Rule("binance", "429", "klines", value="30", probability=0.1)),
        ("binance:reset:re:a:b:2-4", Rule("binance", "reset", "re:a:b", from_nth=2, to_nth=4)),
        ("*:slow=0.5,20000", Rule("*", "slow", value="0.5,20000")),
        ("*:*:.5", Rule("*", "*", probability=0.5)),
        ("api.example.org:empty|500:/a/b", Rule("api.example.org", "empty|500", "/a/b")),
    ],
)
def test_text_is_read(text: str, rule: Rule) -> None:
    assert parse(text) == rule


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("binance:boom", "fault kind 'boom'"),
        ("binance:", "fault kind ''"),
        ("nobody:500", "fault upstream 'nobody'"),
        ("binance:500=3", "it takes none"),
        ("binance:429=soon", "does not fit"),
        ("binance:500:1.5:x", ""),
        ("binance:500:re:(", "not a regular expression"),
        ("tempest", "want upstream:kind, a YAML file or one of storm"),
    ],
)
def test_wrong_text_is_refused(text: str, words: str) -> None:
    if not words:
        assert parse(text).path == "1.5:x"
        return
    with pytest.raises(FaultError, match=re.escape(words)):
        load([text])


def test_a_file_may_hold_texts_and_mappings(tmp_path: Path) -> None:
    file = tmp_path / "faults.yaml"
    file.write_text(
        "faults:\n- fred:500:2\n- {upstream: binance, kind: 429, retry_after: 9, from_nth: 2, to_nth: 3}\n"
        "- {upstream: binance, kind: slow, seconds: 1, bytes_per_second: 500}\n"
        "- {upstream: binance, kind: slow, bytes_per_second: 500}\n"
        "- {upstream: binance, kind: renamed, symbol: AUSDT}\n"
    )
    assert [str(rule) for rule in load([str(file)])] == [
        "fred:500",
        "binance:429=9",
        "binance:slow=1,500",
        "binance:slow=0,500",
        "binance:renamed=AUSDT",
    ]
    file.write_text("- {upstream: binance, kind: 500, frequency: 3}\n")
    with pytest.raises(FaultError, match="unknown frequency; want from_nth"):
        load([str(file)])


def test_presets_and_examples_can_be_read() -> None:
    for name, (says, _) in PRESETS.items():
        assert load([name]) and says
    assert [load([text]) for text in EXAMPLES]
    assert set(load(["storm"])[0].kinds) == set(PASSING)


def test_help_lists_every_kind_and_preset(capsys: pytest.CaptureFixture[str]) -> None:
    from orchestration.sandbox import command

    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    assert command.main(parser.parse_args(["--faults", "help"])) == 0
    out = capsys.readouterr().out
    assert all(re.search(rf"^  [ *] {re.escape(name)} ", out, re.MULTILINE) for name in KINDS)
    assert all(f"    {name} " in out for name in PRESETS)


# --- the directory -------------------------------------------------------------------------------


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: f"{entry.upstream}-{entry.server}")
def test_every_entry_of_the_directory_has_its_server(sandbox: Sandbox, entry) -> None:
    from orchestration.sandbox.generated import GeneratedMarket

    module, _, name = entry.server.partition(":")
    hosts = getattr(import_module(f"orchestration.sandbox.{module}"), "HOSTS", None)
    assert hosts is None or set(entry.hosts) <= set(hosts)
    market = GeneratedMarket(date(2020, 3, 1), size=20)
    assert callable(entry.make(market, False)), name
    sandbox.faults()
    for host in entry.hosts:
        answer = sandbox.get(f"{host}/no/such/path")
        assert answer.status_code != 500, f"{host}: {answer.text}"
    assert set(entry.hosts) <= set(sandbox.get("_sandbox/catalog").json()["upstreams"][entry.upstream]["hosts"])
    assert sandbox.get(f"_sandbox/catalog/{entry.upstream}").status_code == 200


def test_no_host_has_two_servers() -> None:
    hosts = [host for entry in ENTRIES for host in entry.hosts]
    assert len(hosts) == len(set(hosts))


def test_every_kind_has_a_test() -> None:
    text = Path(__file__).read_text()
    assert [kind for kind in KINDS if not re.search(rf'[":]{re.escape(kind)}["=:]', text)] == []
