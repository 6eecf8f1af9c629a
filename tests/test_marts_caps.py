"""Stablecoin, capitalisation and dominance marts on the recorded market, and the analyst macros.

What is expected comes from the recorded files through pandas, never from the project's SQL.
"""

# The types of pandas' indexing are unions that no indexing satisfies.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportGeneralTypeIssues=false
# pyright: reportCallIssue=false, reportReturnType=false, reportIndexIssue=false, reportOptionalMemberAccess=false

import gzip
import json
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest

from orchestration import publish
from tests import recorded

pytestmark = pytest.mark.recorded

SSR_DAY = "2024-12-31"
COINS = {"1": "USDT", "2": "USDC", "146": "USDe", "209": "USDS", "262": "USD1"}
HEADLINE = ("ex_btc_eth", "all", "all")


@pytest.fixture(scope="session")
def warehouse(market: Path) -> Path:
    return recorded.build(market)


@pytest.fixture(scope="session")
def published(warehouse: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The marts that the macros read, and the macros, in a file as publish writes it."""
    path = tmp_path_factory.mktemp("published") / "marts.duckdb"
    with duckdb.connect() as con:
        con.execute(f"ATTACH '{warehouse}' AS warehouse (READ_ONLY)")
        con.execute(f"ATTACH '{path}' AS marts (STORAGE_VERSION '{publish.STORAGE_VERSION}')")
        for table in ("daily_altcoin_flow", "daily_asset_flows", "daily_symbol_flows", "published_headlines"):
            con.execute(f"CREATE TABLE marts.{table} AS FROM warehouse.marts.{table}")
        con.execute(
            """
            INSERT INTO marts.published_headlines VALUES
                ('r1', '2025-01-02 00:40:00', 'd', '2025-01-01', 10),
                ('r2', '2025-01-02 10:40:00', 'd', '2025-01-01', 11),
                ('r3', '2025-01-05 00:40:00', 'd', '2025-01-01', NULL),
                ('r3', '2025-01-05 00:40:00', 'd', '2025-01-04', 7)
            """
        )
    with duckdb.connect(str(path)) as con:
        con.execute(publish.MACROS.read_text())
    return path


@pytest.fixture
def analyst(published: Path):
    """An analyst's session: the file attached under a name of their own."""
    with duckdb.connect() as con:
        con.execute(f"ATTACH '{published}' AS whatever (READ_ONLY)")
        con.execute("USE whatever")
        yield con


@pytest.fixture(scope="session")
def totals(market: Path) -> pd.Series:
    """DefiLlama's total in US dollars by day."""
    points = _json(market / "http/stablecoins.llama.fi/stablecoincharts/all.gz")
    values = {_day(point["date"]): sum(point["totalCirculatingUSD"].values()) for point in points}
    return _by_day(values)


@pytest.fixture(scope="session")
def supplies(market: Path) -> pd.DataFrame:
    """Supply of each coin (columns: ids) by day; the last record of a day."""
    return pd.DataFrame({coin: _history(_coin(market, coin)["tokens"]) for coin in COINS})


@pytest.fixture(scope="session")
def klines(market: Path) -> pd.DataFrame:
    bars = pd.read_parquet(
        market / "binance/spot/klines_1d.parquet", columns=["symbol", "open_time", "close", "volume", "quote_volume"]
    )
    bars["day"] = pd.to_datetime(bars["open_time"], unit="ms")
    for column in ("close", "volume", "quote_volume"):
        bars[column] = bars[column].astype(float)
    return bars[(bars["day"] >= pd.Timestamp(recorded.FIRST_DATE)) & (bars["day"] <= pd.Timestamp(recorded.LAST_DATE))]


@pytest.fixture(scope="session")
def reported_caps(market: Path) -> pd.DataFrame:
    """Reported capitalisation of each asset (columns: tickers in upper case) by day."""
    rows = pd.read_parquet(market / "coinmetrics/asset_metrics.parquet")
    rows["day"] = pd.to_datetime(rows["time"].str[:10])
    rows["cap"] = rows["CapMrktEstUSD"].astype(float)
    return rows.assign(asset=rows["asset"].str.upper()).pivot(index="day", columns="asset", values="cap")


def _json(file: Path):
    return json.loads(gzip.decompress(file.read_bytes()))


def _coin(market: Path, coin: str) -> dict:
    return _json(market / f"http/stablecoins.llama.fi/stablecoin/{coin}.gz")


def _day(seconds: int | str) -> pd.Timestamp:
    return pd.Timestamp(int(seconds), unit="s").normalize()


def _history(points: list[dict]) -> pd.Series:
    reported = [point for point in points if "peggedUSD" in point["circulating"]]
    reported.sort(key=lambda point: int(point["date"]))
    return _by_day({_day(point["date"]): float(point["circulating"]["peggedUSD"]) for point in reported})


def _by_day(values: dict) -> pd.Series:
    series = pd.Series(values, dtype=float).sort_index()
    return series[series.index <= pd.Timestamp(recorded.LAST_DATE)]


def _read(warehouse: Path, sql: str) -> pd.DataFrame:
    """Rows with the day as a timestamp and amounts as float: compared to 1e-9, never summed here."""
    rows = recorded.read(warehouse, sql)
    for column in rows.columns[rows.dtypes.astype(str).str.startswith("decimal")]:
        rows[column] = rows[column].astype(float)
    if "utc_date" in rows:
        rows["utc_date"] = pd.to_datetime(rows["utc_date"])
    return rows


def _sample(days: pd.Index, count: int = 60) -> pd.DatetimeIndex:
    """The first day, the last one and some between, always the same ones."""
    chosen = np.random.default_rng(20250614).choice(len(days), size=min(count, len(days)), replace=False)
    return pd.DatetimeIndex(days[sorted({0, len(days) - 1, *chosen})])


def _same(got, expected) -> None:
    got, expected = np.asarray(got, dtype=float), np.asarray(expected, dtype=float)
    assert (np.isnan(got) == np.isnan(expected)).all()
    np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-9)


def test_ssr_and_oscillator(warehouse: Path, totals: pd.Series, reported_caps: pd.DataFrame):
    rows = _read(warehouse, "SELECT * FROM marts.daily_stablecoin_ratio ORDER BY utc_date").set_index("utc_date")
    assert round(rows.loc[SSR_DAY, "ssr"], 3) == 8.923
    assert round(rows.loc[SSR_DAY, "oscillator"], 3) == 0.853

    every_day = pd.date_range(totals.index[0], "2025-02-05")
    ssr = (reported_caps["BTC"] / totals).reindex(every_day)
    _same(rows["ssr"].reindex(every_day), ssr)
    # Window by window: pandas' rolling sums carry rounding over from 2017, when the ratio was 10^6.
    windows = np.lib.stride_tricks.sliding_window_view(ssr.to_numpy(), 200)
    oscillator = (windows[:, -1] - windows.mean(axis=1)) / windows.std(axis=1, ddof=1)
    _same(rows["oscillator"].reindex(every_day[199:]), oscillator)
    assert rows["oscillator"].reindex(every_day[:199]).isna().all()
    assert rows["oscillator"].notna().sum() > 2000
    assert not rows.loc[:"2025-02-05", "is_estimated"].any()
    assert rows.loc["2025-02-06":, "is_estimated"].all()


def test_the_oscillator_repeats_the_price(warehouse: Path):
    """Correlation with Bitcoin's own 200-day price z-score: 0.78."""
    rows = _read(warehouse, "SELECT * FROM marts.daily_stablecoin_ratio ORDER BY utc_date").set_index("utc_date")
    pairs = rows.loc["2020-01-01":, ["oscillator", "btc_price_z"]].dropna()
    last = rows.iloc[-1]
    assert last["price_z_correlation_days"] == len(pairs)
    assert last["price_z_correlation_ratio"] == pytest.approx(pairs["oscillator"].corr(pairs["btc_price_z"]), abs=1e-9)
    assert round(last["price_z_correlation_ratio"], 2) == 0.78


def test_estimates_continue_the_reported_cap(warehouse: Path):
    """The last reported capitalisation of Bitcoin and the first estimated one imply the same supply within 1 %."""
    rows = _read(warehouse, "SELECT * FROM intermediate.int_asset_caps_chosen WHERE asset = 'BTC'").set_index(
        "utc_date"
    )
    supply = rows["cap_usd"] / rows["price_usd"]
    assert rows.loc["2025-02-05", "source_kind"] == "reported"
    assert rows.loc["2025-02-06", "source_kind"] == "estimated"
    assert supply["2025-02-06"] / supply["2025-02-05"] == pytest.approx(1, abs=0.01)
    assert (pd.to_datetime(rows.loc["2025-02-06":, "snapshot_date"]) == "2026-01-28").all()


def test_nothing_is_estimated_across_another_unit_or_coin(warehouse: Path):
    """BTT, BEAM and LIT are other coins on CoinGecko; bundles count their coins; SUN was redenominated 2021-06-18."""
    rows = _read(warehouse, "SELECT * FROM intermediate.int_asset_caps_chosen WHERE source_kind = 'estimated'")
    assert not set(rows["asset"]) & {"BTT", "BEAM", "LIT", "WBTC", "WBETH", "BUSD", "TUSD", "FDUSD"}
    assert {"BTC", "ETH", "SOL", "1000CHEEMS", "XMR"} <= set(rows["asset"])
    assert rows.loc[rows["asset"] == "SUN", "utc_date"].min() == pd.Timestamp("2021-06-18")
    cheems = rows[rows["asset"] == "1000CHEEMS"].iloc[-1]
    assert 1e8 < cheems["cap_usd"] < 1e9


def test_stablecoin_supply(warehouse: Path, supplies: pd.DataFrame, totals: pd.Series):
    rows = _read(warehouse, "SELECT * FROM marts.daily_stablecoin_supply")
    assert len(rows) == supplies.notna().to_numpy().sum()
    every_day = pd.date_range(totals.index[0], totals.index[-1])
    covered = supplies.sum(axis=1).reindex(every_day)
    total = totals.reindex(every_day)
    for coin, symbol in COINS.items():
        got = rows[rows["stablecoin_id"] == coin].set_index("utc_date")
        supply = supplies[coin].reindex(every_day)
        days = _sample(got.index.sort_values())
        assert set(got["symbol"]) == {symbol}
        _same(got.loc[days, "circulating_usd"], supply[days])
        _same(got.loc[days, "share_ratio"], (supply / total)[days])
        _same(got.loc[days, "covered_share_ratio"], (covered / total)[days])
        _same(got.loc[days, "total_circulating_usd"], total[days])
        for length in (7, 30, 90):
            _same(got.loc[days, f"net_{length}d_change_usd"], (supply - supply.shift(length))[days])
            _same(got.loc[days, f"total_net_{length}d_change_usd"], (total - total.shift(length))[days])


def test_chains_add_up_to_the_coin(warehouse: Path, market: Path, supplies: pd.DataFrame, totals: pd.Series):
    quality = _read(warehouse, "SELECT * FROM quality.dq_stablecoin_chains").set_index("symbol")
    usdc = quality.loc["USDC"]
    assert (usdc["compared_days"], round(usdc["within_ratio"], 4)) == (445, 0.9056)
    assert round(usdc["worst_deviation_ratio"], 4) == 0.0607
    assert usdc["worst_date"] == date(2022, 12, 13)

    rows = _read(warehouse, "SELECT * FROM marts.daily_stablecoin_chain_supply")
    balances = _coin(market, "2")["chainBalances"]
    chains = pd.DataFrame({chain: _history(balance["tokens"]) for chain, balance in balances.items()})
    assert len(rows) == chains.notna().to_numpy().sum()
    assert set(rows["stablecoins"]) == {"USDC"}
    days = _sample(chains.index)
    for column, expected in (
        ("circulating_usd", chains),
        ("share_ratio", chains.div(totals, axis=0)),
        ("chain_share_ratio", chains.div(chains.sum(axis=1), axis=0)),
        ("net_30d_change_usd", chains - chains.shift(freq="30D").reindex(chains.index)),
    ):
        got = rows.pivot(index="utc_date", columns="chain", values=column)
        _same(got.reindex(index=days, columns=chains.columns), expected.loc[days])
    per_day = rows.drop_duplicates("utc_date").set_index("utc_date")["chain_sum_ratio"]
    _same(per_day[days], (chains.sum(axis=1) / supplies["2"])[days])


@pytest.fixture(scope="session")
def caps(
    warehouse: Path, market: Path, klines: pd.DataFrame, reported_caps: pd.DataFrame, supplies: pd.DataFrame
) -> pd.DataFrame:
    """Capitalisation of each asset by day: reported, else supply at the peg, else close x supply of the snapshot.

    Which coin an asset is, is taken from the project: the seed and the rules behind it have tests of their own."""
    matched = recorded.read(
        warehouse,
        "SELECT asset, coin_id, units_per_asset FROM intermediate.int_coin_snapshots_matched "
        "WHERE asset IS NOT NULL AND NOT is_stablecoin",
    )
    coins = {coin["id"]: coin for coin in _json(market / "coingecko/coins_markets_2026-01-28.json.gz")}
    usdt = klines[klines["symbol"].str.endswith("USDT")]
    closes = usdt.assign(asset=usdt["symbol"].str.removesuffix("USDT")).pivot(
        index="day", columns="asset", values="close"
    )
    closes.loc[: pd.Timestamp("2021-06-17"), "SUN"] = np.nan
    estimated = pd.DataFrame(
        {
            row.asset: closes[row.asset] * coins[row.coin_id]["circulating_supply"] / row.units_per_asset
            for row in matched.itertuples()
        }
    )
    pegged = supplies.rename(columns={coin: symbol.upper() for coin, symbol in COINS.items()})
    in_run = reported_caps[reported_caps.index <= pd.Timestamp(recorded.LAST_DATE)]
    return in_run.combine_first(pegged).combine_first(estimated)


def test_covered_shares_of_capitalisation(warehouse: Path, caps: pd.DataFrame):
    rows = _read(warehouse, "SELECT * FROM marts.daily_dominance")
    stable = ["USDT", "USDC", "USDE", "USDS", "USD1", "BUSD", "DAI"]
    days = _sample(caps.index[caps.index >= pd.Timestamp("2018-01-01")])
    for definition, inside in (
        ("cap_all", caps),
        ("cap_top_125", caps),  # never more than 125 assets on the recorded market
        ("cap_ex_stable", caps.drop(columns=stable)),
    ):
        got = rows[rows["definition_id"] == definition].set_index("utc_date")
        whole = inside.sum(axis=1)
        held = [column for column in stable if column in inside]
        _same(got.loc[days, "covered_usd"] / whole[days], np.ones(len(days)))
        _same(got.loc[days, "asset_count"], inside.notna().sum(axis=1)[days])
        _same(got.loc[days, "covered_btc_share_ratio"], (inside["BTC"] / whole)[days])
        _same(got.loc[days, "covered_eth_share_ratio"], (inside["ETH"] / whole)[days])
        _same(got.loc[days, "covered_stablecoin_share_ratio"], (inside[held].sum(axis=1) / whole)[days])
        others = inside.drop(columns=["BTC", "ETH", *held])
        _same(got.loc[days, "covered_other_share_ratio"], (others.sum(axis=1) / whole)[days])


def test_covered_shares_of_spot_volume(warehouse: Path, klines: pd.DataFrame):
    """USDT amounts as they are; a pair like USDTTRY counts the USDT that changed hands; days with EUR pairs are not
    sampled."""
    rows = _read(warehouse, "SELECT * FROM marts.daily_dominance WHERE definition_id = 'spot_volume'")
    got = rows.set_index("utc_date")
    with_euro = klines.loc[klines["symbol"].str.endswith("EUR"), "day"]
    quoted = klines["symbol"].str.endswith("USDT")
    volumes = klines.assign(
        asset=klines["symbol"].str.removesuffix("USDT").where(quoted, "USDT"),
        usd=klines["quote_volume"].where(quoted, klines["volume"]),
    )
    inverse_without_volume = ~quoted & (klines["quote_volume"] == 0)
    is_quarantined = (klines["symbol"] == "AUDUSDT") & (klines["day"] == "2020-11-13")
    volumes = volumes[~inverse_without_volume & ~is_quarantined & ~volumes["asset"].isin(["EUR", "GBP", "AUD"])]
    volumes = volumes[~volumes["day"].isin(with_euro)]
    by_asset = volumes.pivot_table(index="day", columns="asset", values="usd", aggfunc="sum")
    whole = by_asset.sum(axis=1)
    days = _sample(by_asset.index)
    stable = ["USDT", "USDC", "BUSD", "TUSD", "FDUSD", "USD1", "USDP", "DAI", "SUSD", "UST", "USTC", "AEUR", "EURI"]
    stable = [asset for asset in [*stable, "PAX", "USDSB", "XUSD", "BFUSD", "USDS", "USDE", "VAI"] if asset in by_asset]
    _same(got.loc[days, "covered_usd"] / whole[days], np.ones(len(days)))
    _same(got.loc[days, "covered_btc_share_ratio"], (by_asset["BTC"] / whole)[days])
    _same(got.loc[days, "covered_eth_share_ratio"], (by_asset["ETH"] / whole)[days])
    _same(got.loc[days, "covered_stablecoin_share_ratio"], (by_asset[stable].sum(axis=1) / whole)[days])


def test_shares_add_up_and_unknown_wholes_stay_unknown(warehouse: Path):
    """The only snapshot of the recording is dated after the run: how much of the market is covered is not known."""
    quality = _read(warehouse, "SELECT * FROM quality.dq_shares").set_index("definition_id")
    assert set(quality.index) == {"cap_all", "cap_ex_stable", "cap_top_125", "spot_volume"}
    assert (quality["max_deviation_ratio"] <= 1e-12).all()
    rows = _read(warehouse, "SELECT * FROM marts.daily_dominance WHERE utc_date >= '2020-01-01'")
    assert rows["covered_btc_share_ratio"].notna().all()
    assert rows["covered_cap_ratio"].isna().all()
    unknown = rows[["btc_share_ratio", "eth_share_ratio", "stablecoin_share_ratio", "other_share_ratio"]]
    assert unknown.isna().all(axis=None)


def _rows(con: duckdb.DuckDBPyConnection, sql: str, *parameters) -> list[tuple]:
    return con.execute(sql, parameters or None).fetchall()


def test_cumulative_flow_is_the_mart_for_its_windows(analyst: duckdb.DuckDBPyConnection):
    for days, definition in ((365, "rolling_365d.ex_btc_eth.all.all"), (90, "rolling_90d.ex_btc.usd_pegged.trusted")):
        universe, quotes, trust = definition.split(".")[1:]
        columns = (
            "utc_date, window_net_taker_usd, window_volume_usd, window_imbalance_ratio, is_window_complete, "
            "cumulative_net_taker_usd"
        )
        macro = _rows(analyst, f"SELECT {columns} FROM cumulative_flow({days}, '{universe}', '{quotes}', '{trust}')")
        mart = _rows(
            analyst, f"SELECT {columns} FROM daily_altcoin_flow WHERE definition_id = ? ORDER BY utc_date", definition
        )
        assert len(macro) > 1900
        assert macro == mart


def test_cumulative_flow_takes_any_length(analyst: duckdb.DuckDBPyConnection):
    """The worst 244 days on pairs against dollars: -19.06 B, ending on 2025-03-16."""
    low = _rows(
        analyst,
        "SELECT utc_date, window_net_taker_usd FROM cumulative_flow(244, 'ex_btc_eth', 'usd_pegged', 'all') "
        "WHERE is_window_complete AND utc_date >= '2021-06-04' ORDER BY window_net_taker_usd LIMIT 1",
    )
    assert low == [(date(2025, 3, 16), pytest.approx(Decimal("-19.06e9"), abs=Decimal("5e6")))]
    for day in (date(2021, 1, 1), date(2023, 5, 5), date(2025, 6, 14)):
        plain = _rows(
            analyst,
            "SELECT sum(net_taker_usd), sum(volume_usd) FROM daily_altcoin_flow "
            "WHERE definition_id = 'since_2020.ex_btc_eth.all.all' AND utc_date > ? AND utc_date <= ?",
            day - timedelta(days=17),
            day,
        )
        macro = _rows(
            analyst,
            "SELECT window_net_taker_usd, window_volume_usd FROM cumulative_flow(17, 'ex_btc_eth', 'all', 'all') "
            "WHERE utc_date = ?",
            day,
        )
        assert macro == plain


def test_top_sellers(analyst: duckdb.DuckDBPyConnection):
    """2021, both ends included: ADA was sold most, 1.7832 B on balance."""
    top = _rows(
        analyst,
        "SELECT base_asset, net_taker_usd, volume_usd, day_count FROM top_sellers('2021-01-01', '2021-12-31', 5)",
    )
    plain = _rows(
        analyst,
        "SELECT base_asset, sum(net_taker_usd), sum(volume_usd), count(DISTINCT utc_date) FROM daily_symbol_flows "
        "WHERE asset_class = 'altcoin' AND year(utc_date) = 2021 AND net_taker_usd IS NOT NULL "
        "GROUP BY 1 ORDER BY 2, 1 LIMIT 5",
    )
    assert top == plain
    assert (top[0][0], round(top[0][1] / 10**9, 4)) == ("ADA", Decimal("-1.7832"))


def test_flow_by_exchange(analyst: duckdb.DuckDBPyConnection):
    """One day: start and end are the same and it is included."""
    for start, end in (("2024-02-29", "2024-02-29"), ("2024-01-01", "2024-12-31")):
        macro = _rows(
            analyst,
            "SELECT exchange, flow_group, net_taker_usd, volume_usd, symbol_count FROM flow_by_exchange(?, ?)",
            start,
            end,
        )
        plain = _rows(
            analyst,
            "SELECT exchange, flow_group, sum(net_taker_usd), sum(volume_usd), count(DISTINCT symbol) "
            "FROM daily_symbol_flows WHERE utc_date >= ? AND utc_date <= ? AND net_taker_usd IS NOT NULL "
            "GROUP BY 1, 2 ORDER BY 1, 2",
            start,
            end,
        )
        assert len(macro) >= 4
        assert macro == plain


def test_asset_history(analyst: duckdb.DuckDBPyConnection):
    rows = _rows(analyst, "SELECT utc_date, net_taker_usd, cumulative_net_taker_usd FROM asset_history('sol')")
    plain = _rows(
        analyst, "SELECT utc_date, net_taker_usd FROM daily_asset_flows WHERE base_asset = 'SOL' ORDER BY utc_date"
    )
    assert [row[:2] for row in rows] == plain
    assert [row[2] for row in rows] == list(np.cumsum([net for _, net in plain]))
    in_2021 = sum(net for day, net in plain if day.year == 2021)
    assert round(in_2021 / 10**9, 4) == Decimal("-0.2208")


@pytest.mark.parametrize(
    "as_of, expected",
    [
        ("DATE '2025-01-01'", []),
        ("TIMESTAMP '2025-01-02 01:00:00'", [("d", date(2025, 1, 1), 10, datetime(2025, 1, 2, 0, 40), "r1")]),
        ("TIMESTAMP '2025-01-02 10:40:00'", [("d", date(2025, 1, 1), 11, datetime(2025, 1, 2, 10, 40), "r2")]),
        ("'2025-01-02'", [("d", date(2025, 1, 1), 11, datetime(2025, 1, 2, 10, 40), "r2")]),
        ("DATE '2025-01-04'", [("d", date(2025, 1, 1), 11, datetime(2025, 1, 2, 10, 40), "r2")]),
        (
            "DATE '2025-01-05'",
            [
                ("d", date(2025, 1, 1), None, datetime(2025, 1, 5, 0, 40), "r3"),
                ("d", date(2025, 1, 4), 7, datetime(2025, 1, 5, 0, 40), "r3"),
            ],
        ),
    ],
)
def test_flow_as_of_gives_what_stood_published(analyst: duckdb.DuckDBPyConnection, as_of: str, expected: list):
    """A day means its end; a value withdrawn (NULL) stands as withdrawn."""
    assert _rows(analyst, f"SELECT * REPLACE (value::INTEGER AS value) FROM flow_as_of({as_of})") == expected


def test_macros_say_what_they_do(analyst: duckdb.DuckDBPyConnection):
    comments = dict(
        _rows(
            analyst,
            "SELECT function_name, comment FROM duckdb_functions() "
            "WHERE database_name = 'whatever' AND function_type = 'table_macro'",
        )
    )
    assert set(comments) == {"cumulative_flow", "top_sellers", "flow_by_exchange", "asset_history", "flow_as_of"}
    assert all(text.startswith("One row per") for text in comments.values())
