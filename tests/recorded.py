"""The recorded market: run through `altflow run` once per test session, or filled into raw tables alone.

`fill` makes the raw tables of any span as the loader makes them: the bodies go through the parsers of
`orchestration.sources`, the packed tables (klines, caps) through the same roundings.
"""

import atexit
import functools
import gzip
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow as pa

from orchestration import schema
from orchestration.sources import alternative_me, coingecko, defillama, fred
from orchestration.sources.body import Body, Parsed
from tests.commandline import altflow

ROOT = Path(__file__).resolve().parent.parent
FIRST_DATE, LAST_DATE = date(2020, 1, 1), date(2025, 6, 14)
KNOWN_QUOTES = ("USDT", "USDC", "EUR", "TRY", "BRL")
NOW = "TIMESTAMP '2025-06-15 00:00:00'"


def run(market: Path) -> Path:
    """The data folder of one `altflow run` on the recorded market, as a user would run it."""
    found = _run(market)
    assert isinstance(found, Path), found
    return found


def build(market: Path) -> Path:
    """The warehouse of that run; dbt's unit tests have passed on it, and those that no run makes."""
    found = _build(market)
    assert isinstance(found, Path), found
    return found


# What failed is kept too: hundreds of tests would each try for half a minute again.
@functools.cache
def _run(market: Path) -> Path | str:
    data = Path(tempfile.mkdtemp(prefix="altflow-recorded-")) / "data"
    atexit.register(shutil.rmtree, data.parent, ignore_errors=True)
    done = altflow("run", "--source", "recorded", "--market", str(market), "--end", LAST_DATE.isoformat(), data=data)
    if done.returncode:
        return done.stdout[-3000:] + done.stderr[-6000:]
    (data.parent / "output.txt").write_text(done.stdout)
    return data


@functools.cache
def _build(market: Path) -> Path | str:
    path = run(market) / "warehouse.duckdb"
    # A process of its own: dbt keeps its connections, and this process opens the file again.
    done = subprocess.run(
        [
            *(sys.executable, "-m", "dbt.cli.main", "--no-use-colors", "--no-version-check"),
            # A third of its time is for logs, files that nobody reads and threads that wait for one another.
            *("--log-level-file", "none", "--no-write-json", "--single-threaded"),
            *("--log-path", str(path.parent / "logs"), "test", "--select", "test_type:unit", "test_name:unique_grain"),
            # Of marts the run has judged the grain.
            *("--exclude", "test_name:unique_grain,path:models/marts"),
            *("--target-path", str(path.parent / "dbt" / "target")),
            *("--project-dir", str(ROOT / "dbt_project"), "--profiles-dir", str(ROOT)),
        ],
        # As the run has read the project: dbt reads it anew for another path.
        cwd=path.parent,
        env=os.environ | {"ALTFLOW_WAREHOUSE": path.name, "DO_NOT_TRACK": "1"},
        capture_output=True,
        text=True,
    )
    return done.stdout[-6000:] + done.stderr if done.returncode else path


def read(path: Path, sql: str, **parameters) -> pd.DataFrame:
    """Rows of one query; DECIMAL columns come as `decimal.Decimal`."""
    with duckdb.connect(str(path), read_only=True) as con:
        return con.sql(sql, params=parameters or None).to_arrow_table().to_pandas(types_mapper=_exact)


def _exact(kind: pa.DataType):
    return pd.ArrowDtype(kind) if pa.types.is_decimal(kind) else None


def fill(path: Path, market: Path) -> None:
    """Raw tables of a run from FIRST_DATE to LAST_DATE."""
    with duckdb.connect(str(path)) as con:
        for statement in schema.ddl():
            con.execute(statement)
        con.execute(
            f"INSERT INTO raw.runs VALUES ('recorded', 'recorded', false, ?, ?, 'test', {NOW})", [FIRST_DATE, LAST_DATE]
        )
        con.execute(f"INSERT INTO raw.warehouse_info VALUES ('recorded', 'market', {schema.VERSION}, {NOW})")
        _klines(con, market)
        _symbols(con, market)
        _caps(con, market)
        for parsed in _parsed(market):
            for table, rows in parsed.tables.items():
                _insert(con, table, rows)
        con.execute(
            "INSERT INTO raw.source_files "
            f"SELECT DISTINCT body_sha256, 'binance', 'spot_flows', 'klines', 200, {NOW}, 1, 'pack', 0, 1, '{{}}' "
            "FROM raw.spot_flows"
        )


def _insert(con: duckdb.DuckDBPyConnection, table: str, rows: pa.Table) -> None:
    dated = table != "coin_snapshots" and "utc_date" in rows.column_names
    con.register("rows", rows)
    con.execute(
        f"INSERT INTO raw.{table} BY NAME SELECT *, 1 AS load_id, {NOW} AS loaded_at FROM rows"
        + (f" WHERE utc_date <= DATE '{LAST_DATE}'" if dated else "")
    )
    con.unregister("rows")


def _klines(con: duckdb.DuckDBPyConnection, market: Path) -> None:
    con.execute(
        f"""
        INSERT INTO raw.spot_flows BY NAME
        SELECT
            'binance' AS exchange, symbol, epoch_ms(open_time)::DATE AS utc_date,
            open::DOUBLE AS open_price, high::DOUBLE AS high_price, low::DOUBLE AS low_price,
            close::DOUBLE AS close_price, open AS open_price_text, high AS high_price_text, low AS low_price_text,
            close AS close_price_text, volume::DECIMAL(38, 12) AS volume_base,
            quote_volume::DECIMAL(38, 12) AS volume_quote, taker_buy_base::DECIMAL(38, 12) AS taker_buy_base,
            taker_buy_quote::DECIMAL(38, 12) AS taker_buy_quote, trades AS trade_count, 'klines' AS source_kind,
            'body of ' || symbol AS body_sha256, 1 AS load_id, {NOW} AS loaded_at
        FROM '{market}/binance/spot/klines_1d.parquet'
        WHERE utc_date BETWEEN ? AND ? AND close_price BETWEEN low_price AND high_price
        """,
        [FIRST_DATE, LAST_DATE],
    )


def _symbols(con: duckdb.DuckDBPyConnection, market: Path) -> None:
    info = json.loads(gzip.decompress((market / "binance/spot/exchangeInfo_2022-12-03.json.gz").read_bytes()))
    known = {entry["symbol"]: (entry["baseAsset"], entry["quoteAsset"]) for entry in info["symbols"]}
    rows = []
    for symbol, newest in con.execute("SELECT symbol, max(utc_date) FROM raw.spot_flows GROUP BY 1").fetchall():
        base, quote = known.get(symbol) or _split(symbol)
        trades = newest >= LAST_DATE
        rows.append((symbol, base, quote, "TRADING" if trades else "BREAK", trades))
    con.executemany(
        f"INSERT INTO raw.spot_symbols VALUES ('binance', ?, ?, ?, ?, ?, true, 'body of the list', 1, {NOW})", rows
    )
    con.execute(
        f"INSERT INTO raw.asked SELECT 'binance', 'spot_flows', symbol, ?, ?::DATE + 1, {NOW} FROM raw.spot_symbols",
        [FIRST_DATE, LAST_DATE],
    )


def _split(symbol: str) -> tuple[str, str]:
    for quote in KNOWN_QUOTES:
        if symbol.endswith(quote):
            return symbol.removesuffix(quote), quote
    return "USDT", symbol.removeprefix("USDT")


def _caps(con: duckdb.DuckDBPyConnection, market: Path) -> None:
    rows = con.sql(
        f"""
        SELECT
            'coinmetrics' AS upstream, asset, time::DATE AS utc_date,
            CapMrktEstUSD::DECIMAL(38, 18)::DECIMAL(38, 12) AS cap_usd, ReferenceRateUSD::DOUBLE AS price_usd,
            'body of ' || asset AS body_sha256
        FROM '{market}/coinmetrics/asset_metrics.parquet'
        """
    ).to_arrow_table()
    _insert(con, "asset_caps", rows)


def _parsed(market: Path) -> Iterator[Parsed]:
    llama = market / "http/stablecoins.llama.fi"
    yield defillama.parse_coins(_body("stablecoins", _unzipped(llama / "stablecoins__includePrices=true.gz")))
    yield defillama.parse_totals(_body("stablecoin_totals", _unzipped(llama / "stablecoincharts/all.gz")))
    for file in sorted((llama / "stablecoin").glob("*.gz")):
        coin = file.name.removesuffix(".gz")
        yield defillama.parse_supply(_body("stablecoin_supplies", _unzipped(file), stablecoin_id=coin))
    for file in sorted((market / "http/fred.stlouisfed.org/graph").glob("*.gz")):
        series = file.name.removesuffix(".gz").split("id=")[1]
        yield fred.parse_series(_body("macro_observations", _unzipped(file), series_id=series))
    index = market / "http/api.alternative.me/fng/__limit=0.gz"
    yield alternative_me.parse_index(_body("macro_observations", _unzipped(index)))
    coins = json.loads(_unzipped(market / "coingecko/coins_markets_2026-01-28.json.gz"))
    coins.sort(key=lambda coin: -(coin["market_cap"] or 0))
    for page in range(coingecko.PAGES):
        listed = coins[page * coingecko.PER_PAGE : (page + 1) * coingecko.PER_PAGE]
        yield coingecko.parse_snapshot(_body("coin_snapshots", json.dumps(listed).encode()))


def _unzipped(file: Path) -> bytes:
    return gzip.decompress(file.read_bytes())


def _body(dataset: str, content: bytes, **context: str) -> Body:
    return Body("recorded", dataset, dataset, 200, datetime(2025, 6, 15, tzinfo=UTC), content, context)
