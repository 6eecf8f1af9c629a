"""Survival curves by hand, and what random signs must not depend on."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.statistics import random_signs, survival


def lives(*rows: tuple[str, int, str]) -> dict[str, np.ndarray]:
    cohorts, ages, ends = zip(*rows, strict=True)
    return {"cohort": np.array(cohorts), "age_days": np.array(ages), "life_status": np.array(ends)}


def test_product_limit_by_hand():
    """Five coins: one ends after 2 days, one is censored after 2, one ends after 4, one after 6, one goes on at 6.
    S(2) = 4/5, S(4) = 4/5 x 2/3 = 8/15, S(6) = 8/15 x 1/2 = 4/15; hazard 1/5 + 1/3 + 1/2; variance 1 / (5 x 4)."""
    found = survival.table(
        lives(
            ("2021", 2, "delisted"),
            ("2021", 2, "renamed"),
            ("2021", 4, "dormant"),
            ("2021", 6, "delisted"),
            ("2021", 6, "trading"),
            ("before_recording", 1, "delisted"),
        )
    ).to_pylist()
    curve = [row for row in found if row["cohort"] == "2021"]
    assert [(row["age_days"], row["at_risk_count"], row["event_count"], row["censored_count"]) for row in curve] == [
        (0, 5, 0, 0),
        (2, 5, 1, 1),
        (4, 3, 1, 0),
        (6, 2, 1, 1),
    ]
    assert [row["survival_ratio"] for row in curve] == pytest.approx([1, 4 / 5, 8 / 15, 4 / 15])
    assert [row["cumulative_hazard_ratio"] for row in curve] == pytest.approx([0, 1 / 5, 8 / 15, 31 / 30])
    spread = np.exp(1.959963984540054 * np.sqrt(1 / 20) / abs(np.log(4 / 5)))
    assert curve[1]["survival_low_ratio"] == pytest.approx(0.8**spread)
    assert curve[1]["survival_high_ratio"] == pytest.approx(0.8 ** (1 / spread))
    assert curve[0]["survival_low_ratio"] is None
    assert [{**row, "cohort": "2021"} for row in found if row["cohort"] == "all"] == curve, "unknown ages are left out"


def test_where_all_end_there_is_no_interval():
    last = survival.table(lives(("2021", 3, "delisted"), ("2021", 5, "delisted"))).to_pylist()[2]
    assert (last["survival_ratio"], last["survival_low_ratio"], last["survival_high_ratio"]) == (0, None, None)


def test_the_order_of_lives_does_not_matter():
    rows = [("2021", age, end) for age, end in zip(range(1, 40), ["delisted", "trading", "renamed"] * 13, strict=True)]
    assert survival.table(lives(*rows)) == survival.table(lives(*rows[::-1]))


def flows(*days: list[float]) -> dict[str, np.ndarray]:
    dates = [np.datetime64("2024-01-01") + day for day, nets in enumerate(days) for _ in nets]
    return {"utc_date": np.array(dates), "net_taker_usd": np.array([net for nets in days for net in nets])}


def test_two_equal_flows_cancel_or_do_not():
    """Of two equal sizes the signs are alike half of the time: the index is 0 or 1."""
    row = random_signs.table(flows([5.0, 5.0])).to_pylist()[0]
    assert (row["simulated_p05_ratio"], row["simulated_p95_ratio"]) == (0, 1)


def test_one_coin_has_no_choice():
    assert random_signs.table(flows([5.0])).column("simulated_p95_ratio").to_pylist() == [0]
    assert random_signs.table(flows([0.0, 0.0])).num_rows == 0, "without flows there is no index"


def test_quantiles_are_those_of_the_half_normal():
    """Of many equal sizes |sum| / gross is |normal| / sqrt(n): 5 % and 95 % of it are .0627 and 1.96 deviations."""
    row = random_signs.table(flows([1.0] * 400), paths=20_000).to_pylist()[0]
    assert row["simulated_p05_ratio"] == pytest.approx(1 - 1.96 / 20, abs=0.006)
    assert row["simulated_p50_ratio"] == pytest.approx(1 - 0.6745 / 20, abs=0.003)
    assert row["simulated_p95_ratio"] == pytest.approx(1 - 0.0627 / 20, abs=0.006)


NETS = st.lists(st.floats(-1e9, 1e9, allow_nan=False).filter(lambda net: abs(net) > 1e-3), min_size=2, max_size=12)


@given(st.lists(NETS, min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_what_an_index_must_not_depend_on(days: list[list[float]], random):
    """Names and order of the coins, their signs, the unit, and the days beside: they change nothing."""
    found = random_signs.table(flows(*days), paths=200)
    shuffled = [random.sample(nets, len(nets)) for nets in days]
    assert random_signs.table(flows(*shuffled), paths=200).equals(found)
    assert random_signs.table(flows(*[[-net for net in nets] for nets in days]), paths=200).equals(found)
    for name in ("simulated_p05_ratio", "simulated_p50_ratio", "simulated_p95_ratio"):
        in_cents = random_signs.table(flows(*[[100 * net for net in nets] for nets in days]), paths=200)
        alone = random_signs.table(flows(days[0]), paths=200)
        np.testing.assert_allclose(in_cents[name].to_numpy(), found[name].to_numpy(), atol=1e-12)
        np.testing.assert_allclose(alone[name].to_numpy(), found[name].to_numpy()[:1], atol=1e-12)
