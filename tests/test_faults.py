"""One upstream misbehaves: the others are stored, what is missing is named, and the next run makes it good.

The first half loads raw tables without Dagster and dbt, every kind of fault by every upstream. The second
half runs `altflow run` as its user does. The normal tests take a seventh of the first half, in which every kind
and every upstream occurs once; `make chaos` takes the others.
"""

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from itertools import cycle
from pathlib import Path

import duckdb
import pytest

from orchestration.builder import Builder
from orchestration.expectations.validator import Validator
from orchestration.records import RECORDS
from orchestration.run import Companions, Upstreams, open_run
from orchestration.settings import Settings
from orchestration.sources import alternative_me, binance, coingecko, coinmetrics, defillama, defillama_api, fred, http
from orchestration.sources.registry import DATASETS
from tests.commandline import ROOT, altflow, differences

KINDS = {
    "500": "HTTP 500",
    "429": "HTTP 429 (too many requests, Retry-After 1 s)",
    "451": "HTTP 451",
    "html-200": "HTTP 200 with an HTML page",
    "truncated": "HTTP 200 with a cut",
    "empty": "HTTP 200 with an empty body",
    "hang": "no answer within",
}
"""The fault and what its message says of it."""

HOSTS = {
    module.HOST.name: module.HOST
    for module in (binance, defillama, defillama_api, coinmetrics, coingecko, fred, alternative_me)
}
TABLES = {
    "binance": {"spot_symbols", "spot_flows", "order_books"},
    "defillama": {"stablecoins", "stablecoin_totals", "stablecoin_supplies", "stablecoin_chain_supplies"},
    "defillama_api": {"chain_tvl", "dex_volumes"},
    "coinmetrics": {"asset_caps"},
    "coingecko": {"coin_snapshots"},
    "fred": {"macro_observations"},
    "alternative_me": {"macro_observations"},
}
LOADED = ("spot_symbols", "spot_flows", *dict.fromkeys(dataset.name for dataset in DATASETS))
START, NOW = date(2020, 4, 15), date(2020, 6, 1)
"""An early day: the services answer with their whole history, and it is short then."""

PATIENCE = replace(http.LOOPBACK_PATIENCE, tries=2, read=1.5)
LONGEST_SECONDS = 60
KLINES = "/api/v3/klines"


@contextmanager
def sandbox(*arguments: str) -> Iterator[str]:
    """The address of a small generated market of its own process."""
    command = [sys.executable, "-m", "orchestration", "sandbox", "--size", "20", "--with-parent", *arguments]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin and process.stdout
        try:
            yield json.loads(process.stdout.readline())["url"]
        finally:
            process.stdin.close()
            process.wait(10)


@dataclass
class Outcome:
    """What one load left behind."""

    seconds: float
    rows: dict[tuple[str, str], int]
    """rows by upstream and raw table; 0 is stated"""
    gaps: list[dict]
    asked: dict[str, int]
    """requests by host"""

    def of(self, upstream: str) -> dict[tuple[str, str], int]:
        return {key: count for key, count in self.rows.items() if key[0] == upstream}

    def except_of(self, upstream: str) -> dict[tuple[str, str], int]:
        return {key: count for key, count in self.rows.items() if key[0] != upstream}


def load(data: Path, validator: Validator, url: str) -> Outcome:
    """Loads every dataset into an empty warehouse, as the raw assets do."""
    data.mkdir(exist_ok=True)
    settings = Settings("sandbox", data, start=START, upstreams=url, allow_noncommercial=True, exchanges=("binance",))
    began = time.monotonic()
    companions = Companions(validator, Upstreams(url), Builder(settings))
    with open_run(settings, "run", set(RECORDS), end=NOW, companions=companions) as run:
        for dataset in LOADED:
            run.ingest.load(dataset)
        gaps = run.warehouse.read("SELECT * FROM raw.gaps ORDER BY noticed_at").to_pylist()
        rows = {
            (upstream, table): run.warehouse.read(
                f"SELECT count(*)::BIGINT AS n FROM raw.{table}"
                + (f" WHERE upstream = '{upstream}'" if table == "macro_observations" else "")
            ).to_pylist()[0]["n"]
            for upstream, tables in TABLES.items()
            for table in tables
        }
    seconds = time.monotonic() - began
    with urllib.request.urlopen(f"{url}/_sandbox/log", timeout=10) as answer:
        log = json.load(answer)
    return Outcome(seconds, rows, gaps, {host: sum(paths.values()) for host, paths in log["requests"].items()})


@pytest.fixture(scope="module")
def validator() -> Iterator[Validator]:
    with Validator.start() as started:
        yield started


@pytest.fixture(scope="module")
def whole(validator, tmp_path_factory) -> Outcome:
    """What a load brings when every upstream is well."""
    with sandbox("--now", str(NOW)) as url:
        outcome = load(tmp_path_factory.mktemp("whole"), validator, url)
    assert outcome.gaps == [] and all(outcome.rows.values())
    return outcome


@pytest.fixture
def patience(monkeypatch) -> http.Patience:
    monkeypatch.setattr(http, "LOOPBACK_PATIENCE", PATIENCE)
    return PATIENCE


def requests_of(outcome: Outcome, upstream: str) -> int:
    return sum(outcome.asked.get(host, 0) for host in HOSTS[upstream].hosts)


def assert_helpful(gaps: list[dict], upstream: str, kind: str) -> None:
    """Every message names the upstream, what was tried, what came, and what to do."""
    for gap in gaps:
        message = gap["message"]
        assert message.startswith(upstream), message
        assert len(message) < 500 and "\n" not in message, message
        if kind == "451":
            assert "blocked from here (HTTP 451; tried " + ", ".join(HOSTS[upstream].hosts) in message
            assert "run from another region" in message
            continue
        assert KINDS[kind] in message, message
        assert "asked again by the next run" in message and "altflow doctor" in message, message
        tried = f"after {PATIENCE.tries} tries ({HOSTS[upstream].hosts[0]})"
        assert tried in message or "not asked, " in message and "requests in a row" in message, message
    assert any("after" in gap["message"] or "tried" in gap["message"] for gap in gaps), "someone did try"


def marked(is_normal: bool, *values: str):
    return pytest.param(*values, marks=[] if is_normal else pytest.mark.chaos)


@pytest.mark.parametrize(
    ("upstream", "kind"),
    [
        marked(row == column or (upstream, kind) == ("binance", "451"), upstream, kind)
        for row, upstream in enumerate(HOSTS)
        for column, kind in enumerate(KINDS)
    ],
)
def test_one_upstream_is_down(upstream, kind, whole, validator, patience, tmp_path):
    with sandbox("--now", str(NOW), "--faults", f"{upstream}:{kind}") as url:
        outcome = load(tmp_path / "data", validator, url)
    assert outcome.except_of(upstream) == whole.except_of(upstream), "all others are stored completely"
    assert not any(outcome.of(upstream).values()), "nothing of a broken answer is stored"
    assert {(gap["upstream"], gap["dataset"]) for gap in outcome.gaps} == {
        (upstream, table) for table in TABLES[upstream] - {"stablecoin_chain_supplies"}
    }
    assert {gap["reason"] for gap in outcome.gaps} == {"out_of_reach" if kind == "451" else "failed"}
    assert_helpful(outcome.gaps, upstream, kind)
    assert outcome.seconds < LONGEST_SECONDS
    # These are asked by one thread before anything else: one request per mirror tells a geo-block.
    blocked_after = len(HOSTS[upstream].hosts)
    most = blocked_after if kind == "451" else patience.dead_after * patience.tries
    assert 0 < requests_of(outcome, upstream) <= most
    for other in HOSTS.keys() - {upstream}:
        assert requests_of(outcome, other) == requests_of(whole, other), f"{other} is asked no more than ever"


@pytest.mark.parametrize("kind", [marked(kind == "500", kind) for kind in KINDS])
def test_klines_are_down_while_the_exchange_lists_its_symbols(kind, whole, validator, patience, tmp_path):
    with sandbox("--now", str(NOW), "--faults", f"binance:{kind}:{KLINES}") as url:
        outcome = load(tmp_path / "data", validator, url)
    if kind == "451":
        # Out of reach is not down: the archive has all but the days that it has not published yet.
        lacking = whole.rows["binance", "spot_flows"] - outcome.rows["binance", "spot_flows"]
        assert 0 < lacking <= 2 * whole.rows["binance", "spot_symbols"]
        assert outcome.rows == whole.rows | {("binance", "spot_flows"): outcome.rows["binance", "spot_flows"]}
        assert outcome.gaps == []
        return
    assert outcome.rows == whole.rows | {("binance", "spot_flows"): 0}
    assert len(outcome.gaps) == whole.rows["binance", "spot_symbols"], "a gap for every symbol"
    assert len({gap["scope"] for gap in outcome.gaps}) == len(outcome.gaps)
    assert {(gap["dataset"], gap["start_date"], gap["end_date"]) for gap in outcome.gaps} == {
        ("spot_flows", START, NOW)
    }
    assert {gap["reason"] for gap in outcome.gaps} == {"failed"}
    assert_helpful(outcome.gaps, "binance", kind)
    assert outcome.seconds < LONGEST_SECONDS
    # Requests that are under way when the host is given up may still use up their tries.
    most = (patience.dead_after - 1 + binance.HOST.connections) * patience.tries
    # A listing, and a clock and a book for each look.
    before = 1 + 2 * whole.rows["binance", "order_books"]
    assert 0 < requests_of(outcome, "binance") - before <= most


def test_a_blocked_mirror_costs_nothing_but_its_first_request(whole, validator, tmp_path):
    first, second = binance.HOST.hosts
    with sandbox("--now", str(NOW), "--faults", f"{first}:451") as url:
        outcome = load(tmp_path / "data", validator, url)
    assert outcome.gaps == [] and outcome.rows == whole.rows
    assert outcome.asked[first] == 1
    assert outcome.asked[second] == requests_of(whole, "binance")


def test_a_fault_that_passes_is_no_gap(whole, validator, patience, tmp_path):
    passing = cycle(kind for kind in KINDS if kind != "451")
    rules = [f"{upstream}:{kind}::1" for upstream, kind in zip(HOSTS, passing, strict=False)]
    with sandbox("--now", str(NOW), *(word for rule in rules for word in ("--faults", rule))) as url:
        outcome = load(tmp_path / "data", validator, url)
    assert outcome.gaps == [] and outcome.rows == whole.rows
    for upstream in HOSTS:
        assert requests_of(outcome, upstream) == requests_of(whole, upstream) + 1


# --- the whole way, through the command ---------------------------------------------------------

DAY, FIRST = "2026-11-20", "2026-10-01"
RUN = ("run", "--source", "sandbox", "--end", DAY, "--quiet")
CASES = {
    "binance": ("500", "451", "hang"),
    "defillama": ("truncated", "500"),
    "coinmetrics": ("hang", "429"),
    "coingecko": ("429",),
    "fred": ("html-200", "451"),
    "alternative_me": ("empty",),
}
HOLDS = {
    "binance": "daily_symbol_flows",
    "defillama": "daily_stablecoin_supply",
    "coinmetrics": "daily_dominance",
}
"""A published table that tells whether this upstream's data is there."""


@pytest.fixture(scope="module")
def well() -> Iterator[dict[str, str]]:
    """Settings that name a market where everything works."""
    with sandbox("--now", "2026-11-21") as url:
        yield {"UPSTREAMS": url, "START": FIRST, "EXCHANGES": "binance"}


@pytest.fixture(scope="module")
def clean(well, tmp_path_factory) -> Path:
    """The published file of a folder that never saw a fault."""
    data = tmp_path_factory.mktemp("clean")
    run = altflow(*RUN, data=data, settings=well)
    assert run.returncode == 0, run.stderr
    return data / "published" / "marts.duckdb"


def published_rows(path: Path) -> dict[str, int]:
    with duckdb.connect(str(path), read_only=True) as con:
        return {
            table: con.execute(f"SELECT count(*) FROM {table}").fetchall()[0][0] for table in sorted(HOLDS.values())
        }


def standing_headlines(path: Path) -> list[tuple]:
    with duckdb.connect(str(path), read_only=True) as con:
        return con.execute(
            "SELECT definition_id, utc_date, value FROM published_headlines "
            "QUALIFY row_number() OVER (PARTITION BY definition_id, utc_date ORDER BY published_at DESC) = 1 "
            "ORDER BY ALL"
        ).fetchall()


@pytest.mark.chaos
@pytest.mark.parametrize(
    ("upstream", "kind"),
    [(upstream, kind) for upstream, kinds in CASES.items() for kind in kinds],
)
def test_published_without_it_and_made_good_by_the_next_run(upstream, kind, clean, well, tmp_path):
    published = tmp_path / "published" / "marts.duckdb"
    with sandbox("--now", "2026-11-21", "--faults", f"{upstream}:{kind}") as url:
        run = altflow(*RUN, data=tmp_path, settings=well | {"UPSTREAMS": url})
    assert run.returncode == 3, run.stdout + run.stderr
    missing = [line for line in run.stdout.splitlines() if line.startswith(f"  {upstream}/")]
    assert missing and "missing:" in run.stdout, run.stdout
    for line in missing:
        assert KINDS[kind] in line and HOSTS[upstream].hosts[0] in line, line
        assert ("run from another region" if kind == "451" else "asked again by the next run") in line, line
    rows, before = published_rows(published), published_rows(clean)
    for other, table in HOLDS.items():
        if other == "coinmetrics":
            continue
        assert (rows[table] == 0) if other == upstream else (rows[table] == before[table]), (table, rows)
    told = altflow("status", data=tmp_path)
    assert told.returncode == 0 and f"missing: {upstream}/" in told.stdout, told.stdout + told.stderr

    again = altflow(*RUN, data=tmp_path, settings=well)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "missing: nothing" in again.stdout
    # What stood published in between is history, and stays; what stands now must be the same.
    differing = differences(clean, published, provenance=False)
    assert [line for line in differing if not line.startswith("published_headlines: 0 only in the first")] == []
    assert standing_headlines(published) == standing_headlines(clean)
