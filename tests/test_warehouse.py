"""The warehouse: rows are replaced, never appended; a kill leaves nothing; one writer at a time."""

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest

from orchestration import schema
from orchestration.archive import Asked, Entry
from orchestration.records import RECORDS, SPOT_FLOWS, SPOT_SYMBOLS, STABLECOIN_TOTALS, STABLECOINS, Record
from orchestration.settings import Settings
from orchestration.sources.body import Body, Refused, Window
from orchestration.warehouse import (
    FOREVER,
    Arrived,
    Delivery,
    Gap,
    Lock,
    LockHeld,
    Replaced,
    Shrunk,
    Warehouse,
    WarehouseError,
    lock_holder,
)

FIRST = date(2026, 3, 1)


def window(start: int, end: int) -> Window:
    return Window(FIRST + timedelta(days=start), FIRST + timedelta(days=end))


def table(record: Record, rows: list[dict]) -> pa.Table:
    """Rows of a record: what a row does not say is the type's plainest value."""
    plain = {pa.string(): "x", pa.date32(): FIRST, pa.float64(): 1.0, pa.int64(): 1, pa.bool_(): True}
    defaults = {field.name: plain.get(field.type, Decimal(1)) for field in record.schema}
    return pa.Table.from_pylist([defaults | row for row in rows], schema=record.schema)


def flow(
    day: int, symbol: str = "SOLUSDT", volume: str = "10", body: str = "a" * 64, exchange: str = "binance"
) -> dict:
    return {
        "exchange": exchange,
        "symbol": symbol,
        "utc_date": FIRST + timedelta(days=day),
        "volume_quote": Decimal(volume),
        "body_sha256": body,
    }


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(source="sandbox", data_dir=tmp_path / "data")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty warehouse to copy: making one takes longer than most tests here."""
    path = tmp_path_factory.mktemp("prepared") / "warehouse.duckdb"
    Warehouse(path).prepare(Settings(source="sandbox", data_dir=path.parent))
    return path


@pytest.fixture
def warehouse(prepared: Path, settings: Settings) -> Warehouse:
    settings.data_dir.mkdir()
    shutil.copy(prepared, settings.warehouse_path)
    return Warehouse(settings.warehouse_path)


def flows(rows: list[dict], start: int, end: int, symbols: tuple[str, ...] = ("SOLUSDT",), **options) -> Delivery:
    arrived = [Arrived(("binance", symbol), window(start, end)) for symbol in symbols]
    return Delivery(SPOT_FLOWS, table(SPOT_FLOWS, rows), arrived, "binance", "spot_flows", **options)


def counts(done: Replaced) -> tuple[int, int, int, int]:
    return done.received, done.inserted, done.changed, done.deleted


def rows(warehouse: Warehouse, sql: str) -> list[tuple]:
    return [tuple(row.values()) for row in warehouse.read(sql).to_pylist()]


def stored(warehouse: Warehouse) -> list[tuple]:
    sql = "SELECT symbol, utc_date, volume_quote, body_sha256, load_id FROM raw.spot_flows ORDER BY ALL"
    return rows(warehouse, sql)


def everything(warehouse: Warehouse) -> dict[str, list[tuple]]:
    """All rows of schema raw."""
    with warehouse.open() as con:
        names = con.execute("SELECT table_name FROM duckdb_tables() WHERE schema_name = 'raw'").fetchall()
        return {name: con.execute(f"FROM raw.{name} ORDER BY ALL").fetchall() for (name,) in names}


# --- the tables are the records


@pytest.mark.parametrize("name", RECORDS)
def test_tables_have_the_columns_of_their_record(name: str, warehouse: Warehouse):
    sql = f"SELECT column_name, data_type, is_nullable FROM duckdb_columns() WHERE table_name = '{name}'"
    found = {column: (kind, nullable) for column, kind, nullable in rows(warehouse, sql)}
    wanted = {f.name: (schema.TYPES.get(f.type, "DECIMAL(38,12)"), f.nullable) for f in RECORDS[name].schema}
    assert found == wanted | {"load_id": ("BIGINT", False), "loaded_at": ("TIMESTAMP", False)}


def test_every_record_has_a_grain_among_columns_that_are_never_null():
    for record in RECORDS.values():
        keys = [record.schema.field(name) for name in record.grain]
        assert keys and not any(key.nullable for key in keys), record.table
        assert set(record.scope) <= set(record.grain) and (record.date is None or record.date in record.grain)


# --- replaced, never appended


def test_writing_twice_is_writing_once(warehouse: Warehouse):
    delivery = flows([flow(0), flow(1)], 0, 3)
    assert counts(warehouse.replace_window(delivery, "r1")) == (2, 2, 0, 0)
    before = stored(warehouse)
    assert counts(warehouse.replace_window(delivery, "r2")) == (2, 0, 0, 0)
    assert stored(warehouse) == before
    assert rows(warehouse, "SELECT count(*) FROM raw.changes") == [(2,)]
    assert rows(warehouse, "SELECT count(*) FROM raw.spot_flows_history") == [(0,)]


def test_two_windows_are_one_window(warehouse: Warehouse, settings: Settings):
    other = Warehouse(settings.data_dir / "other.duckdb")
    shutil.copy(warehouse.path, other.path)
    whole = [flow(day, symbol) for symbol in ("SOLUSDT", "XRPUSDT") for day in range(10)]
    warehouse.replace_window(flows(whole, 0, 10, ("SOLUSDT", "XRPUSDT")), "r")
    for symbol, start, end in (("XRPUSDT", 4, 10), ("SOLUSDT", 0, 7), ("SOLUSDT", 7, 10), ("XRPUSDT", 0, 4)):
        part = [r for r in whole if r["symbol"] == symbol and start <= (r["utc_date"] - FIRST).days < end]
        other.replace_window(flows(part, start, end, (symbol,)), "r")
    ids = "SELECT * EXCLUDE (load_id, loaded_at) FROM raw.spot_flows ORDER BY ALL"
    assert rows(warehouse, ids) == rows(other, ids)
    asked = "SELECT * EXCLUDE (answered_at) FROM raw.asked ORDER BY ALL"
    assert rows(warehouse, asked) == rows(other, asked)
    assert len(rows(other, asked)) == 2


def test_neighbouring_windows_and_symbols_are_left_alone(warehouse: Warehouse):
    warehouse.replace_window(flows([flow(0), flow(1), flow(2)], 0, 3), "r")
    warehouse.replace_window(flows([flow(1, "XRPUSDT")], 1, 2, ("XRPUSDT",)), "r")
    warehouse.replace_window(flows([], 1, 2), "r")
    assert [(s, d.day) for s, d, *_ in stored(warehouse)] == [("SOLUSDT", 1), ("SOLUSDT", 3), ("XRPUSDT", 2)]


def test_an_unchanged_row_keeps_its_load_and_the_body_it_first_came_from(warehouse: Warehouse):
    warehouse.replace_window(flows([flow(0), flow(1)], 0, 2), "r1")
    done = warehouse.replace_window(flows([flow(0, body="b" * 64), flow(1, volume="11", body="b" * 64)], 0, 2), "r2")
    assert counts(done) == (2, 0, 1, 0)
    kept, changed = stored(warehouse)
    assert (kept[3], kept[4]) == ("a" * 64, 1)
    assert (changed[2], changed[3], changed[4]) == (Decimal(11), "b" * 64, done.load_id)


def test_a_changed_row_leaves_its_old_values_in_history(warehouse: Warehouse):
    warehouse.replace_window(flows([flow(0), flow(1)], 0, 2), "r1")
    done = warehouse.replace_window(flows([flow(0), flow(1, volume="11", body="b" * 64)], 0, 2), "r2")
    history = "SELECT utc_date, volume_quote, body_sha256, load_id, replaced_by_load_id FROM raw.spot_flows_history"
    assert rows(warehouse, history) == [(FIRST + timedelta(days=1), Decimal(10), "a" * 64, 1, done.load_id)]
    changes = f"SELECT table_name, exchange, utc_date FROM raw.changes WHERE load_id = {done.load_id}"
    assert rows(warehouse, changes) == [("spot_flows", "binance", FIRST + timedelta(days=1))]


@pytest.mark.parametrize("column", ["taker_buy_quote", "close_price_text", "trade_count"])
def test_null_is_another_value(column: str, warehouse: Warehouse):
    warehouse.replace_window(flows([flow(0)], 0, 1), "r")
    assert counts(warehouse.replace_window(flows([flow(0) | {column: None}], 0, 1), "r")) == (1, 0, 1, 0)
    assert counts(warehouse.replace_window(flows([flow(0) | {column: None}], 0, 1), "r")) == (1, 0, 0, 0)
    assert counts(warehouse.replace_window(flows([flow(0)], 0, 1), "r")) == (1, 0, 1, 0)


def test_a_vanished_row_goes_to_history(warehouse: Warehouse):
    warehouse.replace_window(flows([flow(0), flow(1)], 0, 2), "r1")
    done = warehouse.replace_window(flows([flow(0)], 0, 2), "r2")
    assert counts(done) == (1, 0, 0, 1)
    assert [d for _, d, *_ in stored(warehouse)] == [FIRST]
    history = "SELECT utc_date, replaced_by_load_id FROM raw.spot_flows_history"
    assert rows(warehouse, history) == [(FIRST + timedelta(days=1), done.load_id)]
    assert rows(warehouse, f"SELECT utc_date FROM raw.changes WHERE load_id = {done.load_id}") == [
        (FIRST + timedelta(days=1),)
    ]


def test_a_day_restated_back_and_forth_is_told_in_order(warehouse: Warehouse):
    for volume in ("10", "11", "10", "10", "12"):
        warehouse.replace_window(flows([flow(0, volume=volume)], 0, 1), "r")
    history = "SELECT volume_quote::INT FROM raw.spot_flows_history ORDER BY replaced_by_load_id"
    assert rows(warehouse, history) == [(10,), (11,), (10,)]


def test_a_load_says_what_it_did(warehouse: Warehouse):
    warehouse.replace_window(flows([flow(0), flow(1)], 0, 2, rounded_count=3), "r1")
    warehouse.replace_window(flows([flow(1, volume="11")], 0, 3), "r2")
    sql = "SELECT load_id, run_id, scope, start_date, end_date, received_count, inserted_count, changed_count, "
    sql += "deleted_count, rounded_count FROM raw.loads ORDER BY 1"
    assert rows(warehouse, sql) == [
        (1, "r1", "binance SOLUSDT", FIRST, FIRST + timedelta(days=2), 2, 2, 0, 0, 3),
        (2, "r2", "binance SOLUSDT", FIRST, FIRST + timedelta(days=3), 1, 0, 1, 1, 0),
    ]


def test_amounts_are_stored_to_the_last_decimal(warehouse: Warehouse):
    exact = "12345678901234567890123456.123456789012"
    warehouse.replace_window(flows([flow(0, volume=exact)], 0, 1), "r")
    assert stored(warehouse)[0][2] == Decimal(exact)


# --- what is refused as a whole


def test_an_answer_that_lacks_much_of_what_is_stored_is_not_loaded(warehouse: Warehouse):
    warehouse.replace_window(flows([flow(day) for day in range(150)], 0, 150), "r")
    before = everything(warehouse)
    with pytest.raises(Shrunk, match="binance spot_flows: the answer lacks 101 of 150 stored rows; not loaded"):
        warehouse.replace_window(flows([flow(day) for day in range(49)], 0, 150), "r")
    assert everything(warehouse) == before
    assert counts(warehouse.replace_window(flows([flow(day) for day in range(50)], 0, 150), "r"))[3] == 100


def test_few_of_very_many_rows_may_vanish(warehouse: Warehouse):
    many = tuple(f"S{n}" for n in range(30))
    whole = [flow(day, symbol) for symbol in many for day in range(100)]
    warehouse.replace_window(flows(whole, 0, 100, many), "r")
    with pytest.raises(Shrunk):
        warehouse.replace_window(flows(whole[151:], 0, 100, many), "r")
    assert counts(warehouse.replace_window(flows(whole[150:], 0, 100, many), "r"))[3] == 150


@pytest.mark.parametrize(
    ("delivered", "message"),
    [
        ([flow(0), flow(0, volume="11")], "SOLUSDT 2026-03-01 arrived twice"),
        ([flow(0), flow(3)], "SOLUSDT 2026-03-04 lies outside"),
        ([flow(-1)], "SOLUSDT 2026-02-28 lies outside"),
        ([flow(0, "XRPUSDT")], "XRPUSDT 2026-03-01 lies outside"),
        ([flow(0, exchange="okx")], "okx SOLUSDT 2026-03-01 lies outside"),
    ],
)
def test_nonsense_is_refused_and_nothing_is_written(delivered: list[dict], message: str, warehouse: Warehouse):
    warehouse.replace_window(flows([flow(1)], 0, 3), "r")
    before = everything(warehouse)
    with pytest.raises(WarehouseError, match=message):
        warehouse.replace_window(flows(delivered, 0, 3), "r")
    assert everything(warehouse) == before


def test_refused_rows_are_kept_once_with_their_reason(warehouse: Warehouse):
    bad = Refused("spot_flows", "binance SOLUSDT 1", "volume_quote 'NaN' is not a finite number", "[1]", "a" * 64)
    other = replace(bad, reason="another")
    for refused in ([bad], [bad], [bad, other]):
        warehouse.replace_window(flows([flow(0)], 0, 2, refused=refused), "r")
    sql = "SELECT row_key, reason, row_json, body_sha256 FROM raw.quarantine ORDER BY reason DESC"
    key = "binance SOLUSDT 1"
    assert rows(warehouse, sql) == [(key, bad.reason, "[1]", "a" * 64), (key, "another", "[1]", "a" * 64)]


def test_bodies_are_indexed_once_with_the_rows_that_cite_them(warehouse: Warehouse):
    body = Body("binance", "spot_flows", "https://b.example/k", 200, datetime(2026, 3, 8), b"[1]", {"symbol": "SOL"})
    entry = Entry(body, Asked("SOLUSDT", window(0, 2), 0, 1, 1), "binance/2026-03/r1.pack", 100, 12)
    later = replace(entry, pack="binance/2026-03/r2.pack")
    for each in (entry, entry, later):
        warehouse.replace_window(flows([flow(0, body=body.sha256)], 0, 2, entries=[each, each]), "r")
    sql = "SELECT pack, pack_offset, pack_length, byte_count, url, context FROM raw.source_files"
    wanted = ("binance/2026-03/r1.pack", 100, 12, 3, body.url, '{"symbol": "SOL"}')
    assert rows(warehouse, sql) == [wanted]


# --- tables that are replaced whole


def symbols(*names: str, trading: bool = True) -> Delivery:
    listed = [{"exchange": "binance", "symbol": name, "is_trading": trading} for name in names]
    arrived = [Arrived(("binance",), FOREVER)]
    return Delivery(
        SPOT_SYMBOLS, table(SPOT_SYMBOLS, listed), arrived, "binance", "spot_symbols", carry_forward="is_listed"
    )


def test_a_symbol_that_vanishes_stays_and_is_flagged(warehouse: Warehouse):
    warehouse.replace_window(symbols("A", "B"), "r1")
    done = warehouse.replace_window(symbols("A", "C"), "r2")
    assert counts(done) == (2, 1, 1, 0)
    listing = "SELECT symbol, is_listed, is_trading FROM raw.spot_symbols ORDER BY 1"
    assert rows(warehouse, listing) == [("A", True, True), ("B", False, True), ("C", True, True)]
    assert warehouse.trading_symbols("binance") == ["A", "C"]
    assert counts(warehouse.replace_window(symbols("A", "C"), "r3")) == (2, 0, 0, 0)
    assert counts(warehouse.replace_window(symbols("A", "B", "C"), "r4")) == (3, 0, 1, 0)
    assert warehouse.trading_symbols("binance") == ["A", "B", "C"]
    assert rows(warehouse, "SELECT symbol, is_listed FROM raw.spot_symbols_history ORDER BY load_id") == [
        ("B", True),
        ("B", False),
    ]


def test_another_exchanges_symbols_are_not_touched(warehouse: Warehouse):
    warehouse.replace_window(symbols("A"), "r")
    okx = table(SPOT_SYMBOLS, [{"exchange": "okx", "symbol": "Z"}])
    delivery = Delivery(
        SPOT_SYMBOLS, okx, [Arrived(("okx",), FOREVER)], "okx", "spot_symbols", carry_forward="is_listed"
    )
    warehouse.replace_window(delivery, "r")
    listing = rows(warehouse, "SELECT exchange, symbol, is_listed FROM raw.spot_symbols ORDER BY 1")
    assert listing == [("binance", "A", True), ("okx", "Z", True)]


def test_a_table_without_scope_and_date_is_replaced_whole(warehouse: Warehouse):
    for names in (("1", "2"), ("2", "3")):
        coins = table(STABLECOINS, [{"stablecoin_id": name} for name in names])
        warehouse.replace_window(Delivery(STABLECOINS, coins, [Arrived((), FOREVER)], "defillama", "stablecoins"), "r")
    assert rows(warehouse, "SELECT stablecoin_id FROM raw.stablecoins ORDER BY 1") == [("2",), ("3",)]
    assert rows(warehouse, "SELECT stablecoin_id FROM raw.stablecoins_history") == [("1",)]
    assert rows(warehouse, "SELECT DISTINCT exchange, utc_date FROM raw.changes") == [("defillama", None)]


def test_a_table_without_scope_keeps_what_lies_outside_of_the_window(warehouse: Warehouse):
    for end in (5, 3):
        points = table(STABLECOIN_TOTALS, [{"utc_date": FIRST + timedelta(days=n)} for n in range(end - 1)])
        arrived = [Arrived((), Window(FOREVER.start, FIRST + timedelta(days=end)))]
        done = warehouse.replace_window(
            Delivery(STABLECOIN_TOTALS, points, arrived, "defillama", "stablecoin_totals"), "r"
        )
    assert counts(done) == (2, 0, 0, 1)
    days = rows(warehouse, "SELECT utc_date FROM raw.stablecoin_totals ORDER BY 1")
    assert [day.day for (day,) in days] == [1, 2, 4]


# --- what was asked, what is missing


@pytest.mark.parametrize(
    ("parts", "islands"),
    [
        ([(0, 3), (3, 5)], [(0, 5)]),
        ([(3, 5), (0, 3)], [(0, 5)]),
        ([(0, 3), (4, 5)], [(0, 3), (4, 5)]),
        ([(0, 3), (4, 5), (2, 4)], [(0, 5)]),
        ([(0, 10), (2, 3), (5, 6), (10, 11)], [(0, 11)]),
        ([(0, 2), (4, 6), (8, 10), (1, 9)], [(0, 10)]),
        ([(0, 3), (0, 3)], [(0, 3)]),
    ],
)
def test_answered_windows_merge_where_they_touch(
    parts: list[tuple[int, int]], islands: list[tuple[int, int]], warehouse: Warehouse
):
    warehouse.replace_window(flows([], 50, 60, ("OTHER",)), "r")
    for start, end in parts:
        warehouse.replace_window(flows([], start, end), "r")
    answered = warehouse.asked("binance", "spot_flows")
    assert answered == {"SOLUSDT": [window(*island) for island in islands], "OTHER": [window(50, 60)]}
    assert warehouse.asked("okx", "spot_flows") == {} == warehouse.asked("binance", "spot_symbols")


def test_windows_that_arrive_together_merge_too(warehouse: Warehouse):
    arrived = [Arrived(("binance", "SOLUSDT"), window(*part)) for part in ((0, 2), (2, 4), (6, 8))]
    delivery = Delivery(SPOT_FLOWS, table(SPOT_FLOWS, [flow(1), flow(6)]), arrived, "binance", "spot_flows")
    assert counts(warehouse.replace_window(delivery, "r")) == (2, 2, 0, 0)
    assert warehouse.asked("binance", "spot_flows")["SOLUSDT"] == [window(0, 4), window(6, 8)]


def test_gaps_are_told_by_upstream_and_reason(warehouse: Warehouse):
    flow_gaps = [
        Gap("binance", "spot_flows", symbol, window(0, 7), "failed", f"{symbol}: HTTP 500")
        for symbol in ("SOLUSDT", "XRPUSDT")
    ]
    series = Gap("fred", "macro_observations", "M2SL", FOREVER, "out_of_reach", "blocked")
    warehouse.note_gaps("r1", flow_gaps)
    warehouse.note_gaps("r1", [series])
    warehouse.note_gaps("r2", [replace(series, reason="failed", message="HTTP 500")])
    warehouse.note_gaps("r2", [])
    assert warehouse.gaps("r1") == [
        {
            "upstream": "binance",
            "dataset": "spot_flows",
            "reason": "failed",
            "count": 2,
            "first_scope": "SOLUSDT",
            "message": "SOLUSDT: HTTP 500",
        },
        {
            "upstream": "fred",
            "dataset": "macro_observations",
            "reason": "out_of_reach",
            "count": 1,
            "first_scope": "M2SL",
            "message": "blocked",
        },
    ]
    assert warehouse.gaps("r3") == []


def test_a_run_spans_what_is_asked_and_what_is_stored(warehouse: Warehouse, settings: Settings):
    warehouse.begin_run("r1", settings, window(0, 5), "abc")
    warehouse.replace_window(flows([flow(0), flow(4)], 0, 5), "r1")
    warehouse.begin_run("r2", settings, window(2, 3), "abc")
    warehouse.begin_run("r3", settings, window(2, 9), "abc")
    spans = rows(warehouse, "SELECT run_id, first_date, last_date, synthetic FROM raw.runs ORDER BY started_at")
    assert [(run, first.day, last.day) for run, first, last, _ in spans] == [("r1", 1, 5), ("r2", 1, 5), ("r3", 1, 9)]
    assert all(synthetic for *_, synthetic in spans)


# --- the folder


def test_a_prepared_folder_may_be_prepared_again(warehouse: Warehouse, settings: Settings):
    warehouse.replace_window(flows([flow(0)], 0, 1), "r")
    before = everything(warehouse)
    warehouse.prepare(settings)
    assert everything(warehouse) == before


@pytest.mark.parametrize("other", [{"source": "live"}, {"source": "recorded", "market_dir": Path("/m/2024")}])
def test_a_folder_of_another_source_is_refused(other: dict, warehouse: Warehouse, settings: Settings):
    with pytest.raises(WarehouseError) as caught:
        warehouse.prepare(replace(settings, **other))
    message = str(caught.value)
    assert f"{settings.data_dir} belongs to source sandbox, this run is {other['source']}" in message
    assert f"set ALTFLOW_DATA_DIR to another folder, e.g. data/{other['source']}" in message


def test_a_folder_of_another_market_is_refused(tmp_path: Path):
    recorded = Settings(source="recorded", data_dir=tmp_path, market_dir=tmp_path / "2024")
    Warehouse(tmp_path / "w.duckdb").prepare(recorded)
    with pytest.raises(WarehouseError, match=r"belongs to source recorded \(2024\), this run is recorded \(2025\)"):
        Warehouse(tmp_path / "w.duckdb").prepare(replace(recorded, market_dir=tmp_path / "2025"))


def test_a_warehouse_of_a_newer_altflow_is_refused_and_left_as_it_is(warehouse: Warehouse, settings: Settings):
    with warehouse.open() as con:
        con.execute("UPDATE raw.warehouse_info SET schema_version = schema_version + 1")
        con.execute("DROP TABLE raw.gaps")
    with pytest.raises(WarehouseError, match=r"has schema version 2, this altflow knows 1: upgrade altflow"):
        warehouse.prepare(settings)
    assert "gaps" not in everything(warehouse)


def test_a_warehouse_of_an_older_altflow_gets_what_has_come_since(warehouse: Warehouse, settings: Settings):
    warehouse.replace_window(flows([flow(0)], 0, 1), "r")
    before = everything(warehouse)
    with warehouse.open() as con:
        con.execute("ALTER TABLE raw.spot_flows DROP COLUMN open_price")
        con.execute("ALTER TABLE raw.spot_flows_history DROP COLUMN open_price")
        con.execute("DROP TABLE raw.publications")
    warehouse.prepare(settings)
    assert everything(warehouse).keys() == before.keys()
    warehouse.replace_window(flows([flow(0)], 0, 1), "again")
    assert rows(warehouse, "SELECT symbol, utc_date, volume_quote FROM raw.spot_flows") == [("SOLUSDT", FIRST, 10)]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("ALTER TABLE raw.spot_flows DROP COLUMN volume_quote", "raw.spot_flows.volume_quote DECIMAL(38, 12) NOT NULL"),
        ("ALTER TABLE raw.spot_flows ALTER COLUMN open_price TYPE VARCHAR", "raw.spot_flows.open_price DOUBLE"),
    ],
)
def test_a_warehouse_that_is_too_old_is_refused_and_left_as_it_is(change, named, warehouse, settings):
    with warehouse.open() as con:
        con.execute(change)
        con.execute("DROP TABLE raw.gaps")
    with pytest.raises(WarehouseError) as caught:
        warehouse.prepare(settings)
    assert named in str(caught.value) and "altflow rebuild --replace" in str(caught.value)
    assert "gaps" not in everything(warehouse)


def test_a_file_that_is_no_warehouse_is_refused(tmp_path: Path, settings: Settings):
    path = tmp_path / "w.duckdb"
    path.write_bytes(b"not a database " * 1000)
    with pytest.raises(WarehouseError, match="w.duckdb cannot be opened"):
        Warehouse(path).prepare(settings)


# --- one writer


HOLD = """
    import sys, time
    from pathlib import Path
    from orchestration.warehouse import Lock
    Lock(Path(sys.argv[1])).acquire()
    print("held", flush=True)
    time.sleep(60)
"""


def child(root: Path, code: str, *arguments: str) -> subprocess.Popen:
    command = [sys.executable, "-c", textwrap.dedent(code), *arguments]
    process = subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    assert process.stdout.readline()
    return process


def test_the_second_writer_is_told_who_writes_until_that_one_is_killed(root: Path, settings: Settings):
    assert lock_holder(settings.lock_path) is None
    holder = child(root, HOLD, str(settings.lock_path))
    try:
        with pytest.raises(LockHeld, match=f"pid {holder.pid}, since 20.* UTC.*wait for it to end") as caught:
            Lock(settings.lock_path).acquire()
        assert caught.value.pid == holder.pid
        held = lock_holder(settings.lock_path)
        assert held and held["pid"] == holder.pid and held["started_at"] == caught.value.started_at
    finally:
        os.kill(holder.pid, signal.SIGKILL)
        holder.wait()
    assert lock_holder(settings.lock_path) is None
    lock = Lock(settings.lock_path)
    lock.acquire()
    assert lock.held
    lock.release()
    assert lock_holder(settings.lock_path) is None and not lock.held


def test_who_waits_gets_the_lock_when_it_is_free(settings: Settings):
    first, second = Lock(settings.lock_path), Lock(settings.lock_path)
    first.acquire()
    threading.Timer(0.4, first.release).start()
    began = time.monotonic()
    second.acquire(wait_seconds=10)
    assert 0.3 < time.monotonic() - began < 3
    with pytest.raises(LockHeld):
        Lock(settings.lock_path).acquire(wait_seconds=0.1)
    second.release()


def test_asking_who_writes_keeps_nobody_from_writing(settings: Settings):
    """`lock_holder` takes the lock to see whether it is free; here it is slow."""
    settings.lock_path.parent.mkdir()
    glance = os.open(settings.lock_path, os.O_RDWR | os.O_CREAT)
    fcntl.flock(glance, fcntl.LOCK_EX)
    threading.Timer(0.1, os.close, [glance]).start()
    lock = Lock(settings.lock_path)
    lock.acquire()
    assert lock.held
    lock.release()


KILL = """
    import os, signal, sys
    from datetime import date
    from pathlib import Path
    sys.path.insert(0, "tests")
    from test_warehouse import flow, flows
    from orchestration import warehouse as module
    warehouse = module.Warehouse(Path(sys.argv[1]))

    def die(*arguments):
        print("killed in the transaction", flush=True)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(module, sys.argv[2], die)
    warehouse.replace_window(flows([flow(0, volume="99"), flow(1)], 0, 3), "killed")
"""


@pytest.mark.parametrize("at", ["_index_bodies", "_quarantine", "_note_asked"])
def test_a_transaction_that_is_killed_leaves_nothing(at: str, root: Path, warehouse: Warehouse):
    warehouse.replace_window(flows([flow(0)], 0, 1), "r")
    before = everything(warehouse)
    killed = child(root, KILL, str(warehouse.path), at)
    assert killed.wait(20) == -signal.SIGKILL
    assert everything(warehouse) == before
    assert counts(warehouse.replace_window(flows([flow(0, volume="99"), flow(1)], 0, 3), "r")) == (2, 1, 1, 0)


def test_a_transaction_that_fails_leaves_nothing(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch):
    warehouse.replace_window(flows([flow(0)], 0, 1), "r")
    before = everything(warehouse)

    def full(*arguments):
        raise OSError("No space left on device")

    monkeypatch.setattr("orchestration.warehouse._note_asked", full)
    with pytest.raises(OSError, match="No space left"):
        warehouse.replace_window(flows([flow(0, volume="99")], 0, 1), "r")
    assert everything(warehouse) == before


def test_the_lock_file_tells_people_who_holds_it(settings: Settings):
    lock = Lock(settings.lock_path)
    lock.acquire()
    assert json.loads(settings.lock_path.read_text())["pid"] == os.getpid()
    lock.release()


def test_an_answer_for_several_tables_is_committed_whole_or_not_at_all(warehouse: Warehouse):
    """Else its first table would note it as had, and the others would never be asked for again."""
    listing = {"symbol": "SOLUSDT", "base_asset": "SOL", "quote_asset": "USDT", "status": "TRADING"}
    told = listing | {"exchange": "binance", "is_trading": True, "is_listed": True, "body_sha256": "a" * 64}
    before = everything(warehouse)
    for listed in ([told, told], [told]):
        arrived = [Arrived(("binance",), FOREVER)]
        beside = Delivery(SPOT_SYMBOLS, table(SPOT_SYMBOLS, listed), arrived, "binance", "spot_flows", answered=[])
        try:
            done = warehouse.replace_window(flows([flow(0)], 0, 2), "r", beside)
        except WarehouseError as error:
            assert "arrived twice" in str(error) and everything(warehouse) == before
    assert counts(done) == (2, 2, 0, 0)
    assert rows(warehouse, "SELECT dataset, scope FROM raw.asked") == [("spot_flows", "SOLUSDT")]


def test_what_came_last_is_last_also_where_the_clock_was_set_back(
    warehouse: Warehouse, settings: Settings, monkeypatch: pytest.MonkeyPatch
):
    window = Window(FIRST, FIRST + timedelta(days=2))
    with monkeypatch.context() as ahead:
        ahead.setattr("orchestration.warehouse._utc", lambda: datetime(2126, 1, 1))
        warehouse.begin_run("ahead", settings, window, "test")
        warehouse.note_gaps("ahead", [Gap("binance", "spot_flows", "SOLUSDT", window, "failed", "HTTP 500")])
    again = Warehouse(warehouse.path)
    again.begin_run("right", settings, window, "test")
    again.replace_window(flows([flow(0)], 0, 2), "right")
    assert rows(again, "SELECT run_id FROM raw.runs ORDER BY started_at") == [("ahead",), ("right",)]
    later = "SELECT answered_at > noticed_at FROM raw.asked, raw.gaps WHERE asked.scope = gaps.scope"
    assert rows(again, later) == [(True,)]
