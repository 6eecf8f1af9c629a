"""Checks as rows and restatements as rows: what was changed upstream is told with both values, and nothing else is."""

import csv
import gzip
import hashlib
import re
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from orchestration import publish
from orchestration.records import LOOKS, RECORDS, SPOT_FLOWS
from orchestration.settings import Settings
from orchestration.sources.body import Refused, Window
from orchestration.warehouse import Arrived, Delivery, Warehouse
from tests import raw_market

COLUMNS = {
    "volume_quote": "quote_volume",
    "taker_buy_quote": "taker_buy_quote",
    "trade_count": "trades",
}
LAST = date(2022, 3, 31)
CENTS = Decimal(1).scaleb(-8)


def restatements(market: Path) -> list[dict[str, str]]:
    with gzip.open(market / "binance" / "spot" / "restatements.csv.gz", "rt") as file:
        return list(csv.DictReader(file))


def flows(restated: list[dict[str, str]], when: str) -> list[dict]:
    """Rows of SPOT_FLOWS with the first or the later values, and the day before each, which nobody changed."""
    rows = []
    for each in restated:
        day = date.fromisoformat(each["date"])
        values = {column: Decimal(each[f"{name}_{when}"]) for column, name in COLUMNS.items() if name != "trades"}
        values |= {"trade_count": int(each[f"trades_{when}"])}
        rows.append({"symbol": each["symbol"], "utc_date": day, **values})
        rows.append({"symbol": each["symbol"], "utc_date": day - timedelta(days=1), **dict.fromkeys(COLUMNS, 7)})
    return rows


def delivery(rows: list[dict], body: str, refused: list[Refused]) -> Delivery:
    plain = {pa.string(): "1", pa.float64(): 1.0, pa.int64(): 1}
    row = {field.name: plain.get(field.type, Decimal(1)) for field in SPOT_FLOWS.schema}
    row |= {"exchange": "binance", "source_kind": "klines", "body_sha256": body}
    days = [each["utc_date"] for each in rows]
    window = Window(min(days), max(days) + timedelta(days=1))
    arrived = [Arrived(("binance", symbol), window) for symbol in sorted({each["symbol"] for each in rows})]
    table = pa.Table.from_pylist([row | each for each in rows], schema=SPOT_FLOWS.schema)
    return Delivery(SPOT_FLOWS, table, arrived, "binance", "spot_flows", refused=refused)


@pytest.fixture(scope="module")
def restated(market: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    """The recorded restatements: first values, then later ones; and two rows in quarantine, one put right since."""
    data = tmp_path_factory.mktemp("restated")
    settings = Settings("sandbox", data, start=date(2020, 10, 1))
    warehouse = Warehouse(settings.warehouse_path)
    warehouse.prepare(settings)
    told = restatements(market)
    symbols = sorted({each["symbol"] for each in told})
    with warehouse.open() as con:
        con.executemany(
            "INSERT INTO raw.spot_symbols SELECT 'binance', s, s[:-5], 'USDT', 'TRADING', true, true, 'b', 1, "
            "now()::TIMESTAMP FROM (SELECT ? AS s)",
            [[symbol] for symbol in symbols],
        )
    first = flows(told, "first")
    lost = date(2020, 10, 2)
    refused = [
        Refused("spot_flows", f"binance {symbol} {day}", "R4 volume_quote: why", "{}", "0" * 64, day)
        for symbol, day in ((symbols[0], first[0]["utc_date"]), (symbols[0], lost))
    ]
    warehouse.replace_window(delivery(first, "1" * 64, refused), "first")
    warehouse.replace_window(delivery(flows(told, "later"), "2" * 64, []), "second")
    warehouse.begin_run("second", settings, Window(settings.start, LAST + timedelta(days=1)), "x")
    raw_market.build(data, ["--exclude-resource-type", "test", "--select", "+revisions", "+dq_revisions", "+dq_bars"])
    with duckdb.connect(str(data / "warehouse.duckdb"), read_only=True) as con:
        yield con


def test_every_recorded_restatement_is_told_with_both_values_and_nothing_else_is(restated, market: Path):
    told = restatements(market)
    assert len(told) == 113
    wanted = {
        (f"binance {each['symbol']} {each['date']}", column): (first, later)
        for each in told
        for column, name in COLUMNS.items()
        if (first := Decimal(each[f"{name}_first"])) != (later := Decimal(each[f"{name}_later"]))
    }
    rows = restated.execute("SELECT row_key, column_name, old_value, new_value FROM marts.revisions").fetchall()
    assert {(key, column): (Decimal(old), Decimal(new)) for key, column, old, new in rows} == wanted
    assert len(rows) == len(wanted) > 113
    assert len({key for key, *_ in rows}) == 113, "a restated day is lacking"
    cited = restated.execute("SELECT DISTINCT table_name, body_sha256 FROM marts.revisions").fetchall()
    assert cited == [("spot_flows", "2" * 64)]


def test_the_impact_of_a_restatement_is_that_on_the_net_flow(restated, market: Path):
    rows = restated.execute("SELECT row_key, sum(impact_usd) FROM marts.revisions GROUP BY 1").fetchall()
    wanted = {}
    for each in restatements(market):
        volume, bought = (
            Decimal(each[f"{name}_later"]) - Decimal(each[f"{name}_first"])
            for name in ("quote_volume", "taker_buy_quote")
        )
        wanted[f"binance {each['symbol']} {each['date']}"] = (2 * bought - volume).quantize(CENTS)
    assert dict(rows) == wanted
    # What lies in the 365 days that end with the run, of altcoins, moved the headline.
    moved = sum(
        impact
        for key, impact in wanted.items()
        if date.fromisoformat(key.split()[2]) > LAST - timedelta(days=365) and key.split()[1] not in NO_ALTCOINS
    )
    (scope, passed, rows_changed, impact) = restated.execute(
        "SELECT scope, passed, value, impact_usd FROM quality.dq_revisions"
    ).fetchall()[0]
    assert (scope, passed, rows_changed, impact) == ("spot_flows", True, 113, moved)


NO_ALTCOINS = {"BTCUSDT", "ETHUSDT", "PAXGUSDT"}


def test_a_row_that_was_put_right_is_no_longer_told_as_lost(restated):
    rows = restated.execute("SELECT utc_date, value, passed FROM quality.dq_bars WHERE scope LIKE '%quarantine'")
    assert rows.fetchall() == [(date(2020, 10, 2), 1, False)]


def test_revisions_know_the_tables_that_are_dated(root: Path):
    text = (root / "dbt_project/models/intermediate/int_revisions_listed.sql").read_text()
    told = dict(re.findall(r"    '(\w+)': \[\n(.*?)\n    \],", text, re.DOTALL))
    dated = {name: record for name, record in RECORDS.items() if record.date and name not in LOOKS}
    assert told.keys() == dated.keys()
    for name, record in dated.items():
        names = " ".join(re.findall(r"'([^']*)'", told[name])).split()
        assert names == [*record.grain, *(value for value in record.values if not value.endswith("_text"))]


def test_hours_sum_to_days(market: Path):
    """R3 where hours were recorded: BTCUSDT, SOLUSDT and DOGEUSDT in 2024."""
    spot = market / "binance" / "spot"
    sums = ", ".join(
        f"sum({column}::DECIMAL(38, 8)) AS {column}"
        for column in ("volume", "quote_volume", "taker_buy_base", "taker_buy_quote", "trades")
    )
    query = f"SELECT symbol, epoch_ms(open_time)::DATE AS day, {sums} FROM '{spot}/{{}}' GROUP BY ALL"
    with duckdb.connect() as con:
        hours = f"({query.format('klines_1h.parquet')})"
        days = f"({query.format('klines_1d.parquet')})"
        count = con.execute(f"SELECT count(*) FROM {hours} SEMI JOIN {days} AS d USING (symbol, day)").fetchall()
        wrong = con.execute(
            f"SELECT h.symbol, h.day FROM {hours} h JOIN {days} d USING (symbol, day) WHERE "
            + " OR ".join(
                f"abs(h.{column} - d.{column}) > 1e-9 * d.{column}"
                for column in ("volume", "quote_volume", "taker_buy_base", "taker_buy_quote", "trades")
            )
        ).fetchall()
    assert count[0][0] > 1000 and wrong == []


# --- what stood published


def headlines(settings: Settings, query: str) -> list[tuple]:
    with publish.open_published(settings) as con:
        return con.execute(query).fetchall()


NOW = "SELECT definition_id, utc_date, window_net_taker_usd FROM daily_altcoin_flow ORDER BY ALL"
AS_OF = "SELECT definition_id, utc_date, value FROM flow_as_of(DATE '{}') ORDER BY ALL"


@pytest.mark.chaos
def test_what_stood_published_on_a_day_stands_after_restatements_and_new_seeds(tmp_path: Path, monkeypatch):
    """Three days: a market, one day restated, a coin of another class. What each day published is asked for at the
    end; and one number of the log is changed by hand, which R24 tells."""
    settings = Settings("sandbox", tmp_path, start=raw_market.START)
    warehouse = Warehouse(settings.warehouse_path)
    raw_market.make(tmp_path)
    steps = {
        "2025-07-01": [],
        "2025-07-02": [
            "UPDATE raw.spot_flows SET taker_buy_quote = 1, load_id = 2 "
            "WHERE symbol = 'SOLUSDT' AND utc_date = '2025-06-29'"
        ],
        "2025-07-03": ["UPDATE seeds.asset_classification SET asset_class = 'stablecoin' WHERE asset = 'ADA'"],
    }
    stood = {}
    for day, statements in steps.items():
        moment = datetime.fromisoformat(f"{day} 00:40:00")
        monkeypatch.setattr(Warehouse, "now", lambda self, moment=moment: moment)
        raw_market.execute(tmp_path, *statements)
        seeds = raw_market.TABLES if stood else ["--exclude-resource-type", "test"]
        raw_market.build(tmp_path, ["--full-refresh", *seeds])
        publish.publish(warehouse, settings, f"run of {day}")
        stood[day] = headlines(settings, NOW)
    assert len({hashlib.sha256(repr(rows).encode()).hexdigest() for rows in stood.values()}) == 3
    for day, rows in stood.items():
        assert headlines(settings, AS_OF.format(day)) == rows, day
    replay = "SELECT utc_date, passed, value, impact_usd FROM quality.dq_replays ORDER BY 1"
    assert warehouse.read(replay).to_pylist() == [
        {"utc_date": date(2025, 7, 3), "passed": True, "value": 0.0, "impact_usd": Decimal("0E-8")}
    ]
    # The snapshot of the second day replayed the first.
    told = headlines(settings, "SELECT DISTINCT utc_date, passed FROM data_quality_results WHERE check_id = 'R24'")
    assert told == [(date(2025, 7, 2), True)]
    raw_market.execute(
        tmp_path,
        "UPDATE raw.published_headlines SET value = value + 5 WHERE run_id = 'run of 2025-07-02' AND "
        "definition_id = 'rolling_365d.ex_btc_eth.all.all' AND utc_date = '2025-06-30'",
    )
    failing = warehouse.read(replay).to_pylist()
    assert [(row["utc_date"], row["passed"], row["value"]) for row in failing] == [
        (date(2025, 7, 2), False, 1),
        (date(2025, 7, 3), True, 0),
    ]
    assert failing[0]["impact_usd"] == 5


@pytest.mark.chaos
def test_an_exchange_that_stops_falls_out_of_coverage_and_is_no_longer_fresh(tmp_path: Path):
    raw_market.make(tmp_path)
    raw_market.execute(tmp_path, "DELETE FROM raw.spot_flows WHERE exchange = 'okx' AND utc_date > '2025-06-20'")
    raw_market.build(tmp_path, ["--exclude-resource-type", "test", "--select", "+dq_coverage"])
    with duckdb.connect(str(tmp_path / "warehouse.duckdb"), read_only=True) as con:
        coverage = con.execute(
            "SELECT utc_date, coverage_ratio FROM marts.coverage_daily WHERE exchange = 'okx' "
            "AND utc_date IN ('2025-06-20', '2025-06-21') ORDER BY 1"
        ).fetchall()
        age = con.execute(
            "SELECT passed, value, threshold FROM quality.dq_coverage WHERE check_id = 'R27' AND scope = 'okx'"
        ).fetchall()
    assert coverage == [(date(2025, 6, 20), 1.0), (date(2025, 6, 21), 0.0)]
    assert age == [(False, 10, 3)]
