"""Adding an exchange takes one file (made_up.py), one fixture (made_up.json) and one line of the registry: then it is
in raw, in the marts, in coverage and in the checks, and nothing else had to know of it."""

import io
import json
from contextlib import redirect_stdout
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest

from orchestration import cli
from orchestration.sandbox import delivery
from orchestration.sandbox.generated import GeneratedMarket
from orchestration.sandbox.wire import Reply, json_reply
from orchestration.sources.registry import EXCHANGES
from tests import made_up, test_exchanges
from tests.served import served, upstreams

# A whole run of altflow, with dbt: half a minute that `make test` has not got.
pytestmark = pytest.mark.chaos

START, NOW = date(2023, 1, 10), date(2023, 1, 30)
FIXTURE = json.loads(Path(__file__).with_name("made_up.json").read_text())
LOST, SILENT, LAST = date(2023, 1, 13), date(2023, 1, 16), NOW - timedelta(days=1)
"""No file of LOST is ever there; on SILENT nobody trades SALT; that of LAST is due later than the run."""


def file_of(symbol: str, day: date) -> bytes:
    """The three trades of the fixture on any day: 10 at 2.5 and 0.2 at 2.45 bought by takers, 5 at 2.4 sold."""
    header, *trades = FIXTURE["flows"]["lines"]
    since_ms = (day - made_up.FIRST).days * 86_400_000
    rows = [line.split(",") for line in trades if (symbol, day) != ("SALT_USDT", SILENT)]
    moved = [",".join([number, str(int(ms) + since_ms), *rest]) for number, ms, *rest in rows]
    return "".join(f"{line}\n" for line in (header, *moved)).encode()


class World:
    """The made-up exchange; whatever else is asked goes to a small sandbox."""

    def __init__(self) -> None:
        self.sandbox = upstreams(GeneratedMarket(now=NOW, size=12, start=START))
        self.asked: list[str] = []

    async def __call__(self, scope, receive, send) -> None:
        host, _, path = scope["path"][1:].partition("/")
        if host not in (*made_up.HOST.hosts, *made_up.FILES.hosts):
            return await self.sandbox(scope, receive, send)
        self.asked.append(path)
        await delivery.whole(self.answer(path), send)

    def answer(self, path: str) -> Reply:
        if path == "pairs":
            return json_reply(FIXTURE["symbols"][0])
        symbol, _, name = path.partition("/")
        day = date.fromisoformat(name.removesuffix(".csv"))
        if day == LOST or made_up.due(day).date() >= NOW:
            return json_reply({"error": "no such file"}, 404)
        return Reply(file_of(symbol, day), content_type="text/csv")


@dataclass
class Ran:
    code: int
    said: str
    status: str
    data: Path
    asked: list[str]

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.data / "published" / "marts.duckdb"), read_only=True) as con:
            return con.execute(sql).fetchall()


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """The command itself, in this process, since only here the registry has the line."""
    data = tmp_path_factory.mktemp("made-up") / "data"
    world, said = World(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, served(world) as url, redirect_stdout(said):
        patch.setitem(EXCHANGES, "made_up", made_up.EXCHANGE)
        for name, value in {"DATA_DIR": data, "UPSTREAMS": url, "START": START}.items():
            patch.setenv(f"ALTFLOW_{name}", str(value))
        chosen = ["--end", str(LAST), "--exchange", "made_up", "--exchange", "binance"]
        code = cli.main(["run", "--source", "sandbox", "--quiet", *chosen])
        with redirect_stdout(status := io.StringIO()):
            assert cli.main(["status"]) == 0
    return Ran(code, said.getvalue(), status.getvalue(), data, world.asked)


@pytest.mark.parametrize(
    "promise",
    (
        test_exchanges.test_symbols_are_read_as_pairs,
        test_exchanges.test_takers_buy_and_sell_what_was_worked_out_by_hand,
        test_exchanges.test_a_flipped_side_is_caught,
        test_exchanges.test_every_exchange_says_whose_side_it_names_and_where_that_is_written,
    ),
)
def test_its_fixture_keeps_the_contract_of_all_exchanges(promise, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(EXCHANGES, "made_up", made_up.EXCHANGE)
    monkeypatch.setattr(test_exchanges, "FIXTURES", Path(__file__).parent)
    promise("made_up", **({"tmp_path": tmp_path} if "tmp_path" in promise.__code__.co_varnames else {}))


def test_the_run_is_complete_and_says_what_is_not_there(ran: Ran):
    assert ran.code == 0, ran.said
    assert "missing: nothing that was asked for" in ran.said
    assert "not there: made_up: file missing, days of 2023-01-13 .. 2023-01-14 (excluded)" in ran.said
    assert "not there: made_up: not published yet, days of 2023-01-29 .. 2023-01-30 (excluded)" in ran.said
    assert len(ran.asked) == len(set(ran.asked)) == 1 + 2 * len(days(made_up.FIRST, LAST))


def days(first: date, end: date) -> list[date]:
    return [first + timedelta(days=n) for n in range((end - first).days)]


def test_it_is_in_raw(ran: Ran):
    with duckdb.connect(str(ran.data / "warehouse.duckdb"), read_only=True) as con:
        stored = con.execute(
            "SELECT symbol, utc_date, volume_base, volume_quote, taker_buy_base, taker_buy_quote, trade_count, "
            "open_price, high_price, low_price, close_price, source_kind "
            "FROM raw.spot_flows WHERE exchange = 'made_up' ORDER BY ALL"
        ).fetchall()
        listed = con.execute(
            "SELECT symbol, base_asset, quote_asset, is_trading FROM raw.spot_symbols WHERE exchange = 'made_up' "
            "ORDER BY ALL"
        ).fetchall()
    sums = tuple(map(Decimal, ("15.2", "37.49", "10.2", "25.49")))
    there = [day for day in days(made_up.FIRST, LAST) if day != LOST]
    assert stored == [
        (symbol, day, *sums, 3, 2.5, 2.5, 2.4, 2.45, "trades")
        for symbol in ("PEPPER_USDT", "SALT_USDT")
        for day in there
        if (symbol, day) != ("SALT_USDT", SILENT)
    ]
    assert listed == [("PEPPER_USDT", "PEPPER", "USDT", True), ("SALT_USDT", "SALT", "USDT", True)]


def test_it_is_in_the_marts(ran: Ran):
    found = ran.rows(
        "SELECT base_asset, flow_group, volume_usd, taker_buy_usd, taker_sell_usd, net_taker_usd, trade_count, "
        "close_price, source_kind, trust_tier, count(*) FROM daily_symbol_flows WHERE exchange = 'made_up' "
        "GROUP BY ALL ORDER BY ALL"
    )
    amounts = tuple(map(Decimal, ("37.49", "25.49", "12", "13.49")))
    assert found == [
        ("PEPPER", "ALT", *amounts, 3, 2.45, "trades", "untrusted", 16),
        ("SALT", "ALT", *amounts, 3, 2.45, "trades", "untrusted", 15),
    ]
    counts = ran.rows(
        "SELECT utc_date, exchange_count FROM daily_altcoin_flow "
        "WHERE definition_id = 'rolling_365d.ex_btc_eth.all.all' ORDER BY 1"
    )
    both = set(days(made_up.FIRST, LAST)) - {LOST}
    assert dict(counts) == {day: 1 + (day in both) for day in days(START, NOW)}


def test_it_is_in_coverage(ran: Ran):
    found = ran.rows(
        "SELECT utc_date, expected_count, present_count, reason FROM coverage_daily WHERE exchange = 'made_up' "
        "AND dataset = 'spot_flows' ORDER BY 1"
    )
    special = {
        **{day: (0, 0, "out_of_reach") for day in days(START, made_up.FIRST)},
        LOST: (2, 0, "file_missing"),
        SILENT: (2, 1, "no_trades"),
        LAST: (2, 0, "not_published_yet"),
    }
    assert found == [(day, *special.get(day, (2, 2, None))) for day in days(START, NOW)]


def test_it_is_in_the_status(ran: Ran):
    lines = {" ".join(line.split()) for line in ran.status.splitlines()}
    assert lines >= {
        "made_up trade files 2023-01-28 0 ok 86.11 % 5",
        "not there: made_up file missing: 1 day",
        "not there: made_up not published yet: 1 day",
    }


def test_each_number_leads_to_its_file(ran: Ran):
    day = date(2023, 1, 20)
    found = ran.rows(
        "SELECT s.url, s.upstream, s.status, s.byte_count, s.file_sha256 FROM daily_symbol_flows f "
        f"JOIN source_files s USING (body_sha256) WHERE f.symbol = 'SALT_USDT' AND f.utc_date = '{day}'"
    )
    content = file_of("SALT_USDT", day)
    url = f"https://files.made-up.example/SALT_USDT/{day}.csv"
    assert found == [(url, "made_up", 200, len(content), sha256(content).hexdigest())]


def test_it_is_an_asset_with_its_checks(ran: Ran):
    key = dg.AssetKey(["raw", "spot_flows", "made_up"])
    run_id = json.loads((ran.data / "published" / "manifest.json").read_text())["run_id"]
    with dg.DagsterInstance.from_config(str(ran.data / "dagster")) as instance:
        events = [entry.dagster_event for entry in instance.all_logs(run_id)]
    made = [e for e in events if e and e.is_step_materialization and e.asset_key == key]
    assert len(made) == 1
    assert made[0].step_materialization_data.materialization.metadata["rows_received"].value == 93, (
        "flows, sizes, screens"
    )
    judged = {
        e.asset_check_evaluation_data.check_name: e.asset_check_evaluation_data
        for e in events
        if e and e.event_type_value == "ASSET_CHECK_EVALUATION" and e.asset_check_evaluation_data.asset_key == key
    }
    assert {name: check.passed for name, check in judged.items()} == {
        "upstream_answered": True,
        "expectations_hold": True,
    }
    assert judged["expectations_hold"].metadata["rows_checked"].value == 31
