"""The band for volume that is not covered: leaving out each exchange in turn, its flow lies within.

The model's own SQL, on tables that are summed from a small generated market.
"""

import re
from datetime import date, timedelta

import duckdb
import pandas as pd
import pytest

from orchestration.sandbox.generated import GeneratedMarket
from tests import raw_market
from tests.recorded import ROOT

MODEL = ROOT / "dbt_project" / "models" / "intermediate" / "int_coverage_bands_estimated.sql"
WINDOWS = {"rolling_365d": 365, "rolling_90d": 90}
FIRST, NOW = date(2023, 1, 1), date(2025, 1, 1)


def _sql() -> str:
    """With tables of the names of the models that it refers to; its loop over four columns written out."""
    import jinja2

    return jinja2.Template(MODEL.read_text()).render(ref=lambda name: name)


def _days() -> pd.DataFrame:
    """Altcoins in dollars by exchange and UTC day: reported volume, and what the exchanges say that takers bought."""
    market, parts = GeneratedMarket(NOW, size=12), []
    for exchange in market.exchanges():
        for name, listing in market.listings(exchange).items() if exchange != "binance_usdm" else ():
            bars = market.bars(exchange, name, "1d")
            if bars is None or listing.base in ("BTC", "ETH", "USDC", "UST") or listing.quote not in ("USDT", "USD"):
                continue
            unit = 10.0**bars.quote_decimals
            volume, bought = bars.volume_quote.astype(float) / unit, bars.taker_buy_quote.astype(float) / unit
            at = pd.to_datetime(bars.times_ms, unit="ms")
            frame = pd.DataFrame(
                {"exchange": exchange, "utc_date": at, "volume_usd": volume, "net_taker_usd": 2 * bought - volume}
            )
            parts.append(frame[(frame["utc_date"] >= pd.Timestamp(FIRST)) & (frame["volume_usd"] > 0)])
    return pd.DataFrame(pd.concat(parts).groupby(["exchange", "utc_date"], as_index=False).sum())


def test_the_band_contains_the_exchange_that_is_left_out():
    """METRICS.md, section 2: at least 80 % of all exchanges' windows, of 90 and 365 days, at the months' ends."""
    days, found = _days(), []
    ends = [each.date() for each in pd.date_range(FIRST + timedelta(days=365), NOW, freq="MS") - pd.Timedelta(days=1)]
    windows = pd.DataFrame(
        [(name, end, end - timedelta(days=length - 1)) for name, length in WINDOWS.items() for end in ends],
        columns=["window_name", "utc_date", "window_start_date"],
    )
    sql = _sql()
    for left_out in days["exchange"].unique():
        with duckdb.connect() as connection:
            connection.register("days", days)
            connection.execute(
                """
                CREATE TABLE int_exchange_volumes_summed AS
                SELECT
                    exchange, utc_date::DATE AS utc_date, 'ALT' AS flow_group, true AS is_usd_pegged_quote,
                    true AS is_trusted, volume_usd::DECIMAL(38, 8) AS reported_volume_usd,
                    CASE WHEN exchange != $1 THEN net_taker_usd::DECIMAL(38, 8) END AS net_taker_usd,
                    CASE WHEN exchange != $1 THEN volume_usd::DECIMAL(38, 8) END AS volume_usd
                FROM days
                """,
                [left_out],
            )
            connection.register("asked", windows)
            # Every calendar day has a row, as in the mart.
            connection.execute(
                """
                CREATE TABLE int_flow_windows_summed AS
                SELECT
                    window_name AS definition_id, window_name, 'ex_btc_eth' AS universe, 'all' AS quotes,
                    'all' AS trust, 'all' AS panel, asked.utc_date::DATE AS utc_date,
                    asked.window_start_date::DATE AS window_start_date,
                    sum(flows.net_taker_usd)::DECIMAL(38, 8) AS window_net_taker_usd, true AS is_window_valid
                FROM asked
                INNER JOIN int_exchange_volumes_summed AS flows
                    ON flows.utc_date BETWEEN asked.window_start_date AND asked.utc_date
                GROUP BY ALL
                UNION ALL
                SELECT DISTINCT 'days', 'days', 'ex_btc_eth', 'all', 'all', 'all', utc_date, utc_date, 0, false
                FROM int_exchange_volumes_summed
                """
            )
            connection.execute(f"CREATE TABLE bands AS {sql}")
            found += connection.execute(
                """
                SELECT $1, bands.definition_id, bands.utc_date, bands.band_low_usd, bands.band_high_usd,
                    windows.window_net_taker_usd + (
                        SELECT sum(net_taker_usd) FROM days
                        WHERE exchange = $1 AND days.utc_date BETWEEN windows.window_start_date AND windows.utc_date
                    ) AS true_usd
                FROM bands INNER JOIN int_flow_windows_summed AS windows USING (definition_id, utc_date)
                WHERE bands.band_reason IS NULL
                """,
                [left_out],
            ).fetchall()
    shares = {}
    for name in WINDOWS:
        inside = [low <= true <= high for _, window, _, low, high, true in found if window == name]
        shares[name] = sum(inside), len(inside)
    print(f"exchange-windows whose flow lies within the band: {shares}")
    assert all(count >= 100 for _, count in shares.values())
    assert all(inside >= 0.8 * count for inside, count in shares.values())


def test_quantiles_are_students():
    from scipy.stats import t

    found = re.findall(r"\((\d+), (\d\.\d{9})\)", MODEL.read_text())
    assert [int(degrees) for degrees, _ in found] == list(range(2, 31))
    assert all(abs(float(value) - t.ppf(0.975, int(degrees))) < 1e-9 for degrees, value in found)


VENUES = ("binance", "okx", "bybit", "kraken", "coinbase")
SILENT = "coinbase"
"""tells volume and not who took: of one pair, since its days are expected and not covered, and 95 % must be"""
ASSETS = ["SOL", "ADA", "XRP", "DOT", "LINK", "AVAX", "UNI"]


@pytest.mark.chaos
def test_bars_without_sides_fill_the_band_and_no_flow(tmp_path):
    """From raw tables to the mart: four exchanges with sides, one whose bars have volume alone (NULL, never 0)."""
    raw_market.make(tmp_path)
    raw_market.execute(
        tmp_path,
        *(
            f"INSERT INTO raw.spot_symbols SELECT '{venue}', asset || '-{venue}', asset, 'USDT', 'TRADING', true, "
            f"true, 'b', 1, now()::TIMESTAMP FROM (SELECT unnest({ASSETS[: 1 if venue == SILENT else None]}) AS asset)"
            for venue in VENUES
        ),
    )
    raw_market.execute(tmp_path, raw_market.ROWS, load=1, first=raw_market.START, last=raw_market.LAST)
    raw_market.execute(tmp_path, f"UPDATE raw.spot_flows SET taker_buy_quote = NULL WHERE exchange = '{SILENT}'")
    models = ["daily_altcoin_flow", "exchange_volume_coverage"]
    raw_market.build(
        tmp_path,
        ["--full-refresh", "--exclude-resource-type", "test", "--select", *(f"+{model}" for model in models)],
    )
    with duckdb.connect(str(tmp_path / "warehouse.duckdb"), read_only=True) as con:
        [(low, window, high, reason)] = con.execute(
            "SELECT band_low_usd, window_net_taker_usd, band_high_usd, band_reason FROM marts.daily_altcoin_flow "
            "WHERE definition_id = 'rolling_365d.ex_btc_eth.all.all' AND utc_date = ?",
            [raw_market.LAST],
        ).fetchall()
        covered = dict(con.execute("SELECT exchange, is_covered FROM marts.exchange_volume_coverage").fetchall())
        [(reported, known, net)] = con.execute(
            "SELECT reported_volume_usd > 0, covered_volume_usd, net_taker_usd FROM marts.exchange_volume_coverage "
            f"WHERE exchange = '{SILENT}'"
        ).fetchall()
        flows = con.execute(
            "SELECT count(*), count(net_taker_usd) FROM intermediate.int_spot_flows_converted "
            f"WHERE exchange = '{SILENT}'"
        ).fetchall()
    assert reason is None and low < high and low != window
    assert not covered[SILENT] and all(covered[venue] for venue in VENUES if venue != SILENT)
    assert reported and not known and not net
    assert flows[0][0] > 700 and flows[0][1] == 0
