"""Random faults on a small generated market: a load ends, stores nothing wrong, names what is missing, and the next
one makes it good.

A schedule is a few rules with a seed of their own. Each is loaded into an empty folder, then the faults are lifted and
the same folder is loaded again: that must equal a folder which never saw a fault. `make test` takes four
schedules; `make storm` takes two hundred, and whole commands in a storm of every kind.
"""

import json
import sys
import threading
import traceback
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
from hypothesis import HealthCheck, Phase, Verbosity, given, settings
from hypothesis import strategies as st

from orchestration.builder import Builder
from orchestration.expectations.validator import Validator
from orchestration.records import RECORDS, Record
from orchestration.run import Companions, Upstreams, open_run
from orchestration.sandbox.fault_kinds import HOSTILE, PASSING
from orchestration.sandbox.generated import GeneratedMarket
from orchestration.settings import Settings
from orchestration.sources import http
from orchestration.sources.registry import DATASETS
from tests.commandline import altflow, differences
from tests.test_faults import sandbox, standing_headlines

SIZE, START, NOW = 12, date(2020, 1, 1), date(2020, 7, 20)
LOADED = ("spot_symbols", "spot_flows", *dict.fromkeys(dataset.name for dataset in DATASETS))
PATIENCE = http.Patience(tries=2, pause=0.01, longest_pause=1.5, connect=1.0, read=0.5, dead_after=2)
LONGEST_SECONDS = 60
UPSTREAMS = ("binance", "defillama", "defillama_api", "coinmetrics", "coingecko", "fred", "alternative_me")
OF_TABLE = {
    "spot_symbols": "binance",
    "spot_flows": "binance",
    "stablecoins": "defillama",
    "stablecoin_totals": "defillama",
    "stablecoin_supplies": "defillama",
    "stablecoin_chain_supplies": "defillama",
    "chain_tvl": "defillama_api",
    "dex_volumes": "defillama_api",
    "order_books": "binance",
    "asset_caps": "coinmetrics",
    "coin_snapshots": "coingecko",
}
DATASET_OF_TABLE = {"stablecoin_chain_supplies": "stablecoin_supplies"}
Row = dict[str, object]


@dataclass(repr=False)
class Stored:
    """What a load left: rows by table and grain, what was refused, what is missing."""

    tables: dict[str, dict[tuple, Row]]
    quarantine: list[Row]
    gaps: list[Row]


def load(data: Path, validator: Validator, url: str, run_id: str) -> Stored:
    """Loads every dataset as the raw assets do."""
    data.mkdir(exist_ok=True)
    options = Settings("sandbox", data, start=START, upstreams=url, allow_noncommercial=True, exchanges=("binance",))
    with open_run(
        options, run_id, set(RECORDS), end=NOW, companions=Companions(validator, Upstreams(url), Builder(options))
    ) as run:
        for dataset in LOADED:
            run.ingest.load(dataset)
        tables = {
            table: {
                tuple(row[name] for name in record.grain): {name: row[name] for name in record.values}
                for row in run.warehouse.read(f"SELECT * FROM raw.{table}").to_pylist()
            }
            for table, record in RECORDS.items()
            if table in LOADED or table in DATASET_OF_TABLE
        }
        quarantine = run.warehouse.read("SELECT * FROM raw.quarantine").to_pylist()
        gaps = run.warehouse.read("SELECT * FROM raw.gaps WHERE run_id = ?", [run_id]).to_pylist()
    return Stored(tables, quarantine, gaps)


def in_time(what: Callable[[], Stored]) -> Stored:
    """What `what` returns; a hang is a failure that shows where every thread stands."""
    outcome: list[Stored] = []
    failure: list[BaseException] = []

    def work() -> None:
        try:
            outcome.append(what())
        except BaseException as error:
            failure.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(LONGEST_SECONDS)
    if failure:
        raise failure[0]
    if not outcome:
        stacks = ["".join(traceback.format_stack(frame)[-6:]) for frame in sys._current_frames().values()]
        pytest.fail(f"no end after {LONGEST_SECONDS} s:\n" + "\n".join(stacks))
    return outcome[0]


def set_faults(url: str, rules: list[str], seed: int = 1) -> None:
    body = json.dumps({"faults": rules, "seed": seed}).encode()
    urllib.request.urlopen(f"{url}/_sandbox/faults", body, timeout=10).close()


def fired(url: str) -> Counter[str]:
    with urllib.request.urlopen(f"{url}/_sandbox/log", timeout=10) as answer:
        return Counter(json.load(answer)["fault_kinds"])


# --- what must hold ------------------------------------------------------------------------------


def upstream_of(table: str, row: Row, grain: tuple) -> str:
    return OF_TABLE.get(table) or ("alternative_me" if grain[0] == "FNG" else "fred")


def scope_of(record: Record, grain: tuple) -> str:
    """What was asked for to get this row."""
    named = dict(zip(record.grain, grain, strict=True))
    if record.table == "macro_observations":
        return str(named["series_id"])
    keys = {"spot_flows": "symbol", "order_books": "symbol", "chain_tvl": "chain", "dex_volumes": "chain"}
    return str(named.get(keys.get(record.table, "stablecoin_id"), ""))


def wrong_rows(stored: Stored, clean: Stored) -> list[str]:
    """Rows and values that no clean upstream has, and missing ones that nothing names."""
    found = []
    for table, rows in clean.tables.items():
        record, here = RECORDS[table], stored.tables[table]
        found += [f"{table} {grain}: nobody served it: {here[grain]}" for grain in here.keys() - rows.keys()]
        for grain in here.keys() & rows.keys():
            for name, value in here[grain].items():
                if value != rows[grain][name] and value is not None:
                    found.append(f"{table} {grain} {name}: {value!r} instead of {rows[grain][name]!r}")
        lacking = Counter(scope_of(record, grain) for grain in rows.keys() - here.keys())
        voids = Counter(
            scope_of(record, grain)
            for grain in here.keys() & rows.keys()
            for name, value in here[grain].items()
            if value is None and rows[grain][name] is not None
        )
        for scope, count in (lacking + voids).items():
            if not is_named(stored, record, scope, count):
                found.append(f"{table} {scope}: {lacking[scope]} rows and {voids[scope]} values are missing, unnamed")
    return found


def is_named(stored: Stored, record: Record, scope: str, count: int) -> bool:
    dataset = DATASET_OF_TABLE.get(record.table, record.table)
    gaps = [gap for gap in stored.gaps if gap["dataset"] == dataset]
    if any(gap["scope"] in (scope, "", "every symbol", "every coin") for gap in gaps):
        return True
    refused = [str(row["row_key"]).split() for row in stored.quarantine if row["table_name"] == record.table]
    # A coin that the list refuses is not asked for: its entry in the list names it.
    if record.table in ("stablecoin_supplies", "stablecoin_chain_supplies"):
        listed = [str(row["row_key"]).split() for row in stored.quarantine if row["table_name"] == "stablecoins"]
        if any(scope in key for key in listed):
            return True
    # Rows of a stablecoin are named by its symbol, not by the id that was asked for.
    return len([key for key in refused if scope in key or scope.isdecimal() or not scope]) >= count


def lasting_differences(again: Stored, clean: Stored) -> list[str]:
    found = []
    for table, rows in clean.tables.items():
        here = again.tables[table]
        different = [grain for grain in here.keys() & rows.keys() if here[grain] != rows[grain]]
        for words, grains in [
            ("still missing", rows.keys() - here.keys()),
            ("nobody served it", here.keys() - rows.keys()),
            ("another", different),
        ]:
            found += [f"{table} {grain}: {words}" for grain in sorted(grains, key=str)[:3]]
    return found


# --- fixtures ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def validator() -> Iterator[Validator]:
    with Validator.start() as started:
        yield started


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with sandbox("--size", str(SIZE), "--now", str(NOW), "--weight-limit", "0") as served:
        yield served


@pytest.fixture(scope="module", autouse=True)
def patience() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(http, "LOOPBACK_PATIENCE", PATIENCE)
        yield


@pytest.fixture(scope="module")
def clean(url: str, validator: Validator, tmp_path_factory) -> Stored:
    set_faults(url, [])
    stored = load(tmp_path_factory.mktemp("clean"), validator, url, "clean")
    assert stored.gaps == [] and stored.quarantine == [] and all(stored.tables.values())
    return stored


@contextmanager
def faults(url: str, rules: list[str], seed: int) -> Iterator[None]:
    set_faults(url, rules, seed)
    try:
        yield
    finally:
        set_faults(url, [])


# --- schedules -----------------------------------------------------------------------------------

KINDS = st.one_of(st.just("*"), st.lists(st.sampled_from(PASSING), min_size=1, max_size=3, unique=True).map("|".join))
WHENS = st.one_of(
    st.sampled_from(["0.05", "0.1", "0.2", "0.4"]),
    st.integers(1, 12).map(str),
    st.integers(1, 12).map("{}+".format),
    st.tuples(st.integers(1, 6), st.integers(0, 6)).map(lambda pair: f"{pair[0]}-{sum(pair)}"),
)
RULES = st.builds("{}:{}:{}".format, st.sampled_from(("*", *UPSTREAMS)), KINDS, WHENS)
SCHEDULES = st.tuples(st.lists(RULES, min_size=1, max_size=4), st.integers(1, 10_000))


def check_schedule(rules: list[str], seed: int, url: str, validator: Validator, clean: Stored, folder: Path) -> None:
    with faults(url, rules, seed):
        stored = in_time(lambda: load(folder, validator, url, "faulty"))
    assert (rules, seed, wrong_rows(stored, clean)) == (rules, seed, [])
    again = in_time(lambda: load(folder, validator, url, "again"))
    assert (rules, seed, again.gaps, lasting_differences(again, clean)) == (rules, seed, [], [])


def schedules(count: int):
    """So many schedules, the same ones every time; the simplest failing one is looked for."""
    return settings(
        max_examples=count,
        derandomize=True,
        database=None,
        deadline=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=[HealthCheck.too_slow],
        print_blob=False,
        verbosity=Verbosity.quiet,
    )


@schedules(1)
@given(SCHEDULES)
def test_a_schedule(url, validator, clean, tmp_path_factory, schedule) -> None:
    rules, seed = schedule
    check_schedule(rules, seed, url, validator, clean, tmp_path_factory.mktemp("data"))


@pytest.mark.chaos
@pytest.mark.parametrize(
    "rule",
    [
        *(f"binance:{kind}:klines:1-6" for kind in ("seconds", "microseconds", "mixed-units", "open-bar")),
        *(f"binance:{kind}:klines:1-6" for kind in ("nan", "infinity", "negative", "1e308", "40-digits")),
        *(f"{upstream}:{kind}" for upstream in ("binance", "defillama") for kind in ("duplicated", "triplicated")),
        "coinmetrics:nan:timeseries",
        "coingecko:infinity",
    ],
)
def test_rows_that_went_wrong_come_right(url, validator, clean, tmp_path, rule) -> None:
    """What was refused once is asked for again; what was listed twice is there once."""
    check_schedule([rule], 7, url, validator, clean, tmp_path / "data")


@pytest.mark.chaos
@schedules(200)
@given(SCHEDULES)
def test_two_hundred_schedules(url, validator, clean, tmp_path_factory, schedule) -> None:
    rules, seed = schedule
    check_schedule(rules, seed, url, validator, clean, tmp_path_factory.mktemp("data"))


def test_a_clean_load_is_the_truth(clean) -> None:
    """What the schedules are compared with is what the market says, to the last digit."""
    market = GeneratedMarket(NOW, size=SIZE)
    flows = clean.tables["spot_flows"]
    expected = {}
    for symbol, listed in market.symbols().items():
        bars = market.bars("binance", f"{listed.base}/{listed.quote}", "1d")
        assert bars is not None
        for i, ms in enumerate(bars.times_ms):
            day = date.fromordinal(date(1970, 1, 1).toordinal() + int(ms) // 86_400_000)
            quote, bought = (
                Decimal(int(column[i])).scaleb(-bars.quote_decimals)
                for column in (bars.volume_quote, bars.taker_buy_quote)
            )
            expected["binance", symbol, day] = (quote, bought, int(bars.trades[i]))
    stored = {key: (row["volume_quote"], row["taker_buy_quote"], row["trade_count"]) for key, row in flows.items()}
    assert stored == expected and len(stored) > 3_000


# --- a market that moves between two runs ----------------------------------------------------------


def moved(fault: str, url: str, validator: Validator, folder: Path) -> tuple[Stored, Stored]:
    """A load of the market as it was, and one into the same folder of the market as it is now."""
    set_faults(url, [])
    before = in_time(lambda: load(folder, validator, url, "before"))
    with faults(url, [f"binance:{fault}"], 1):
        after = in_time(lambda: load(folder, validator, url, "after"))
        assert fired(url)[fault.partition("=")[0]] >= 1
    assert after.gaps == [] and (after.quarantine == [] or fault.startswith("hostile"))
    return before, after


def flows_of(stored: Stored, symbol: str) -> dict[date, Row]:
    return {key[2]: row for key, row in stored.tables["spot_flows"].items() if key[1] == symbol}


def listing_of(stored: Stored, symbol: str) -> Row:
    return stored.tables["spot_symbols"]["binance", symbol]


@pytest.mark.chaos
@pytest.mark.parametrize("fault", ["renamed=ETHUSDT", "listed=ETHUSDT"])
def test_a_symbol_is_new_between_two_runs(url, validator, tmp_path, fault) -> None:
    before, after = moved(fault, url, validator, tmp_path)
    assert flows_of(after, "ETH2USDT") == flows_of(before, "ETHUSDT")
    assert flows_of(after, "ETHUSDT").keys() == flows_of(before, "ETHUSDT").keys()
    assert listing_of(after, "ETH2USDT")["base_asset"] == "ETH2"
    assert listing_of(after, "ETHUSDT")["is_listed"] == fault.startswith("listed")


@pytest.mark.chaos
@pytest.mark.parametrize("fault", ["delisted=ETHUSDT", "unlisted=ETHUSDT"])
def test_a_symbol_goes_between_two_runs_and_its_history_stays(url, validator, tmp_path, fault) -> None:
    before, after = moved(fault, url, validator, tmp_path)
    # Who left the list is read from the archive, which says the same of the days that it has.
    flows, earlier = (
        {k: {**row, "source_kind": ""} for k, row in s.tables["spot_flows"].items()} for s in (after, before)
    )
    assert flows == earlier
    assert listing_of(after, "ETHUSDT")["is_listed"] == fault.startswith("delisted")
    assert fault.startswith("unlisted") or not listing_of(after, "ETHUSDT")["is_trading"]


@pytest.mark.chaos
def test_a_ticker_is_another_coin_between_two_runs(url, validator, tmp_path) -> None:
    """The days that were asked once more are what the upstream says now; the others stay."""
    before, after = moved("reused=ETHUSDT", url, validator, tmp_path)
    old, new = flows_of(before, "ETHUSDT"), flows_of(after, "ETHUSDT")
    assert old.keys() == new.keys()
    changed = {day for day in old if old[day] != new[day]}
    assert changed and min(changed) >= NOW - timedelta(days=7)


@pytest.mark.chaos
def test_hostile_symbols_are_stored_as_they_are_spelled_or_refused_by_name(url, validator, tmp_path) -> None:
    before, after = moved("hostile-symbols=ETHUSDT", url, validator, tmp_path)
    refused = {str(row["row_key"]) for row in after.quarantine if row["table_name"] == "spot_symbols"}
    stored = [name for name in HOSTILE if flows_of(after, name)]
    assert refused == {f"binance {name}" for name in HOSTILE if name not in stored}
    for name in stored:
        assert flows_of(after, name) == flows_of(before, "ETHUSDT"), name
        assert listing_of(after, name)["base_asset"] == name.upper()
    others = {key: row for key, row in after.tables["spot_flows"].items() if key[1] not in HOSTILE}
    assert others == before.tables["spot_flows"]
    assert not [path for path in tmp_path.rglob("*") if "passwd" in path.name]


# --- whole commands ------------------------------------------------------------------------------

DAY, FIRST = "2026-11-20", "2026-10-01"
RUN = ("run", "--source", "sandbox", "--end", DAY, "--quiet")
MARKET = ("--now", "2026-11-21", "--weight-limit", "0")
NOT_COMPARED = ("coverage_daily", "data_quality_results", "source_files", "source_spans", "published_headlines")


@dataclass
class Whole:
    """A market that is well, and the published file of a folder that never saw a fault."""

    url: str
    published: Path


@contextmanager
def whole_market(size: int, folder: Path) -> Iterator[Whole]:
    with sandbox(*MARKET, "--size", str(size)) as served:
        run = altflow(*RUN, data=folder, settings={"UPSTREAMS": served, "START": FIRST, "EXCHANGES": "binance"})
        assert run.returncode == 0, run.stdout + run.stderr
        yield Whole(served, folder / "published" / "marts.duckdb")


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Iterator[Whole]:
    with whole_market(20, tmp_path_factory.mktemp("small")) as whole:
        yield whole


@pytest.fixture(scope="module")
def large(tmp_path_factory) -> Iterator[Whole]:
    with whole_market(150, tmp_path_factory.mktemp("large")) as whole:
        yield whole


def uncovered_days(stormy: Path, clean: Path) -> list[tuple]:
    """Days of which the stormy file lacks more symbols than its coverage says, or does not say why."""
    with duckdb.connect() as con:
        for name, path in (("stormy", stormy), ("clean", clean)):
            con.execute(f"ATTACH '{path}' AS {name} (READ_ONLY)")
        return con.execute(
            "WITH lacking AS (SELECT exchange, utc_date, count(*) AS n FROM clean.daily_symbol_flows c ANTI JOIN "
            "stormy.daily_symbol_flows USING (exchange, symbol, utc_date) GROUP BY ALL) "
            "SELECT exchange, utc_date, n, expected_count, present_count, reason FROM lacking LEFT JOIN "
            "stormy.coverage_daily USING (exchange, utc_date) "
            "WHERE reason IS NULL OR reason = 'unknown' OR n > expected_count - present_count ORDER BY ALL"
        ).fetchall()


def storm(whole: Whole, data: Path, rules: list[str], seed: int) -> Counter[str]:
    """One run under the rules and one without them; what fired in the first."""
    published = data / "published" / "marts.duckdb"
    options = {"UPSTREAMS": whole.url, "START": FIRST, "EXCHANGES": "binance"}
    with faults(whole.url, rules, seed):
        run = altflow(*RUN, data=data, settings=options, timeout=240)
        seen = fired(whole.url)
    said = run.stdout + run.stderr
    assert run.returncode in (0, 3), said
    assert "Traceback" not in said, said
    assert ("missing: nothing" in said) == (run.returncode == 0), said
    assert uncovered_days(published, whole.published) == []
    again = altflow(*RUN, data=data, settings=options)
    assert again.returncode == 0, again.stdout + again.stderr
    differing = differences(whole.published, published, provenance=False)
    assert [line for line in differing if not line.startswith(NOT_COMPARED)] == []
    assert standing_headlines(published) == standing_headlines(whole.published)
    return seen


@pytest.mark.chaos
@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_whole_commands_in_a_storm(small, tmp_path, seed) -> None:
    assert storm(small, tmp_path, ["storm"], seed)


@pytest.mark.chaos
@pytest.mark.parametrize("preset", ["flaky-network", "bad-gateway", "bad-data", "rate-limits"])
def test_whole_commands_under_presets(small, tmp_path, preset) -> None:
    assert storm(small, tmp_path, [preset], 1)


LEAVING = ("418", "451", "403-html")
"""After one of these, or two, a client leaves an exchange alone: they come late, so that the others have their turn."""
NOT_IN_KLINES = {"checksum", "header", "repeated-token", "milliseconds"}


@pytest.mark.chaos
def test_a_whole_command_in_a_storm_on_a_market_of_the_usual_size(large, tmp_path) -> None:
    others = "|".join(kind for kind in PASSING if kind not in LEAVING)
    seen = storm(large, tmp_path, [f"*:{others}:0.1", f"binance:{'|'.join(LEAVING)}:klines:150+"], 2026)
    assert len(seen) >= 8, seen


@pytest.mark.chaos
def test_a_whole_command_meets_every_kind(large, tmp_path) -> None:
    kinds = [kind for kind in PASSING if kind not in {*LEAVING, *NOT_IN_KLINES}]
    rules = [f"binance:{kind}:klines:{5 * number}-{5 * number + 2}" for number, kind in enumerate(kinds, 1)]
    seen = storm(large, tmp_path, [*rules, f"binance:{'|'.join(LEAVING)}:klines:{5 * len(rules) + 5}+"], 1)
    assert set(kinds) <= set(seen) and set(seen) & set(LEAVING), set(kinds) - set(seen)
