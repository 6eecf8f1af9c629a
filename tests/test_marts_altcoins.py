"""Altcoin season, drawdowns, concentration, rotation, recovery and lives of altcoins on the recorded market.

What is expected is computed here from the recorded bars with pandas and numpy, never from the project's tables. The
classes are those of EXPECTED.json. Days are sampled from August 2021 on: pairs against euros, whose dollars rest on a
rate, were recorded until 2021-04-10, and windows look back 90 days.
"""

# The types of pandas' indexing are unions that no indexing satisfies.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportGeneralTypeIssues=false
# pyright: reportCallIssue=false, reportReturnType=false, reportIndexIssue=false, reportOptionalMemberAccess=false

import csv
import gzip
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests import recorded

pytestmark = pytest.mark.recorded

ERAS = {
    "COCOS": "2021-01-23",
    "BTCST": "2021-03-19",
    "DREP": "2021-04-02",
    "SUN": "2021-06-18",
    "LUNA": "2022-05-31",
    "VIDT": "2022-11-09",
    "QUICK": "2023-07-21",
    "STRAX": "2024-03-28",
}
LAST = pd.Timestamp(recorded.LAST_DATE)
END_OF_2021 = pd.Timestamp("2021-12-31")


@pytest.fixture(scope="session")
def warehouse(market: Path) -> Path:
    return recorded.build(market)


@pytest.fixture(scope="session")
def groups(market: Path) -> dict[str, set[str]]:
    """Base assets outside of the altcoins, by EXPECTED.json."""
    expected = json.loads((market / "EXPECTED.json").read_text())
    return expected["not_alt"] | {"leveraged": set(expected["leveraged_tokens"])}


@pytest.fixture(scope="session")
def bars(market: Path) -> pd.DataFrame:
    """Bars against USDT of every asset: asset, day, close, volume, buy, net, trades."""
    columns = ["symbol", "open_time", "close", "quote_volume", "taker_buy_quote", "trades"]
    rows = pd.read_parquet(market / "binance/spot/klines_1d.parquet", columns=columns)
    rows = rows[rows["symbol"].str.endswith("USDT")]
    day = pd.to_datetime(rows["open_time"], unit="ms")
    volume, buy = rows["quote_volume"].astype(float), rows["taker_buy_quote"].astype(float)
    table = pd.DataFrame(
        {
            "asset": rows["symbol"].str.removesuffix("USDT"),
            "day": day,
            "close": rows["close"].astype(float),
            "volume": volume,
            "sell": volume - buy,
            "net": 2 * buy - volume,
            "trades": rows["trades"].astype(int),
        }
    )
    return table[(table["day"] >= pd.Timestamp(recorded.FIRST_DATE)) & (table["day"] <= LAST)]


@pytest.fixture(scope="session")
def alts(bars: pd.DataFrame, groups: dict[str, set[str]]) -> pd.DataFrame:
    return bars[~bars["asset"].isin({asset for assets in groups.values() for asset in assets})]


@pytest.fixture(scope="session")
def closes(alts: pd.DataFrame) -> pd.DataFrame:
    return wide(alts, "close")


@pytest.fixture(scope="session")
def eras(closes: pd.DataFrame) -> pd.DataFrame:
    """Number of the era of each close; NaN without one."""
    numbers = closes.notna().astype(float).where(closes.notna())
    for asset, first in ERAS.items():
        if asset in numbers:
            numbers.loc[pd.Timestamp(first) :, asset] += 1
    return numbers


def wide(rows: pd.DataFrame, column: str) -> pd.DataFrame:
    table = rows.pivot(index="day", columns="asset", values=column)
    return table.reindex(pd.date_range(table.index[0], LAST))


def read(warehouse: Path, sql: str) -> pd.DataFrame:
    """Rows by day, amounts as float: compared to 1e-9."""
    rows = recorded.read(warehouse, sql)
    for column in rows.columns[rows.dtypes.astype(str).str.startswith("decimal")]:
        rows[column] = rows[column].astype(float)
    for column in rows.columns[rows.columns.str.endswith("_date")]:
        rows[column] = pd.to_datetime(rows[column])
    return rows


def sample(first: str = "2021-08-01", count: int = 24) -> pd.DatetimeIndex:
    """Days spread over the recording, always the same ones; the first and the last among them."""
    days = pd.date_range(first, LAST)
    chosen = np.random.default_rng(20250614).choice(len(days), size=count, replace=False)
    return days[sorted({0, len(days) - 1, *chosen})]


def same(got, expected) -> None:
    got, expected = np.asarray(got, dtype=float), np.asarray(expected, dtype=float)
    assert (np.isnan(got) == np.isnan(expected)).all()
    np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-9)


def return_90d(table: pd.DataFrame, eras: pd.DataFrame, day: pd.Timestamp) -> pd.Series:
    before = day - pd.Timedelta(days=90)
    same_era = eras.loc[day] == eras.loc[before]
    return (table.loc[day] / table.loc[before] - 1).where(same_era)


@pytest.mark.parametrize("size", [50, 100])
def test_altcoin_season(warehouse: Path, bars: pd.DataFrame, closes: pd.DataFrame, eras: pd.DataFrame, size: int):
    rows = read(warehouse, f"FROM marts.daily_altseason WHERE definition_id = 'top_{size}'").set_index("utc_date")
    coins = bars[bars["asset"].isin([*closes.columns, "ETH", "BTC"])]
    volumes, prices = wide(coins, "volume"), wide(coins, "close")
    all_eras = eras.reindex(columns=prices.columns)
    all_eras[["ETH", "BTC"]] = 1.0
    for day in sample():
        returns = return_90d(prices, all_eras, day).dropna()
        means = volumes.loc[day - pd.Timedelta(days=29) : day].mean()
        largest = means[returns.index].drop("BTC").nlargest(size).index
        row = rows.loc[day]
        assert row["members"].split(",") == sorted(largest), day
        assert row["ranking"] == "volume_30d"
        same(row["altseason_index"], 100 * (returns[largest] > returns["BTC"]).mean())
        same(row["median_return_90d_ratio"], returns[largest].median())


def test_altcoin_season_of_the_figures(warehouse: Path):
    rows = read(warehouse, "FROM marts.daily_altseason WHERE definition_id = 'top_50'").set_index("utc_date")
    days = ["2024-12-05", "2025-01-13", "2025-06-14"]
    assert rows.loc[days, "altseason_index"].tolist() == [82, 38, 34]


@pytest.fixture(scope="session")
def drawdowns(closes: pd.DataFrame, eras: pd.DataFrame) -> pd.DataFrame:
    """Close / highest close of 2021 and before - 1, by day, of the basket of 2021-12-31 in its era."""
    early = closes.where(eras == eras.loc[END_OF_2021]).loc[:END_OF_2021]
    basket = closes.columns[closes.loc[END_OF_2021].notna()]
    later = closes.where(eras == eras.loc[END_OF_2021])
    return (later / early.max() - 1)[basket].loc[END_OF_2021:]


def test_drawdown_breadth(warehouse: Path, drawdowns: pd.DataFrame, root: Path):
    """Delisted: no bar up to the last day, and neither renamed nor in another unit since."""
    with (root / "dbt_project/seeds/asset_renames_and_eras.csv").open() as file:
        renamed = {row["asset"] for row in csv.DictReader(file) if row["kind"] == "rename"}
    went_on = renamed | {asset for asset, first in ERAS.items() if first > "2022" and asset != "LUNA"}
    last_days = drawdowns.apply(pd.Series.last_valid_index)
    gone = {asset for asset, last in last_days.items() if last < LAST and asset not in went_on}
    rows = read(warehouse, "FROM marts.daily_drawdown_breadth WHERE definition_id = 'peak_2021.basket_2021'").set_index(
        "utc_date"
    )
    assert len(gone) > 30
    for day in sample("2022-01-01"):
        today = drawdowns.loc[day]
        dead = today.index[today.isna() & today.index.isin(gone) & (last_days < day)]
        at_last = pd.concat(
            [today.dropna(), pd.Series({asset: drawdowns.at[last_days[asset], asset] for asset in dead})]
        )
        at_loss = pd.concat([today.dropna(), pd.Series(-1.0, index=dead)])
        row = rows.loc[day]
        assert (row["member_count"], row["survivor_count"], row["delisted_count"]) == (
            210,
            today.notna().sum(),
            len(dead),
        ), day
        for case, values in (("survivor", today.dropna()), ("last_price", at_last), ("total_loss", at_loss)):
            same(row[f"{case}_50_to_80_share_ratio"], ((values >= -0.8) & (values <= -0.5)).mean())
            same(row[f"{case}_below_50_share_ratio"], (values <= -0.5).mean())
            same(row[f"{case}_below_80_share_ratio"], (values < -0.8).mean())
            same(row[f"{case}_below_90_share_ratio"], (values <= -0.9).mean())
            same(row[f"{case}_median_drawdown_ratio"], values.median())
        ever = (drawdowns.loc["2022-01-01":day] <= -0.9).any().sum()
        same(row["ever_below_90_share_ratio"], ever / 210)


def test_drawdowns_of_the_figures(warehouse: Path):
    """The figures of METRICS.md compare closes across breaks of the price; within eras they are the second line."""
    rows = read(warehouse, "FROM marts.daily_drawdown_breadth").set_index(["definition_id", "utc_date"])
    columns = ["survivor_50_to_80_share_ratio", "survivor_median_drawdown_ratio"]
    for definition, count, between, median, ever in (
        ("peak_2021.basket_2021.by_ticker", 165, 0.176, -0.899, 0.824),
        ("peak_2021.basket_2021", 161, 0.180, -0.898, 0.819),
    ):
        row = rows.loc[(definition, "2024-12-31")]
        assert (row["member_count"], row["survivor_count"]) == (210, count)
        assert row[columns].astype(float).round(3).tolist() == [between, median]
        assert round(rows.loc[(definition, "2022-12-31"), "ever_below_90_share_ratio"], 3) == ever
    late = rows.loc[("peak_2021.basket_2021.by_ticker", "2024-12-31")]
    assert round(late["survivor_below_80_share_ratio"], 2) == 0.77


def test_running_peaks_and_lunas_two_lives(warehouse: Path, closes: pd.DataFrame, eras: pd.DataFrame):
    rows = read(warehouse, "FROM marts.asset_drawdowns WHERE definition_id = 'running_peak'")
    last = rows[rows["last_date"] == LAST].set_index("base_asset")
    for asset in np.random.default_rng(1).choice(sorted(set(last.index) - set(ERAS)), size=30, replace=False):
        prices = closes[asset].dropna()
        same(last.loc[asset, "drawdown_ratio"], prices.iloc[-1] / prices.max() - 1)
        assert last.loc[asset, "peak_date"] == prices.idxmax()
        same(last.loc[asset, "deepest_drawdown_ratio"], (prices / prices.cummax() - 1).min())
    old, new = rows[rows["base_asset"] == "LUNA"].sort_values("era_date").to_dict("records")
    prices = closes["LUNA"]
    assert old["last_date"] == pd.Timestamp("2022-05-13") and old["life_status"] == "delisted"
    same(old["drawdown_ratio"], prices["2022-05-13"] / prices[:"2022-05-13"].max() - 1)
    assert old["drawdown_ratio"] < -0.999 and old["total_loss_drawdown_ratio"] == -1
    assert new["first_date"] == pd.Timestamp("2022-05-31")
    same(new["peak_price"], prices["2022-05-31":].max())


def test_concentration(warehouse: Path, bars: pd.DataFrame, alts: pd.DataFrame):
    rows = read(warehouse, "FROM marts.daily_liquidity_concentration").set_index(["universe", "utc_date"])
    with_both = pd.concat([alts, bars[bars["asset"].isin(["BTC", "ETH"])]])
    for universe, inside in (("alts", alts), ("alts_btc_eth", with_both)):
        volumes = wide(inside, "volume")
        for day in sample():
            values = np.sort(volumes.loc[day].dropna().to_numpy())
            values = values[values > 0]
            shares = values / values.sum()
            differences = np.abs(values[:, None] - values[None, :]).sum()
            row = rows.loc[(universe, day)]
            same(row["hhi_ratio"], (shares**2).sum())
            same(row["effective_count"], 1 / (shares**2).sum())
            same(row["gini_ratio"], differences / (2 * len(values) * values.sum()))
            for top in (1, 5, 10):
                same(row[f"top_{top}_share_ratio"], shares[-top:].sum())
            large = values[50:] / values[50:].sum()
            same(row["hhi_ex_smallest_50_ratio"], (large**2).sum())
    assert round(rows.loc[("alts", "2021-05-19"), "hhi_ratio"], 4) == 0.0717
    assert round(rows.loc[("alts", "2025-06-14"), "hhi_ratio"], 4) == 0.0454


def test_bitcoin_without_fees_is_flagged(warehouse: Path):
    rows = read(warehouse, "FROM marts.daily_liquidity_concentration WHERE universe = 'alts_btc_eth'")
    flagged = rows[rows["has_fee_promotion"]]
    assert (flagged["utc_date"].min(), flagged["utc_date"].max()) == (
        pd.Timestamp("2022-07-08"),
        pd.Timestamp("2023-03-21"),
    )
    assert len(flagged) == 257
    same(flagged["promoted_volume_share_ratio"], flagged["btc_volume_share_ratio"])


def test_quote_rotation(warehouse: Path, alts: pd.DataFrame):
    rows = read(warehouse, "FROM marts.daily_quote_rotation")
    dollars = rows[rows["quote_class"] == "usd_pegged"].set_index("utc_date")
    sells, nets = wide(alts, "sell"), wide(alts, "net")
    for day in sample():
        before = day - pd.Timedelta(days=364)
        fixed = sells.columns[sells.loc[day].notna() & sells.loc[before].notna()]
        row, gross = dollars.loc[day], dollars.loc[day, "volume_usd"]
        same(row["taker_sell_usd"] / gross, sells.loc[day].sum() / gross)
        same(row["net_taker_usd"] / gross, nets.loc[day].sum() / gross)
        same(row["fixed_taker_sell_usd"] / gross, sells.loc[day, fixed].sum() / gross)
        same(row["fixed_net_taker_usd"] / gross, nets.loc[day, fixed].sum() / gross)
        assert row["fixed_symbol_count"] == len(fixed)
    for quote_class in ("btc", "eth_bnb"):
        absent = rows[rows["quote_class"] == quote_class]
        assert set(absent["reason"]) == {"no_pairs_covered"}
        assert absent["taker_sell_usd"].isna().all() and absent["taker_sell_share_ratio"].isna().all()


def test_retail_proxy(warehouse: Path, alts: pd.DataFrame):
    """METRICS.md gives 179 dollars a trade for 2024; that is 2025 to its end, by the same quotient 2024 has 197."""
    rows = read(warehouse, "FROM marts.daily_retail_proxy WHERE asset_group = 'ALT'").set_index("utc_date")
    by_day = alts.groupby("day")[["trades", "volume"]].sum()
    for day in sample("2022-05-01"):
        window = by_day.loc[day - pd.Timedelta(days=364) : day]
        row = rows.loc[day]
        assert row["trade_count"] == by_day.loc[day, "trades"]
        same(row["mean_trade_usd"], by_day.loc[day, "volume"] / by_day.loc[day, "trades"])
        same(row["trade_count_to_mean_ratio"], by_day.loc[day, "trades"] / window["trades"].mean())
        same(row["mean_trade_365d_usd"], window["volume"].sum() / window["trades"].sum())
    for year, millions_a_day, dollars in (("2021", 18.6, 518), ("2024", 31.7, 197)):
        days = by_day.loc[year]
        assert round(days["trades"].to_numpy().mean() / 1e6, 1) == millions_a_day
        assert round(days["volume"].to_numpy().sum() / days["trades"].to_numpy().sum()) == dollars
    assert round(rows.loc["2024", "trade_count"].mean() / 1e6, 1) == 31.7
    assert rows["below_1k_count"].isna().all(), "no trades are recorded one by one"


def test_recycling_index_and_its_benchmark(warehouse: Path, alts: pd.DataFrame):
    rows = read(warehouse, "FROM marts.daily_meme_rotation").set_index("utc_date")
    nets, volumes = wide(alts, "net"), wide(alts, "volume")
    draws = np.random.default_rng(99)
    for day in sample():
        net = nets.loc[day].dropna().to_numpy()
        gross = np.abs(net).sum()
        row = rows.loc[day]
        same(row["recycling_index_ratio"], 1 - abs(net.sum()) / gross)
        same(row["random_sign_mean_ratio"], 1 - np.sqrt(2 / np.pi * (net**2).sum()) / gross)
        drawn = 1 - np.abs(draws.choice([-1.0, 1.0], size=(4000, len(net))) @ np.abs(net)) / gross
        np.testing.assert_allclose(
            row[["random_sign_p05_ratio", "random_sign_p95_ratio"]].astype(float),
            np.quantile(drawn, [0.05, 0.95]),
            atol=0.04,
        )
        memes = ["DOGE", "PEPE", "FLOKI", "WIF", "BOME", "MEME", "TURBO", "PNUT", "ACT", "NEIRO", "DOGS", "TRUMP"]
        memes += ["PENGU", "PEOPLE", "1000SATS", "1000CAT", "1000CHEEMS", "1MBABYDOGE", "BANANAS31", "BROCCOLI714"]
        memes += ["SHIB", "BONK", "TST", "MUBARAK"]
        held = volumes.columns.intersection(memes)
        same(row["meme_volume_share_ratio"], volumes.loc[day, held].sum() / volumes.loc[day].sum())
    assert rows.loc[["2021-05-19", "2025-06-14"], "recycling_index_ratio"].round(3).tolist() == [0.029, 0.426]
    assert round(rows["recycling_index_ratio"].mean(), 2) == 0.59
    assert round(rows["random_sign_mean_ratio"].mean(), 2) == 0.83


def test_selective_recovery(
    warehouse: Path, bars: pd.DataFrame, alts: pd.DataFrame, closes: pd.DataFrame, eras: pd.DataFrame
):
    rows = read(warehouse, "FROM marts.daily_selective_recovery").set_index(["utc_date", "base_asset"]).sort_index()
    nets, volumes = wide(alts, "net"), wide(alts, "volume")
    bitcoin = wide(bars[bars["asset"] == "BTC"], "close")["BTC"]
    shares = {days: volumes.rolling(days, min_periods=1).sum() for days in (30, 90)}
    shares = {
        days: table.div(volumes.sum(axis=1).rolling(days, min_periods=1).sum(), axis=0)
        for days, table in shares.items()
    }
    for day in sample():
        window = nets.loc[day - pd.Timedelta(days=89) : day]
        seen = window.notna().sum()
        net = window.sum().where(seen >= 86)
        excess = return_90d(closes, eras, day) - (bitcoin[day] / bitcoin[day - pd.Timedelta(days=90)] - 1)
        got = rows.loc[day]
        coins = closes.columns[closes.loc[day].notna()]
        assert sorted(got.index) == sorted(coins)
        got = got.loc[coins]
        gross = volumes.loc[day - pd.Timedelta(days=89) : day].sum()[coins]
        same(got["window_90d_net_taker_usd"] / gross, net[coins] / gross)
        same(got["excess_return_90d_ratio"], excess[coins])
        same(got["volume_share_30d_ratio"], shares[30].loc[day, coins])
        same(got["volume_share_90d_ratio"], shares[90].loc[day, coins].where(seen[coins] >= 86))
    long = rows.xs("XRP", level="base_asset")
    run = 0
    for day, row in long.loc["2021-08-01":].iterrows():
        flags = [row["is_net_bought"], row["is_beating_btc"], row["is_share_rising"]]
        run = run + 1 if all(flag is True or flag == 1 for flag in flags) else 0
        if day > pd.Timestamp("2022-01-01"):
            assert row["recovering_days"] == run, day
            assert row["score_count"] == sum(map(bool, flags)) + (run >= 60), day


def test_lives_of_altcoins(warehouse: Path, closes: pd.DataFrame):
    """The product limit by its definition, over every age in turn."""
    lives = read(warehouse, "FROM marts.asset_survival")
    ended = lives[lives["ended_date"].notna()]
    assert set(ended["life_status"]) == {"delisted"}
    one_life = ended[~ended["base_asset"].isin([*ERAS]) & ended["base_asset"].isin(closes.columns)]
    for life in one_life.itertuples():
        assert life.ended_date == closes[life.base_asset].last_valid_index()
    assert (one_life["ended_date"] < LAST).all()
    assert len(one_life) > 50
    known = lives[lives["cohort"] != "before_recording"]
    curve = read(warehouse, "FROM marts.survival_curves WHERE cohort = 'all' ORDER BY age_days")
    survival, hazard = 1.0, 0.0
    for row in curve.itertuples():
        at_risk = (known["age_days"] >= row.age_days).sum()
        events = ((known["age_days"] == row.age_days) & ~known["is_censored"]).sum()
        survival *= 1 - events / at_risk
        hazard += events / at_risk
        assert (row.at_risk_count, row.event_count) == (at_risk, events)
        same([row.survival_ratio, row.cumulative_hazard_ratio], [survival, hazard])
    assert set(lives["cohort"]) | {"all"} == set(
        recorded.read(warehouse, "SELECT DISTINCT cohort FROM marts.survival_curves")["cohort"]
    )


def test_every_listed_asset_is_classified(warehouse: Path, market: Path, root: Path):
    """Nothing of the recorded market counts as an altcoin only because nobody looked at it."""
    with (root / "dbt_project/seeds/asset_classification.csv").open() as file:
        seed = {row["asset"] for row in csv.DictReader(file)}
    listing = json.loads(gzip.decompress((market / "binance/spot/exchangeInfo_2022-12-03.json.gz").read_bytes()))
    assert {symbol["baseAsset"] for symbol in listing["symbols"]} <= seed
    assert (
        set(recorded.read(warehouse, "SELECT DISTINCT base_asset FROM marts.daily_symbol_flows")["base_asset"]) <= seed
    )
    assert recorded.read(warehouse, "FROM quality.dq_unclassified_assets").empty
