"""The dbt build on a market of many exchanges and years, whole and for one more day: seconds, memory, each model.

The raw tables are filled directly, with a made-up market: what is measured begins where fetching ends. One more day is
one row of every symbol and a restated row of the day before, as a run would load them; it is built as a run builds it,
without the seeds and views that stand, and bare. dbt's own start is in every figure.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from datetime import date, timedelta
from pathlib import Path

import duckdb

from orchestration.settings import Settings
from orchestration.sources.body import Window
from orchestration.warehouse import Warehouse

ROOT = Path(__file__).resolve().parent.parent
EXCHANGES = ["binance", "okx", "bybit", "kucoin", "gate", "htx", "bitget", "kraken", "upbit", "bitstamp"]
AS_A_RUN = ["--exclude-resource-type", "seed", "--exclude", "config.materialized:view"]
FLOWS = """
    WITH symbols AS (
        SELECT exchange, symbol, (hash(symbol) % 2500)::INTEGER AS age, (hash(symbol || 'size') % 1000)::INTEGER AS size
        FROM raw.spot_symbols
    ),
    days AS (
        SELECT
            *, unnest(generate_series(greatest(DATE '{start}' + age, DATE '{first}'), DATE '{last}', INTERVAL 1 DAY))
            ::DATE AS utc_date
        FROM symbols
    ),
    drawn AS (
        SELECT *, hash(symbol, utc_date) AS h, 10 + 5 * sin(age + epoch(utc_date) / 86400 / 90) AS close
        FROM days
    )
    INSERT INTO raw.spot_flows BY NAME
    SELECT
        exchange, symbol, utc_date, close AS open_price, close * 1.02 AS high_price, close * 0.97 AS low_price,
        close * (1 + (h % 1000)::DOUBLE / 20000 - 0.025) AS close_price,
        close::VARCHAR AS open_price_text, close::VARCHAR AS high_price_text, close::VARCHAR AS low_price_text,
        close::VARCHAR AS close_price_text,
        (1000 * (1 + size) + h % 100000)::DECIMAL(38, 12) AS volume_base,
        ((1000 * (1 + size) + h % 100000) * 10)::DECIMAL(38, 12) AS volume_quote,
        ((1000 * (1 + size) + h % 100000) * (4 + (h // 7 % 1900)::DOUBLE / 1000) / 10)::DECIMAL(38, 12)
        AS taker_buy_base,
        ((1000 * (1 + size) + h % 100000) * (4 + (h // 7 % 1900)::DOUBLE / 1000))::DECIMAL(38, 12) AS taker_buy_quote,
        (h % 5000)::BIGINT AS trade_count, 'klines' AS source_kind, md5(symbol) AS body_sha256,
        {load} AS load_id, now()::TIMESTAMP AS loaded_at
    FROM drawn
"""


def make(folder: Path, symbols: int, start: date, last: date) -> Path:
    """A warehouse with `symbols` pairs on each of ten exchanges."""
    settings = Settings("sandbox", folder, start=start)
    warehouse = Warehouse(folder / "warehouse.duckdb")
    warehouse.prepare(settings)
    warehouse.begin_run("bench", settings, Window(start, last + timedelta(days=1)), "bench")
    with duckdb.connect(folder / "warehouse.duckdb") as con:
        for exchange in EXCHANGES:
            con.execute(
                """
                INSERT INTO raw.spot_symbols BY NAME
                SELECT
                    $1 AS exchange, base || '-' || quote || '@' || $1 AS symbol, base AS base_asset,
                    quote AS quote_asset, 'TRADING' AS status, true AS is_trading, true AS is_listed,
                    md5($1) AS body_sha256, 1 AS load_id, now()::TIMESTAMP AS loaded_at
                FROM (
                    SELECT
                        CASE i WHEN 0 THEN 'BTC' WHEN 1 THEN 'ETH' ELSE format('A{:04d}', i // 5 * 4 + i % 5) END
                        AS base,
                        CASE WHEN i > 4 AND i % 5 = 4 THEN 'BTC' ELSE 'USDT' END AS quote
                    FROM range($2) t(i)
                )
                QUALIFY row_number() OVER (PARTITION BY base, quote) = 1
                """,
                [exchange, symbols],
            )
        con.execute(FLOWS.format(start=start, first=start, last=last, load=1))
        flows = "raw.spot_flows JOIN raw.spot_symbols USING (exchange, symbol)"
        count, assets = con.sql(f"SELECT count(*), count(DISTINCT base_asset) FROM {flows}").fetchall()[0]
    size = (folder / "warehouse.duckdb").stat().st_size / 1e9
    print(f"{count:,} symbol-days of {assets:,} assets on {len(EXCHANGES)} exchanges, {size:.2f} GB raw", flush=True)
    return folder


def one_more_day(folder: Path, start: date, day: date) -> None:
    """A new day of every symbol; the day before is restated for one."""
    with duckdb.connect(folder / "warehouse.duckdb") as con:
        con.execute(FLOWS.format(start=start, first=day, last=day, load=2))
        con.execute(
            "UPDATE raw.spot_flows SET volume_quote = volume_quote + 1, load_id = 2 "
            "WHERE symbol = 'ETH-USDT@okx' AND utc_date = ?",
            [day - timedelta(days=1)],
        )
        con.execute("UPDATE raw.runs SET last_date = ?", [day])


def build(folder: Path, extra: list[str], same: str = "no") -> tuple[float, float, str]:
    """Seconds and gigabytes of `dbt build` without data tests, and its log."""
    command = [sys.executable, "-m", "dbt.cli.main", "build", "--project-dir", "dbt_project", "--profiles-dir"]
    command += ["dbt_project", "--no-write-json", "--no-version-check"]
    command += ["--exclude-resource-type", "test", "unit_test", *extra]
    environment = {**os.environ, "ALTFLOW_DATA_DIR": str(folder), "ALTFLOW_SAME_MODELS": same}
    began = time.perf_counter()
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    seconds = time.perf_counter() - began
    if done.returncode:
        raise SystemExit(done.stdout[-4000:])
    return seconds, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6, done.stdout


def slowest(log: str, count: int = 12) -> str:
    lines = [line for line in log.splitlines() if " OK " in line and " in " in line]
    took = sorted(
        ((float(line.rpartition(" in ")[2].rstrip("s]")), line.split(" model ")[-1].split(" ")[0]) for line in lines),
        reverse=True,
    )
    return ", ".join(f"{name.split('.')[-1]} {seconds:.1f}" for seconds, name in took[:count])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--symbols", type=int, default=1000, help="pairs on each of ten exchanges")
    parser.add_argument("--years", type=int, default=8)
    parser.add_argument("--folder", type=Path, help="keep the warehouse here")
    asked = parser.parse_args()
    last = date(2026, 7, 29)
    start = last - timedelta(days=365 * asked.years)
    with tempfile.TemporaryDirectory(prefix="altflow-bench-") as temporary:
        folder = asked.folder or Path(temporary)
        if not (folder / "warehouse.duckdb").exists():
            make(folder, asked.symbols, start, last)
        seconds, memory, log = build(folder, ["--full-refresh"])
        print(f"whole: {seconds:.1f} s, {memory:.1f} GB at most\n  {slowest(log)}", flush=True)
        for days, (what, options) in enumerate({"as a run": AS_A_RUN, "bare": []}.items(), 1):
            one_more_day(folder, start, last + timedelta(days=days))
            seconds, memory, log = build(folder, options, same="yes")
            print(f"one more day, {what}: {seconds:.1f} s\n  {slowest(log)}", flush=True)


if __name__ == "__main__":
    main()
