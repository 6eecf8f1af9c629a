"""The pure functions of orchestration/statistics, on numbers worked by hand, made up or known in advance."""

import numpy as np
import pytest

from orchestration.statistics import backtests, comovement, controls, episodes, illiquidity, markets, null_tests

DAYS = np.datetime64("2021-01-01") + np.arange(500)


def made_up(seed: int, count: int = 500) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=count)


# --- null tests


def test_a_path_drawn_by_hand():
    """The same starts, block by block around the end, each imbalance times the volume of the day it lands on."""
    gross = np.exp(made_up(1))
    net = gross * np.tanh(made_up(2)) / 5
    series = null_tests.Series("ALT", DAYS, net, gross)
    found = null_tests.draw(series, 60, 3)
    starts = np.random.default_rng([null_tests.SEED, 60]).integers(500, size=(9, 3))
    imbalance = net / gross
    months = DAYS.astype("datetime64[M]")
    for path in range(3):
        drawn = [(start + offset) % 500 for start in starts[:, path] for offset in range(60)][:500]
        for null, flow in (
            ("zero_mean", (imbalance - imbalance.mean())[drawn] * gross),
            ("constant_drift", imbalance[drawn] * gross),
            ("zero_mean_net", (net - net.mean())[drawn]),
        ):
            windows = np.array([flow[i - 364 : i + 1].sum() for i in range(364, 500)])
            sums = [flow[months == month].sum() for month in np.unique(months)[:-1]]
            runs = [0]
            for value in sums:
                runs.append(runs[-1] + 1 if value < 0 else 0)
            wanted = {
                "longest_negative_months": max(runs),
                "negative_window_days": (windows < 0).sum(),
                "is_record_low_today": windows[-1] < windows[:-1].min(),
                "is_record_low_within_10_days": windows[-10:].min() < windows[:-10].min(),
            }
            assert {name: found[null][name][path] for name in wanted} == wanted


def test_the_longest_run():
    flags = np.array([[1, 0, 1, 1, 1, 0, 1], [0] * 7, [1] * 7], bool).T
    assert null_tests.longest_run(flags).tolist() == [3, 0, 7]


def test_drawing_twice_is_drawing_once():
    columns = {"flow_group": np.array(["ALT"] * 500, object), "utc_date": DAYS}
    columns |= {"net_taker_usd": made_up(3), "volume_usd": np.exp(made_up(4))}
    assert null_tests.table(columns, 200).equals(null_tests.table(columns, 200))
    assert not null_tests.table({name: values[:300] for name, values in columns.items()}).num_rows


# --- illiquidity


@pytest.mark.parametrize("spread", [0.01, 0.03])
def test_edge_finds_the_spread_of_made_up_trades(spread: float):
    """A price that wanders, traded on either side of it a hundred times a day."""
    rng = np.random.default_rng(5)
    days, trades = 2_000, 100
    price = np.cumsum(rng.normal(scale=0.03 / np.sqrt(trades), size=days * trades))
    traded = np.exp(price + np.log1p(spread / 2 * rng.choice([-1, 1], size=len(price)))).reshape(days, trades)
    opens, highs, lows, closes = traded[:, :1], traded.max(axis=1), traded.min(axis=1), traded[:, -1:]
    has_before = np.arange(days)[:, None] > 0
    parts = illiquidity.edge_parts(opens, highs[:, None], lows[:, None], closes, has_before)
    assert illiquidity.edge(parts)[0] == pytest.approx(spread, rel=0.1)
    assert np.isnan(illiquidity.edge([part[:19] for part in parts])[0])


def test_a_slope_without_noise_is_exact():
    net = made_up(6, 180)
    returns = 0.01 + 2 * np.maximum(net, 0) + 3 * np.minimum(net, 0)
    slopes, errors = illiquidity.regress(returns[:, None], net[:, None])
    assert slopes[0] == pytest.approx([2, 3])
    assert errors[0] == pytest.approx([0, 0], abs=1e-12)
    slopes, _ = illiquidity.regress(returns[:100, None], net[:100, None])
    assert np.isnan(slopes).all()


# --- what followed


def test_forward_returns_stop_at_a_hole():
    returns = np.array([0.0, 1.0, 0.5, np.nan, 1.0, 1.0, 1.0])
    assert backtests.forward_returns(returns, 2) == pytest.approx(
        [2, np.nan, np.nan, 3, 3, np.nan, np.nan], nan_ok=True
    )


def test_days_that_do_not_overlap():
    assert backtests.nonoverlapping(np.array([1, 1, 0, 1, 1, 0, 1], bool), 3) == 3


def test_terciles_look_back_only(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(backtests, "FIRST_RANKED", 3)
    found = backtests.expanding_terciles(np.array([5.0, 1.0, np.nan, 9.0, 0.0, 6.0]))
    assert found == pytest.approx([np.nan, np.nan, np.nan, 3, 1, 2], nan_ok=True)


# --- together or apart


def test_one_factor_is_the_first_component():
    factor = made_up(7, 90)[:, None]
    scores = comovement.standardised(factor * np.linspace(1, 3, 25) + 5)
    assert comovement.average_correlation(scores) == pytest.approx(1)
    assert comovement.first_component_share(scores) == pytest.approx(1)
    scores = comovement.standardised(np.random.default_rng(8).normal(size=(90, 200)))
    values = np.linalg.eigvalsh(np.corrcoef(scores, rowvar=False))
    assert comovement.first_component_share(scores) == pytest.approx(values[-1] / 200, abs=1e-8)


# --- controls, episodes, single figures


def test_expanding_statistics_end_where_plain_ones_do():
    x, y = made_up(9), made_up(10)
    y += x
    mean, t = controls.expanding_mean(x)
    centred = x - x.mean()
    variance = centred @ centred + 2 * sum((1 - k / 61) * (centred[k:] @ centred[:-k]) for k in range(1, 61))
    assert (mean[-1], t[-1]) == pytest.approx((x.mean(), x.mean() / np.sqrt(variance / 500**2)))
    assert np.isnan(t[:364]).all() and not np.isnan(t[364:]).any()
    assert controls.expanding_r_squared(x, y)[-1] == pytest.approx(np.corrcoef(x, y)[0, 1] ** 2)


def test_declines_end_when_a_share_of_the_range_is_won_back():
    """Range 10, so 20 % are 2: from 10 down to 4, back to 6; from 6 down to 3 and not back."""
    cumulated = np.array([0, 10, 9, 4, 5, 6, 3, 4], float)
    assert episodes.declines(cumulated, 0.2) == [(1, 3), (5, 6)]
    assert episodes.declines(cumulated, 0.3) == [(1, 6)]


def test_a_step_is_found_where_it_is():
    values = made_up(11, 600) / 10 + np.repeat([0.0, 1.0], [250, 350])
    assert episodes.levels(values, 0) == [250]
    assert episodes.levels(made_up(12, 600)) == []


def test_variance_ratio_of_a_series_that_turns_back():
    """Of +1 -1 +1 -1 every sum of two is zero."""
    ratio, error = markets.variance_ratio(np.tile([1.0, -1.0], 200), 2)
    assert ratio == 0 and error > 0


def test_buckets_hold_equal_volumes():
    """Volumes 1, 3, 2 make three buckets of 2: the first takes the first day and a third of the second."""
    buckets = markets.bucket_imbalances(np.array([1.0, -3.0, 1.0]), np.array([1.0, 3.0, 2.0]))
    assert buckets == pytest.approx([0, 1, 0.5])


def test_nothing_in_nothing_out():
    nothing = np.zeros(0)
    names = ("flow_group", "quotes", "utc_date", "net_taker_usd", "volume_usd", "imbalance_ratio", "is_covered")
    names += ("mean_log_return_ratio", "base_asset", "log_return")
    columns: dict[str, np.ndarray] = dict.fromkeys(names, nothing)
    assert not null_tests.table(columns).num_rows
    assert not controls.table(columns).num_rows
    assert not episodes.table(columns).num_rows
    assert not comovement.table(columns).num_rows
    assert not illiquidity.table(columns).num_rows
    assert not markets.table(columns, dict.fromkeys(("a", "b", "c"), nothing)).num_rows
    assert not backtests.table(DAYS[:0], nothing, {"flow": nothing}, {"state": nothing}).num_rows
