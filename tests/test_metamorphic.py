"""What must change, and what must not, when rows are shuffled, coins or exchanges renamed, sides turned round."""

import shutil
from pathlib import Path

import duckdb
import pytest

from tests.commandline import differences
from tests.raw_market import SCHEMAS, TABLES, build, execute, make

pytestmark = pytest.mark.chaos
# The alphabet decides ties, so names keep their places in it.
COINS = {"SOL": "SOM", "ADA": "ADB"}
FLOWS = {
    "daily_symbol_flows": ("exchange", "symbol", "utc_date"),
    "daily_asset_flows": ("base_asset", "utc_date"),
    "daily_control_flow": ("flow_group", "quotes", "utc_date"),
    "daily_altcoin_flow": ("definition_id", "utc_date"),
}
NEGATED = {
    "net_taker_usd",
    "imbalance_ratio",
    "window_net_taker_usd",
    "window_imbalance_ratio",
    "cumulative_net_taker_usd",
    "excess_imbalance_ratio",
    "rolling_365d_net_taker_usd",
    "rolling_365d_imbalance_ratio",
}
NOT_FLOW = [
    "daily_dominance",
    "daily_altseason",
    "daily_drawdown_breadth",
    "daily_liquidity_concentration",
    "asset_survival",
    "coverage_daily",
]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = tmp_path_factory.mktemp("metamorphic")
    make(data)
    build(data, ["--exclude-resource-type", "test"])
    return data


def built_from(built: Path, folder: Path, *statements: str) -> Path:
    """The same market, changed by `statements`, built from nothing."""
    shutil.copytree(built, folder)
    execute(folder, *statements)
    build(folder, ["--full-refresh", *TABLES])
    return folder


def compared(first: Path, second: Path) -> list[str]:
    found = differences(first / "warehouse.duckdb", second / "warehouse.duckdb", schemas=SCHEMAS)
    # Fingerprints are of rows and names; that is what they are for.
    return [line for line in found if not line.startswith("int_days_")]


def differing(first: Path, second: Path, query: str) -> int:
    """Rows of the query that only the first has. `{}` stands for the name of the database."""
    with duckdb.connect() as con:
        con.execute(f"ATTACH '{first}/warehouse.duckdb' AS a (READ_ONLY)")
        con.execute(f"ATTACH '{second}/warehouse.duckdb' AS b (READ_ONLY)")
        return con.execute(f"SELECT count(*) FROM ({query.format('a')} EXCEPT {query.format('b')})").fetchall()[0][0]


def test_rows_in_another_order_change_nothing(built: Path, tmp_path: Path):
    shuffled = built_from(
        built,
        tmp_path / "shuffled",
        "CREATE TABLE aside AS FROM raw.spot_flows ORDER BY hash(symbol, utc_date, 7)",
        "DELETE FROM raw.spot_flows",
        "INSERT INTO raw.spot_flows FROM aside",
        "DROP TABLE aside",
    )
    assert compared(built, shuffled) == []


def test_coins_of_another_name_have_the_same_figures(built: Path, tmp_path: Path):
    renamed = built_from(
        built,
        tmp_path / "renamed",
        *(f"UPDATE raw.spot_symbols SET base_asset = '{new}' WHERE base_asset = '{old}'" for old, new in COINS.items()),
    )
    with duckdb.connect(str(renamed / "warehouse.duckdb")) as con:
        texts = con.execute(
            "SELECT schema_name, table_name, column_name FROM duckdb_columns() JOIN duckdb_tables() "
            "USING (schema_name, table_name) WHERE data_type = 'VARCHAR' AND schema_name IN ('intermediate', 'marts')"
        ).fetchall()
        assert ("marts", "daily_asset_flows", "base_asset") in texts
        for schema, table, column in texts:
            for old, new in COINS.items():
                con.execute(f"UPDATE {schema}.{table} SET \"{column}\" = replace(\"{column}\", '{new}', '{old}')")
    # The seed names the coins that it knows, and says of others that they are altcoins by default; a set of coins is
    # known by the hash of their names.
    left_out = ("int_assets_classified", "daily_dominance")
    assert [line for line in compared(built, renamed) if not line.startswith(left_out)] == []
    assert differing(built, renamed, "SELECT * EXCLUDE (coin_set_id) FROM {}.marts.daily_dominance") == 0


def test_exchanges_that_change_their_names_change_no_sum(built: Path, tmp_path: Path):
    swap = "exchange = CASE exchange WHEN 'binance' THEN 'okx' ELSE 'binance' END"
    swapped = built_from(
        built,
        tmp_path / "swapped",
        f"UPDATE raw.spot_symbols SET {swap}",
        f"UPDATE raw.spot_flows SET {swap}",
    )
    # The two are not trusted alike: what asks for trust changes, what does not must not.
    same = ["daily_asset_flows", "daily_control_flow", "daily_altseason", "daily_drawdown_breadth", "asset_survival"]
    lines = compared(built, swapped)
    assert [line for line in lines if line.startswith(tuple(f"{mart}:" for mart in same))] == []
    assert any(line.startswith("int_spot_flows_converted:") for line in lines)
    columns = "definition_id, utc_date, window_net_taker_usd, window_volume_usd, symbol_count, exchange_count"
    flows = f"SELECT {columns} FROM {{}}.marts.daily_altcoin_flow WHERE trust = "
    assert differing(built, swapped, f"{flows}'all'") == 0
    assert differing(built, swapped, f"{flows}'trusted'") > 0


def test_sides_turned_round_turn_the_sign_and_nothing_else(built: Path, tmp_path: Path):
    turned = built_from(
        built, tmp_path / "turned", "UPDATE raw.spot_flows SET taker_buy_quote = volume_quote - taker_buy_quote"
    )
    with duckdb.connect() as con:
        con.execute(f"ATTACH '{built}/warehouse.duckdb' AS a (READ_ONLY)")
        con.execute(f"ATTACH '{turned}/warehouse.duckdb' AS b (READ_ONLY)")
        for mart, grain in FLOWS.items():
            columns = {row[0] for row in con.execute(f"SELECT column_name FROM (DESCRIBE a.marts.{mart})").fetchall()}
            for column in sorted(columns & NEGATED):
                # Amounts in other quotes are rounded once per row: a few times 1e-8 in a sum of a year.
                wrong, known = con.execute(
                    f"SELECT count(*) FILTER (WHERE (a.{column} IS NULL) <> (b.{column} IS NULL) "
                    f"OR abs(a.{column} + b.{column})::DOUBLE > 1e-4), count(a.{column}) "
                    f"FROM a.marts.{mart} a FULL JOIN b.marts.{mart} b USING ({', '.join(grain)})"
                ).fetchall()[0]
                assert wrong == 0 and known > 0, (mart, column, wrong, known)
            bought = "sum(a.taker_buy_usd - b.taker_sell_usd)" if "taker_buy_usd" in columns else "0"
            assert abs(con.execute(
                f"SELECT {bought} FROM a.marts.{mart} a JOIN b.marts.{mart} b USING ({', '.join(grain)})"
            ).fetchall()[0][0]) < 1e-3  # fmt: skip
    lines = compared(built, turned)
    assert [line for line in lines if line.startswith(tuple(f"{mart}:" for mart in NOT_FLOW))] == []
    assert any(line.startswith("daily_altcoin_flow") for line in lines)
