"""Marts beside the flows (chains, macro series, perpetuals) on the recorded market, and the statistics behind them.

What is expected comes from the recorded files through pandas and numpy, never from the project's SQL.
"""

# The types of pandas' indexing are unions that no indexing satisfies.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false, reportReturnType=false
# pyright: reportGeneralTypeIssues=false, reportOperatorIssue=false, reportIndexIssue=false

import gzip
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from orchestration.statistics import macro_correlations as correlations
from tests import recorded

LAST = pd.Timestamp(recorded.LAST_DATE)


def _read(market: Path, sql: str) -> pd.DataFrame:
    rows = recorded.read(recorded.build(market), sql)
    for column in rows.columns[rows.dtypes.astype(str).str.startswith("decimal")]:
        rows[column] = rows[column].astype(float)
    for column in rows.columns[rows.columns.str.endswith("_date")]:
        rows[column] = pd.to_datetime(rows[column])
    return rows


def _sample(days: pd.Index, count: int = 40) -> pd.Index:
    chosen = np.random.default_rng(20250614).choice(len(days), size=min(count, len(days)), replace=False)
    return days[sorted({0, len(days) - 1, *chosen})]


@pytest.fixture(scope="module")
def locked(market: Path) -> pd.DataFrame:
    """Value locked by day and chain (columns), the total as `all`."""
    folder = market / "http/api.llama.fi/v2"
    files = {"all": folder / "historicalChainTvl.gz"}
    files |= {file.name.removesuffix(".gz"): file for file in (folder / "historicalChainTvl").glob("*.gz")}
    columns = {}
    for chain, file in files.items():
        points = json.loads(gzip.decompress(file.read_bytes()))
        columns[chain] = pd.Series({pd.Timestamp(p["date"], unit="s").normalize(): p["tvl"] for p in points})
    return pd.DataFrame(columns).loc[:LAST]


@pytest.fixture(scope="module")
def macro(market: Path) -> dict[str, pd.Series]:
    found = {}
    for file in (market / "http/fred.stlouisfed.org/graph").glob("*.gz"):
        rows = pd.read_csv(file, parse_dates=[0], index_col=0, na_values=".").iloc[:, 0]
        found[str(rows.name)] = rows.loc[:LAST].dropna()
    index = json.loads(gzip.decompress((market / "http/api.alternative.me/fng/__limit=0.gz").read_bytes()))
    values = {pd.Timestamp(int(p["timestamp"]), unit="s").normalize(): float(p["value"]) for p in index["data"]}
    found["FNG"] = pd.Series(values).sort_index().loc[:LAST]
    return found


@pytest.mark.recorded
def test_chain_fragmentation(market: Path, locked: pd.DataFrame):
    rows = _read(market, "SELECT * FROM marts.daily_chain_fragmentation WHERE measure = 'tvl'").set_index("utc_date")
    chains = locked.drop(columns="all")
    days = chains.dropna(how="all").index
    assert rows.index.sort_values().tolist() == days.tolist()
    shown = 0
    for day in _sample(days[days >= "2020-01-01"], 80):
        parts, got = chains.loc[day].dropna(), rows.loc[day]
        assert got["chain_count"] == (parts > 0).sum()
        covered = parts.sum() / locked.loc[day, "all"]
        assert got["covered_ratio"] == pytest.approx(covered, rel=1e-9)
        assert got["is_covered"] == (0.85 <= covered <= 1.15)
        if not got["is_covered"]:
            assert pd.isna(got["hhi_ratio"]) and pd.isna(got["arbitrum_share_ratio"])
            continue
        shown += 1
        shares = parts / parts.sum()
        assert got["hhi_ratio"] == pytest.approx((shares**2).sum(), rel=1e-9)
        assert got["effective_chain_count"] == pytest.approx(1 / (shares**2).sum(), rel=1e-9)
        assert got["largest_chain"] == shares.idxmax()
        for chain in ("Arbitrum", "Optimism"):
            expected = shares.get(chain, np.nan)
            assert got[f"{chain.lower()}_share_ratio"] == pytest.approx(expected, rel=1e-9, nan_ok=True)
        assert pd.isna(got["base_share_ratio"]) and pd.isna(got["zksync_share_ratio"]), "not recorded is not 0"
    assert shown >= 20


@pytest.mark.recorded
def test_stablecoins_per_chain_cover_too_little_for_an_index(market: Path):
    rows = _read(market, "SELECT * FROM marts.daily_chain_fragmentation WHERE measure = 'stablecoin'")
    assert len(rows) == 445 and rows["covered_ratio"].max() < 0.4
    assert rows[["hhi_ratio", "four_rollups_share_ratio"]].isna().all(axis=None)


@pytest.mark.recorded
def test_usdc_chains_and_the_coin(market: Path):
    (usdc,) = recorded.read(
        recorded.build(market), "FROM quality.dq_stablecoin_chains WHERE symbol = 'USDC'"
    ).itertuples()
    assert usdc.compared_days == 445
    assert round(usdc.within_ratio, 4) == 0.9056
    assert round(usdc.worst_deviation_ratio, 4) == 0.0607
    assert str(usdc.worst_date)[:10] == "2022-12-13"


@pytest.mark.recorded
def test_value_locked_and_no_volume_of_dexs(market: Path, locked: pd.DataFrame):
    rows = _read(market, "SELECT * FROM marts.daily_dex_liquidity").set_index("utc_date")
    total = locked["all"]
    for day in _sample(total.index[total.index >= "2020-01-01"]):
        assert rows.loc[day, "tvl_usd"] == pytest.approx(total[day], rel=1e-9)
        before = total.get(day - pd.Timedelta(days=30), np.nan)
        assert rows.loc[day, "tvl_30d_change_ratio"] == pytest.approx(total[day] / before - 1, rel=1e-9, nan_ok=True)
    assert rows["dex_volume_usd"].isna().all(), "not recorded, not asked for, and no gap"
    assert rows["dex_cex_volume_ratio"].isna().all()


@pytest.mark.recorded
def test_macro_values_and_their_change_over_a_year(market: Path, macro: dict[str, pd.Series]):
    rows = _read(market, "SELECT * FROM marts.daily_macro")
    assert not rows["is_vintage_known"].any(), "a recording does not tell when it was first to be had"
    assert rows["fetched_at"].isna().all() and (rows["revision_count"] == 0).all() and rows["is_newest"].all()
    assert set(rows["series_id"]) == {"M2SL", "WALCL", "DFF", "FEDFUNDS", "FNG"}
    for name, values in macro.items():
        got = rows[rows["series_id"] == name].set_index("utc_date").sort_index()
        stored = got["value"].dropna()
        assert stored.index.tolist() == values.index.tolist()
        np.testing.assert_allclose(stored, values, rtol=1e-9)
        for day in _sample(values.index):
            year = day - pd.DateOffset(years=1)
            earlier = values.loc[year - pd.Timedelta(days=6) : year]
            expected = values[day] / earlier.iloc[-1] - 1 if name in ("M2SL", "WALCL") and len(earlier) else np.nan
            assert got.loc[day, "yoy_change_ratio"] == pytest.approx(expected, rel=1e-9, nan_ok=True)


@pytest.mark.recorded
def test_correlations_with_money(market: Path, macro: dict[str, pd.Series]):
    """One of the 84, computed anew from the daily flow; the counts of all; nothing is left after the correction."""
    rows = _read(market, "SELECT * FROM marts.macro_correlations")
    assert len(rows) == 3 * 4 * 7 and (rows["test_count"] == 84).all()
    flows = _read(market, "SELECT * FROM intermediate.int_group_days_covered WHERE flow_group = 'ALT'")
    flows = flows.set_index("utc_date").sort_index()[["net_taker_usd", "volume_usd"]]
    ends = [flows.index[-1] - pd.Timedelta(days=30 * i) for i in range(len(flows) // 30)][::-1]
    imbalance = [
        flows.loc[end - pd.Timedelta(days=29) : end].sum().pipe(lambda s: s["net_taker_usd"] / s["volume_usd"])
        for end in ends
    ]
    money = macro["M2SL"]
    change = []
    for end in ends:
        at = end - pd.Timedelta(days=90)
        change.append(money[:at].iloc[-1] / money[: at - pd.Timedelta(days=365)].iloc[-1] - 1)
    got = rows[(rows["flow_group"] == "ALT") & (rows["series_id"] == "M2SL") & (rows["lag_days"] == 90)].iloc[0]
    assert got["window_count"] == len(ends) == 57
    assert got["correlation_ratio"] == pytest.approx(np.corrcoef(imbalance, change)[0, 1], rel=1e-9)
    assert 0.5 < got["correlation_ratio"] < 0.65 and got["lower_ratio"] < 0 < got["upper_ratio"]
    assert not rows["is_significant"].any()
    assert (rows["holm_p_value"] >= rows["benjamini_hochberg_p_value"] - 1e-15).all()


@pytest.mark.recorded
def test_spot_against_perpetuals(market: Path):
    """Six days of contracts lie in the run: the sums of the same assets on both sides; too few to ask who leads."""
    rows = _read(market, "SELECT * FROM marts.daily_spot_vs_perpetual")
    assert set(rows["asset_group"]) == {"ALT", "BTC", "ETH"} and rows["utc_date"].nunique() == 6
    assert rows.filter(like="correlation").isna().all(axis=None)
    contracts = pd.read_parquet(market / "binance/um/klines_1d.parquet")
    spot = pd.read_parquet(market / "binance/spot/klines_1d.parquet")
    for frame in (contracts, spot):
        frame["day"] = pd.to_datetime(frame["open_time"], unit="ms")
        for column in ("quote_volume", "taker_buy_quote"):
            frame[column] = frame[column].astype(float)
    for asset in ("BTC", "ETH"):
        pairs = spot[spot["symbol"].isin([f"{asset}USDT"])].set_index("day")
        perpetual = contracts[contracts["symbol"] == f"{asset}USDT"].set_index("day")
        for row in rows[rows["asset_group"] == asset].itertuples():
            own, other = perpetual.loc[row.utc_date], pairs.loc[row.utc_date]
            assert row.asset_count == 1
            volume, bought = own["quote_volume"], own["taker_buy_quote"]
            assert row.perpetual_volume_usd == pytest.approx(volume, rel=1e-9)
            assert row.perpetual_net_taker_usd == pytest.approx(2 * bought - volume, rel=1e-9, abs=1e-9 * volume)
            assert row.spot_volume_usd >= other["quote_volume"] * (1 - 1e-9), "other quotes may add to it"
            assert row.perpetual_spot_volume_ratio == pytest.approx(volume / row.spot_volume_usd, rel=1e-9)
    alts = rows[rows["asset_group"] == "ALT"]
    assert (alts["asset_count"] > 20).all() and (alts["perpetual_spot_volume_ratio"] > 1).all()


# --- the statistics themselves


def test_windows_do_not_overlap_and_are_whole():
    days = np.datetime64("2024-01-01") + np.arange(95)
    kept = np.delete(days, 40)  # the second window from the end misses a day
    windows = correlations.windows_of(kept, np.ones(94), np.full(94, 4.0))
    assert windows.imbalances.tolist() == [0.25, 0.25]
    assert np.datetime64("1970-01-01") + windows.ends[-1] == days[-1]
    assert np.diff(windows.ends).tolist() == [60]


def test_what_stood_on_a_day():
    days = np.array([0, 30, 400])
    values = np.array([10.0, 12.0, 18.0])
    assert correlations.standing(days, values, np.array([-1, 0, 29, 30, 93]), 62).tolist()[1:4] == [10.0, 10.0, 12.0]
    assert np.isnan(correlations.standing(days, values, np.array([-1, 93]), 62)).all(), "before the first, and too old"
    changed = correlations.transformed(days, values, np.array([400]), "year_change_ratio", 62)
    assert changed.tolist() == [0.5], "18 against the 12 of day 30, which stood on day 35"
    assert correlations.transformed(days, values, np.array([400]), "year_difference", 62).tolist() == [6.0]


def test_corrections_by_hand():
    """Four tests at .01, .04, .03, .005. Holm: .005 x 4 = .02, .01 x 3 = .03, .03 x 2 = .06, .04 x 1 is raised to .06.
    Benjamini and Hochberg: .005 x 4 = .02, .01 x 4 / 2 = .02, .03 x 4 / 3 = .04, .04."""
    p_values = np.array([0.01, 0.04, 0.03, 0.005])
    np.testing.assert_allclose(correlations.corrected_holm(p_values), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(correlations.corrected_discoveries(p_values), [0.02, 0.04, 0.04, 0.02])
    assert correlations.corrected_holm(np.array([])).tolist() == []


def test_slow_series_count_for_less():
    random = np.random.default_rng(1)
    steps = random.standard_normal((2, 4000))
    assert correlations.effective_count(*steps) > 3500, "independent values count in full"
    slow = np.zeros_like(steps)
    for i in range(1, 4000):
        slow[:, i] = 0.9 * slow[:, i - 1] + steps[:, i]
    # Bartlett: n (1 - .81) / (1 + .81) = 420.
    assert 250 < correlations.effective_count(*slow) < 700


def test_no_correlation_where_there_is_none_and_one_where_there_is():
    """Twenty markets of noise: after the correction at most one finds anything. A series that is the flow of the window
    120 days later is found at its lag and not as far from it."""
    days = np.datetime64("2015-01-01") + np.arange(30 * 100)
    found = 0
    for seed in range(20):
        random = np.random.default_rng(seed)
        flows = {
            "flow_group": np.full(len(days), "ALT"),
            "utc_date": days,
            "net_taker_usd": random.standard_normal(len(days)),
            "volume_usd": np.full(len(days), 10.0),
        }
        macro = {
            "series_id": np.full(len(days), "FNG"),
            "utc_date": days,
            "value": random.standard_normal(len(days)).cumsum(),
        }
        rows = correlations.table(flows, macro).to_pylist()
        found += any(row["holm_p_value"] is not None and row["holm_p_value"] < 0.05 for row in rows)
    assert found <= 1
    net = np.repeat(np.random.default_rng(5).standard_normal(100), 30)
    flows |= {"net_taker_usd": net}
    macro = {"series_id": np.full(len(days), "FNG"), "utc_date": days - 120, "value": net}
    by_lag = {row["lag_days"]: row for row in correlations.table(flows, macro).to_pylist() if row["series_id"] == "FNG"}
    assert by_lag[120]["correlation_ratio"] == pytest.approx(1.0) and abs(by_lag[0]["correlation_ratio"]) < 0.4
