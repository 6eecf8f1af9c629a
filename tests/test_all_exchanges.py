"""Every exchange at once, on the generated market: what is stored is its truth to the last digit, what is late comes
later, what is replaced is read again, what is missing is named."""

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, time, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from orchestration.asking.pages import FIRST_DAYS
from orchestration.builder import Builder
from orchestration.expectations.validator import Validator
from orchestration.run import Companions, Upstreams, open_run
from orchestration.sandbox.generated import GeneratedMarket
from orchestration.sandbox.truth_flows import flow_table
from orchestration.sandbox.truth_ledger import Ledger
from orchestration.settings import Settings
from orchestration.sources.exchange import Klines, TradeFiles, TradePages
from orchestration.sources.registry import EXCHANGES
from tests.commandline import ROOT, altflow

SIZE, START, NOW = 12, date(2023, 1, 24), date(2023, 2, 9)
"""A month's end lies between them, so that files of months exist; Bybit's archive had begun."""
OF_KIND = {
    kind: [name for name, exchange in EXCHANGES.items() if isinstance(exchange.flows, kind)]
    for kind in (Klines, TradeFiles, TradePages)
}


@contextmanager
def sandbox(now: date, *arguments: str) -> Iterator[str]:
    command = [sys.executable, "-m", "orchestration", "sandbox", "--with-parent", "--size", str(SIZE)]
    command += ["--now", now.isoformat(), *arguments]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin and process.stdout
        try:
            yield json.loads(process.stdout.readline())["url"]
        finally:
            process.stdin.close()
            process.wait(10)


def told(url: str, page: str, content: object = None) -> dict:
    data = None if content is None else json.dumps(content).encode()
    with urllib.request.urlopen(f"{url}/_sandbox/{page}", data, timeout=10) as answer:
        return json.loads(answer.read())


@pytest.fixture(scope="module")
def validator() -> Iterator[Validator]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Validator, "close", lambda self: None)
        yield Validator.start()


def settings_of(data: Path, url: str, *exchanges: str, start: date = START) -> Settings:
    data.mkdir(exist_ok=True)
    return Settings("sandbox", data, start=start, exchanges=exchanges, upstreams=url, allow_noncommercial=True)


def load(settings: Settings, validator: Validator, end: date, run_id: str) -> tuple[list[dict], list[dict]]:
    """Loads the flows up to `end` (excluded); returns gaps and absences."""
    companions = Companions(validator, Upstreams(settings.upstreams), Builder(settings))
    with open_run(settings, run_id, {"spot_symbols", "spot_flows"}, end=end, companions=companions) as run:
        run.ingest.load("spot_symbols")
        run.ingest.load("spot_flows")
        absences = run.warehouse.read("SELECT * FROM raw.absences ORDER BY ALL").to_pylist()
        return run.warehouse.gaps(run_id), absences


def stored(settings: Settings) -> pa.Table:
    with duckdb.connect(str(settings.warehouse_path), read_only=True) as con:
        return con.sql(
            "SELECT exchange, symbol, utc_date, taker_buy_quote, volume_quote - taker_buy_quote AS taker_sell_quote, "
            "trade_count, close_price FROM raw.spot_flows"
        ).to_arrow_table()


def true_flows(now: date, exchanges: list[str], start: date = START) -> pa.Table:
    """By the labels that the exchanges write."""
    return flow_table(Ledger(GeneratedMarket(now=now, size=SIZE), exchanges, start, as_labelled=True))


def compare(flows: pa.Table, truth: pa.Table) -> dict[str, dict]:
    """By exchange: rows that are equal to the last digit, lacking (with their days), extra or different."""
    with duckdb.connect() as con:
        con.register("flows", flows)
        con.register("truth", truth)
        rows = con.execute(
            "SELECT coalesce(t.exchange, f.exchange), count(*) FILTER (f.taker_buy_quote = t.taker_buy_quote AND "
            "f.taker_sell_quote = t.taker_sell_quote), count(*) FILTER (t.symbol IS NULL), "
            "count(*) FILTER (f.taker_buy_quote <> t.taker_buy_quote OR f.taker_sell_quote <> t.taker_sell_quote), "
            "list_sort(list_distinct(list(t.utc_date) FILTER (f.symbol IS NULL))) "
            "FROM truth t FULL JOIN flows f USING (exchange, symbol, utc_date) GROUP BY 1"
        ).fetchall()
    names = ("equal", "extra", "different", "lacking")
    return {exchange: dict(zip(names, row, strict=True)) for exchange, *row in rows}


def days(first: date, end: date) -> list[date]:
    return [first + timedelta(days=n) for n in range((end - first).days)]


def unpublished(name: str, now: date) -> list[date]:
    """Days whose last file is not due before `now`."""
    flows = EXCHANGES[name].flows
    assert isinstance(flows, TradeFiles)
    return [day for day in days(START, now) if flows.due(day) > datetime.combine(now, time())]


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory, validator: Validator):
    """A first run over all exchanges, and one four days later."""
    data = tmp_path_factory.mktemp("all") / "data"
    found = []
    for now in (NOW, NOW + timedelta(days=4)):
        with sandbox(now) as url:
            settings = settings_of(data, url, *EXCHANGES)
            gaps, absences = load(settings, validator, now, f"run-{now}")
            found.append((now, gaps, absences, stored(settings), told(url, "log")))
    return found


@pytest.mark.parametrize("run", (0, 1), ids=("first", "four days later"))
def test_every_exchange_says_what_is_true(everything, run: int):
    now, gaps, _, flows, log = everything[run]
    assert gaps == []
    # The sandbox counts when it gets round to a request: what waited while it made a file may come in one second.
    assert log["statuses"].pop("429", 0) <= 5, "nobody was asked too fast"
    assert set(log["statuses"]) <= {"200", "404"}
    found = compare(flows, true_flows(now, list(EXCHANGES)))
    for name, counts in found.items():
        assert counts["different"] == counts["extra"] == 0, (name, counts)
    for name in OF_KIND[Klines]:
        assert found[name]["lacking"] is None or found[name]["lacking"] == [], (name, found[name])
        assert found[name]["equal"] > 100
    for name in OF_KIND[TradeFiles]:
        assert set(found[name]["lacking"] or []) <= set(unpublished(name, now)), (name, found[name])
        assert found[name]["equal"] > 50 or name == "gate", name
    for name in OF_KIND[TradePages]:
        first = NOW - timedelta(days=FIRST_DAYS)
        reach = EXCHANGES[name].flows
        assert isinstance(reach, TradePages)
        # Who answers with the last 24 hours has the day before right at midnight, and no other in one answer.
        reached = now - timedelta(days=1 if reach.fetch_since else reach.reach_days)
        lost = [day for day in days(first + timedelta(days=FIRST_DAYS), now) if day < reached]
        assert (found[name]["lacking"] or []) == days(START, first) + lost, name
        assert found[name]["equal"] > 0


def test_what_is_not_there_is_absent_and_no_gap(everything):
    now, _, absences, _, _ = everything[0]
    for name in OF_KIND[TradeFiles]:
        said = [a for a in absences if a["upstream"] == name and a["run_id"] == f"run-{now}"]
        assert {a["reason"] for a in said} <= {"not_published_yet"}, said
        lacking = {day for a in said for day in days(a["start_date"], a["end_date"])}
        assert lacking and lacking <= set(unpublished(name, now)), name
    later, _, absences, _, _ = everything[1]
    bitstamp = [a for a in absences if a["upstream"] == "bitstamp" and a["run_id"] == f"run-{later}"]
    assert {a["reason"] for a in bitstamp} <= {"out_of_reach"}


@pytest.mark.chaos
def test_marts_and_coverage_hold_every_exchange(tmp_path: Path):
    """Through the whole command: an exchange of each kind appears in flows, coverage, headline and provenance."""
    exchanges = ("binance", "okx", "bybit", "coinbase")
    with sandbox(NOW) as url:
        settings = {"UPSTREAMS": url, "START": START.isoformat(), "EXCHANGES": " ".join(exchanges)}
        run = altflow("run", "--source", "sandbox", "--quiet", data=tmp_path / "data", settings=settings)
    assert run.returncode == 0, run.stdout + run.stderr
    with duckdb.connect(str(tmp_path / "data" / "published" / "marts.duckdb"), read_only=True) as con:
        counted = con.execute(
            "SELECT exchange, count(*), count(DISTINCT utc_date) FROM daily_symbol_flows GROUP BY 1 ORDER BY 1"
        ).fetchall()
        assert [row[0] for row in counted] == sorted(exchanges) and all(row[1] for row in counted)
        by_exchange = con.execute(
            f"SELECT DISTINCT exchange FROM flow_by_exchange(DATE '{START}', DATE '{NOW}') ORDER BY 1"
        ).fetchall()
        assert [row[0] for row in by_exchange] == sorted(exchanges)
        reasons = dict(
            con.execute(
                "SELECT exchange, list_sort(list_distinct(list(reason))) FROM coverage_daily WHERE reason IS NOT NULL "
                "GROUP BY 1"
            ).fetchall()
        )
        assert reasons["okx"] == ["not_published_yet"], reasons
        assert reasons["coinbase"] == ["out_of_reach"], reasons
        widest = con.execute(
            "SELECT max(exchange_count) FROM daily_altcoin_flow WHERE definition_id = 'rolling_365d.ex_btc_eth.all.all'"
        ).fetchall()
        assert widest[0][0] >= 3
        lost = con.execute(
            "SELECT count(*) FROM daily_symbol_flows ANTI JOIN source_files USING (body_sha256)"
        ).fetchall()
        assert lost == [(0,)]
        two = con.execute(
            "SELECT count(*) FROM source_files WHERE upstream = 'okx' AND url LIKE '%allspot%' AND "
            "file_sha256 <> body_sha256"
        ).fetchall()
        assert two[0][0] > 20, "each of OKX's days names the two files that it was read from"


def of_okx(flows: pa.Table) -> pa.Table:
    return flows.filter(pc.equal(flows["exchange"], "okx"))


def test_a_late_file_comes_later_a_missing_one_is_given_up_a_replaced_one_is_read_again(tmp_path: Path, validator):
    """OKX's UTC day needs two files: that of 2023-01-25 is one of the 24th and the 25th."""
    data, late = tmp_path / "data", [date(2023, 1, 24), date(2023, 1, 25)]
    with sandbox(date(2023, 1, 30), "--faults", "okx:missing:*2023-01-25.zip") as url:
        settings = settings_of(data, url, "okx", start=date(2023, 1, 21))
        gaps, absences = load(settings, validator, date(2023, 1, 30), "late")
        truth = true_flows(date(2023, 1, 30), ["okx"], date(2023, 1, 21))
        found = compare(stored(settings), truth)["okx"]
        newest = unpublished("okx", date(2023, 1, 30))
        assert gaps == [] and found["different"] == found["extra"] == 0
        assert found["lacking"] == [*late, *newest], "what is late is lacking, and nothing else but what is not due"
        assert {a["reason"] for a in absences} == {"not_published_yet"}
        # It comes: the next run reads those days and no others.
        told(url, "faults", {"faults": []})
        gaps, _ = load(settings, validator, date(2023, 1, 30), "came")
        assert gaps == [] and compare(stored(settings), truth)["okx"]["lacking"] == newest
        asked = [path for path in told(url, "log")["requests"]["static.okx.com"] if "allspot" in path]
        assert {path.rpartition("trades-")[2][:10] for path in asked} >= {"2023-01-24", "2023-01-25", "2023-01-26"}

        # Replaced in place, a row less: its tag tells, and both of its days are read again; then it is mended.
        before = of_okx(stored(settings))
        told(url, "faults", {"faults": ["okx:replaced:*2023-01-26.zip"]})
        load(settings, validator, date(2023, 1, 30), "replaced")
        assert told(url, "log")["fault_kinds"].get("replaced", 0) >= 1
        replaced = compare(of_okx(stored(settings)), truth)["okx"]
        assert replaced["different"] == 1 and replaced["lacking"] == newest
        told(url, "faults", {"faults": []})
        load(settings, validator, date(2023, 1, 30), "mended")
        assert of_okx(stored(settings)).sort_by("utc_date").num_rows == before.num_rows
        assert compare(stored(settings), truth)["okx"]["different"] == 0
    with duckdb.connect(str(settings.warehouse_path), read_only=True) as con:
        assert con.execute("SELECT count(*) FROM raw.spot_flows_history").fetchall() == [(2,)], "both states are kept"


def test_what_never_comes_is_missing_and_not_asked_for_for_ever(tmp_path: Path, validator: Validator):
    lost = [date(2023, 1, 24), date(2023, 1, 25)]
    with sandbox(NOW, "--faults", "okx:missing:*2023-01-25.zip") as url:
        settings = settings_of(tmp_path / "data", url, "okx", start=date(2023, 1, 21))
        gaps, absences = load(settings, validator, NOW, "first")
        assert gaps == [], "the upstream says that it is not there: coverage, not a gap"
        said = {a["reason"]: a for a in absences}
        assert {day for day in days(said["file_missing"]["start_date"], said["file_missing"]["end_date"])} <= set(lost)
        told(url, "faults", {"faults": ["okx:missing:*2023-01-25.zip"]})
        load(settings, validator, NOW, "second")
        asked = told(url, "log")["requests"].get("static.okx.com", {})
        assert not [path for path in asked if "2023-01-25" in path]


def test_a_day_with_a_row_that_is_no_trade_is_asked_for_once_more(tmp_path: Path, validator: Validator):
    """A passing fault: the row is kept with its reason, its day counts as not answered, and the next run mends it."""
    now, first = date(2023, 1, 30), date(2023, 1, 21)
    with sandbox(now, "--faults", "okx:nan:*2023-01-25.zip:1") as url:
        settings = settings_of(tmp_path / "data", url, "okx", start=first)
        load(settings, validator, now, "bad")
        assert told(url, "log")["fault_kinds"] == {"nan": 1}
        with duckdb.connect(str(settings.warehouse_path), read_only=True) as con:
            refused = con.execute("SELECT reason, utc_date FROM raw.quarantine").fetchall()
            answered = con.execute(
                "SELECT count(*) FROM raw.asked, raw.quarantine WHERE dataset = 'spot_flows' "
                "AND utc_date >= start_date AND utc_date < end_date"
            ).fetchall()
        assert len(refused) == 1 and "NaN" in refused[0][0] and refused[0][1], refused
        # Its tag would tell of the mended file too: that the day is not answered must stand by itself.
        assert answered == [(0,)]
        truth = true_flows(now, ["okx"], first)
        assert compare(stored(settings), truth)["okx"]["different"] == 1
        gaps, _ = load(settings, validator, now, "mended")
        assert gaps == [] and compare(stored(settings), truth)["okx"]["different"] == 0
