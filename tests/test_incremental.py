"""The large models grow by the days that changed, and end as if they had been built from nothing."""

import shutil
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

import duckdb
import pytest

from orchestration.builder import BuildError
from tests.commandline import differences
from tests.raw_market import LAST, ROWS, SCHEMAS, TABLES, build, execute, make

INCREMENTAL = ["--select", "+int_days_built"]
"""without what is rebuilt each time: half of the models"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small market, built whole."""
    return first_build(tmp_path_factory.mktemp("whole"))


@pytest.fixture(scope="module")
def built_by_days(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small market: what grows by days, and what that reads."""
    return first_build(tmp_path_factory.mktemp("by_days"), INCREMENTAL)


def first_build(data: Path, models: Sequence[str] = ()) -> Path:
    make(data)
    build(data, ["--exclude-resource-type", "test", *models])
    return data


CHANGES = {
    "a new day, one restated, one late, one gone": [
        "UPDATE raw.spot_flows SET taker_buy_quote = 1, load_id = 2 "
        "WHERE symbol = 'SOLUSDT' AND utc_date = '2025-06-29'",
        "INSERT INTO raw.spot_flows SELECT * REPLACE (DATE '2024-12-24' AS utc_date, 2 AS load_id) "
        "FROM raw.spot_flows WHERE symbol = 'SOLBTC' AND utc_date = '2024-12-23'",
        "DELETE FROM raw.spot_flows WHERE symbol = 'LUNAUSDT' AND utc_date >= '2025-06-10'",
    ],
    "a late price of a quote asset": [
        "UPDATE raw.spot_flows SET volume_quote = volume_quote * 2, load_id = 3 "
        "WHERE symbol IN ('BTCUSDT', 'USDCUSDT') AND utc_date IN ('2023-08-05', '2025-01-01')",
    ],
    "a symbol that traded for nine days": [
        "INSERT INTO raw.spot_symbols SELECT 'okx', 'DOGE-USDT', 'DOGE', 'USDT', 'TRADING', true, true, 'b', 4, "
        "now()::TIMESTAMP",
        "INSERT INTO raw.spot_flows SELECT * REPLACE ('DOGE-USDT' AS symbol, 4 AS load_id) FROM raw.spot_flows "
        "WHERE symbol = 'SOL-USDT' AND utc_date BETWEEN '2025-04-01' AND '2025-04-09'",
        "UPDATE raw.spot_symbols SET status = 'BREAK', is_trading = false WHERE symbol = 'DOGE-USDT'",
    ],
    "what every day depends on": [
        "UPDATE raw.spot_symbols SET quote_asset = 'USDC' WHERE symbol = 'SOL-USDT'",
        "UPDATE seeds.asset_classification SET valid_from = DATE '2024-06-01' WHERE asset = 'USDC'",
        "INSERT INTO seeds.asset_renames_and_eras SELECT * REPLACE ('SOL' AS asset, DATE '2025-02-01' AS utc_date) "
        "FROM seeds.asset_renames_and_eras WHERE asset = 'LUNA' AND kind = 'reused_ticker' LIMIT 1",
        "UPDATE seeds.exchange_trust SET tier = 'untrusted' WHERE exchange = 'okx'",
    ],
}


@pytest.mark.parametrize("at_once", [True, pytest.param(False, marks=pytest.mark.chaos)])
def test_grown_by_days_it_is_the_same_as_built_from_nothing(
    request: pytest.FixtureRequest, tmp_path: Path, at_once: bool
):
    """After changes of some days at once, or after each of them, the last of which changes all days."""
    grown, anew = tmp_path / "grown", tmp_path / "anew"
    tables = [*TABLES, *INCREMENTAL] if at_once else TABLES
    shutil.copytree(request.getfixturevalue("built_by_days" if at_once else "built"), grown)
    newest = LAST + timedelta(days=1)
    execute(grown, ROWS, load=2, first=newest, last=newest)
    execute(grown, f"UPDATE raw.runs SET last_date = DATE '{newest}'")
    *of_days, of_all_days = CHANGES.values()
    for statements in of_days:
        execute(grown, *statements)
        if not at_once:
            build(grown, tables, same_models=True)
    if not at_once:
        execute(grown, *of_all_days)
    build(grown, tables, same_models=True)
    shutil.copytree(grown, anew)
    build(anew, ["--full-refresh", *tables])
    different = differences(anew / "warehouse.duckdb", grown / "warehouse.duckdb", schemas=SCHEMAS)
    # A build from nothing changes every day.
    assert [line for line in different if not line.startswith("int_days_changed")] == []


@pytest.mark.chaos
def test_only_the_days_that_changed_are_built(built: Path, tmp_path: Path):
    shutil.copy(built / "warehouse.duckdb", tmp_path)
    execute(
        tmp_path,
        "UPDATE raw.spot_flows SET taker_buy_quote = 1, load_id = 2 "
        "WHERE symbol = 'SOLUSDT' AND utc_date = '2025-06-29'",
        # Rows that a build would not write show whether it touched them.
        "UPDATE intermediate.int_spot_flows_converted SET trade_count = 99",
    )
    build(tmp_path, TABLES, same_models=True)
    with duckdb.connect(str(tmp_path / "warehouse.duckdb")) as con:
        touched = con.execute(
            "SELECT DISTINCT utc_date FROM intermediate.int_spot_flows_converted WHERE trade_count <> 99"
        ).fetchall()
    assert touched == [(date(2025, 6, 29),)]


@pytest.mark.chaos
def test_what_a_build_that_ended_early_has_begun_is_built_once_more(built: Path, tmp_path: Path):
    """A row comes, a build replaces its day in some tables and fails; then the row goes again, and with it every
    difference to the build before."""
    shutil.copy(built / "warehouse.duckdb", tmp_path)
    execute(
        tmp_path,
        "UPDATE raw.runs SET run_id = 'second'",
        "INSERT INTO raw.spot_flows SELECT * REPLACE (DATE '2024-12-24' AS utc_date, 2 AS load_id) "
        "FROM raw.spot_flows WHERE symbol = 'SOLBTC' AND utc_date = '2024-12-23'",
        "ALTER TABLE intermediate.int_panel_days_summed RENAME COLUMN window_net_taker_usd TO broken",
    )
    with pytest.raises(BuildError, match="int_panel_days_summed"):
        build(tmp_path, TABLES, same_models=True)
    execute(
        tmp_path,
        "ALTER TABLE intermediate.int_panel_days_summed RENAME COLUMN broken TO window_net_taker_usd",
        "DELETE FROM raw.spot_flows WHERE symbol = 'SOLBTC' AND utc_date = '2024-12-24'",
        "UPDATE raw.runs SET run_id = 'third'",
    )
    build(tmp_path, TABLES, same_models=True)
    different = differences(built / "warehouse.duckdb", tmp_path / "warehouse.duckdb", schemas=SCHEMAS)
    assert [line for line in different if "int_days_" not in line and "run_selected" not in line] == []
