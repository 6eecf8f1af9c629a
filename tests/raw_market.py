"""A small market written straight into the raw tables, for tests of what dbt makes of them."""

from datetime import date, timedelta
from pathlib import Path

import duckdb

from orchestration.builder import Builder
from orchestration.settings import Settings
from orchestration.sources.body import Window
from orchestration.warehouse import Warehouse

START, LAST = date(2023, 6, 1), date(2025, 6, 30)
SCHEMAS = ("intermediate", "marts")
TABLES = ["--exclude-resource-type", "test", "seed"]
PAIRS = [
    ("binance", "BTCUSDT", "BTC", "USDT"),
    ("binance", "ETHUSDT", "ETH", "USDT"),
    ("binance", "SOLUSDT", "SOL", "USDT"),
    ("binance", "SOLBTC", "SOL", "BTC"),
    ("binance", "LUNAUSDT", "LUNA", "USDT"),
    ("binance", "USDCUSDT", "USDC", "USDT"),
    ("okx", "SOL-USDT", "SOL", "USDT"),
    ("okx", "ADA-BTC", "ADA", "BTC"),
    ("okx", "ADA-USDC", "ADA", "USDC"),
]
ROWS = """
    INSERT INTO raw.spot_flows BY NAME
    SELECT
        exchange, symbol, utc_date, 10 AS open_price, 11 AS high_price, 9 AS low_price,
        10 + (hash(symbol, utc_date) % 100)::DOUBLE / 100 AS close_price,
        (1 + hash(symbol, utc_date) % 1000)::DECIMAL(38, 12) AS volume_base,
        (10 + hash(symbol, utc_date) % 10000)::DECIMAL(38, 12) AS volume_quote,
        ((10 + hash(symbol, utc_date) % 10000) * (0.35 + hash(utc_date, symbol) % 200 / 1000))::DECIMAL(38, 12)
        AS taker_buy_quote,
        7 AS trade_count, 'klines' AS source_kind, md5(symbol) AS body_sha256, $load AS load_id,
        now()::TIMESTAMP AS loaded_at
    FROM raw.spot_symbols, (SELECT unnest(generate_series($first, $last, INTERVAL 1 DAY))::DATE AS utc_date)
    WHERE (symbol, utc_date) NOT IN (SELECT (symbol, utc_date) FROM raw.spot_flows)
"""


def build(data: Path, options: list[str], same_models: bool = False) -> None:
    builder = Builder(Settings("sandbox", data))
    assert list(builder.build(options, same_models))


def execute(data: Path, *statements: str, **values: object) -> None:
    with duckdb.connect(str(data / "warehouse.duckdb")) as con:
        for statement in statements:
            con.execute(statement, values or None)


def make(data: Path) -> None:
    """A warehouse of nine pairs on two exchanges; two symbols' days are missing."""
    warehouse = Warehouse(data / "warehouse.duckdb")
    warehouse.prepare(Settings("sandbox", data, start=START))
    warehouse.begin_run("first", Settings("sandbox", data, start=START), Window(START, LAST + timedelta(days=1)), "x")
    with duckdb.connect(str(data / "warehouse.duckdb")) as con:
        con.executemany(
            "INSERT INTO raw.spot_symbols SELECT ?, ?, ?, ?, 'TRADING', true, true, 'b', 1, now()::TIMESTAMP", PAIRS
        )
        con.execute(ROWS, {"load": 1, "first": START, "last": LAST})
        con.execute("DELETE FROM raw.spot_flows WHERE symbol = 'SOLBTC' AND utc_date = '2024-12-24'")
        con.execute("DELETE FROM raw.spot_flows WHERE symbol = 'ADA-USDC' AND utc_date = '2025-06-01'")
