"""What the screens for wash trades and for the taker's side find on a generated market, and what they flag wrongly.

The reduction's own counts of the market's trades, then the models' own SQL. The market washes on Gate outside BTC and
ETH from 2021-03 to 2024-06, and labels sides the wrong way round on KuCoin from 2023-02 to 2023-04.
"""

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal

import duckdb
import jinja2
import pandas as pd
import polars as pl
import pytest

from orchestration.records import SCREENED
from orchestration.sandbox.generated import GeneratedMarket
from orchestration.sandbox.market import midnight_ms
from orchestration.sandbox.universe import EXCHANGES
from orchestration.trade_sums import Summer
from tests.recorded import ROOT

MODELS = ROOT / "dbt_project" / "models"
FIRST, LAST = date(2023, 1, 1), date(2024, 9, 30)
WASHED_UNTIL, FLIPPED = "2024-04-01", ("2023-01-01", "2023-04-01")


def _screens_of(trades, symbol: str) -> list[dict]:
    unit_price, unit_size = 10.0**trades.price_decimals, 10.0**trades.base_decimals
    price, size = trades.price / unit_price, trades.size / unit_size
    summer = Summer(symbol)
    summer.add(
        pl.DataFrame(
            {
                "id": trades.ids,
                "time_us": trades.times_us,
                "price": [str(Decimal(int(p)).scaleb(-trades.price_decimals)) for p in trades.price],
                "size": [str(Decimal(int(s)).scaleb(-trades.base_decimals)) for s in trades.size],
                "taker_buys": trades.labelled_buys,
                "price_near": price,
                "size_near": size,
            }
        )
    )
    return [
        {"symbol": symbol, "utc_date": day, **dict(zip(SCREENED, total.screens, strict=True))}
        for (_, day), total in summer.sums.items()
    ]


SMALL = 34, ("binance", "gate", "kucoin"), date(2024, 4, 1)
WHOLE = 40, tuple(EXCHANGES), FIRST


@pytest.fixture(scope="module", params=[SMALL, pytest.param(WHOLE, marks=pytest.mark.chaos)], ids=["small", "whole"])
def screened(request: pytest.FixtureRequest) -> Iterator[duckdb.DuckDBPyConnection]:
    """int_trust_screens_measured: R10 from the bars of seven quarters (pairs against dollars), the others from trades
    since a day."""
    size, exchanges, first_trades = request.param
    market = GeneratedMarket(LAST + timedelta(days=1), size=size, exchanges=exchanges)
    screens, flows = [], []
    for exchange in exchanges:
        for name, listing in market.listings(exchange).items() if exchange != "binance_usdm" else ():
            bars = market.bars(exchange, name, "1d")
            assert bars is not None
            unit = 10.0**bars.quote_decimals
            volume, bought = bars.volume_quote.astype(float) / unit, bars.taker_buy_quote.astype(float) / unit
            bar = pd.DataFrame(
                {
                    "exchange": exchange,
                    "symbol": name,
                    "utc_date": pd.to_datetime(bars.times_ms, unit="ms"),
                    "base_asset": listing.base,
                    "is_usd_pegged_quote": listing.quote in ("USDT", "USDC", "USD", "BUSD"),
                    "flow_group": listing.base if listing.base in ("BTC", "ETH") else "ALT",
                    "close_price": bars.close / 10.0**bars.price_decimals,
                    "volume_usd": volume,
                    "net_taker_usd": 2 * bought - volume,
                }
            )
            flows.append(bar[(bar["utc_date"] >= pd.Timestamp(FIRST)) & (bar["volume_usd"] > 0)])
            trades = market.trades(exchange, name, midnight_ms(first_trades), midnight_ms(LAST + timedelta(days=1)))
            if len(trades.ids):
                screens += [{"exchange": exchange, **row} for row in _screens_of(trades, name)]
    connection = duckdb.connect()
    found, bars = pd.DataFrame(screens), pd.concat(flows)
    bars = bars[~bars["base_asset"].isin(["USDC", "UST", "USDT", "BUSD", "DAI"])]
    connection.register("found", found)
    connection.register("bars", bars)
    connection.execute("CREATE TABLE stg_spot_trade_screens AS FROM found")
    connection.execute(
        "CREATE TABLE int_spot_flows_converted AS SELECT * REPLACE (utc_date::DATE AS utc_date, "
        "net_taker_usd::DECIMAL(38, 8) AS net_taker_usd) FROM bars"
    )
    connection.execute("CREATE TABLE asset_renames_and_eras(asset VARCHAR, utc_date DATE, kind VARCHAR)")
    words = {"ref": lambda name: name, "config": lambda **_: "", "is_incremental": lambda: False}
    for model in ("int_symbol_quarters_measured", "int_trust_screens_measured"):
        sql = jinja2.Template((MODELS / "intermediate" / f"{model}.sql").read_text()).render(words)
        connection.execute(f"CREATE TABLE {model} AS {sql}")
    yield connection
    connection.close()


def _counts(screened: duckdb.DuckDBPyConnection, what: str) -> dict[str, tuple[int, int, int, int]]:
    """check → flagged and all of the faulty ones, flagged and all of the clean ones."""
    rows = screened.execute(
        f"""
        SELECT check_id, count(*) FILTER (WHERE is_faulty AND is_flagged), count(*) FILTER (WHERE is_faulty),
            count(*) FILTER (WHERE NOT is_faulty AND is_flagged), count(*) FILTER (WHERE NOT is_faulty)
        FROM (
            SELECT *, CASE check_id
                WHEN 'R10' THEN exchange = 'kucoin' AND quarter_date BETWEEN '{FLIPPED[0]}' AND '{FLIPPED[1]}'
                ELSE exchange = 'gate' AND quarter_date <= '{WASHED_UNTIL}'
                    AND (symbol IS NULL OR NOT (symbol LIKE 'BTC/%' OR symbol LIKE 'ETH/%')) END AS is_faulty
            FROM int_trust_screens_measured WHERE symbol IS {what}
        ) GROUP BY ALL ORDER BY ALL
        """
    ).fetchall()
    return {check: (hits, faulty, alarms, clean) for check, hits, faulty, alarms, clean in rows}


def test_washed_exchanges_are_flagged_and_clean_ones_are_not(screened: duckdb.DuckDBPyConnection):
    exchanges, symbols = _counts(screened, "NULL"), _counts(screened, "NOT NULL")
    for name, counts in (("exchange-quarters", exchanges), ("symbol-quarters", symbols)):
        for check, (hits, faulty, alarms, clean) in counts.items():
            print(f"{check} {name}: {hits} of {faulty} faulty flagged, {alarms} of {clean} clean flagged")
    for check in ("R13", "R14", "R16"):
        hits, faulty, alarms, clean = exchanges[check]
        assert faulty >= 1 and clean >= 3 and (hits, alarms) == (faulty, 0), check
        hits, faulty, alarms, clean = symbols[check]
        assert faulty >= 5 and hits >= 0.95 * faulty and alarms <= 0.02 * clean, check


def test_sides_labelled_the_wrong_way_round_are_flagged(screened: duckdb.DuckDBPyConnection):
    """Two of three months of a quarter are enough for the exchange, one of three is not. Of the others only who washes
    may be flagged: a wash hides what flow has to do with price."""
    flagged = screened.execute(
        "SELECT exchange, quarter_date FROM int_trust_screens_measured "
        "WHERE check_id = 'R10' AND symbol IS NULL AND is_flagged"
    ).fetchall()
    print(f"R10 flags {flagged}")
    washed = {("gate", quarter) for _, quarter in flagged if str(quarter) <= WASHED_UNTIL}
    assert set(flagged) - washed == {("kucoin", date(2023, 1, 1))}
    assert _counts(screened, "NOT NULL")["R10"][2] == 0
