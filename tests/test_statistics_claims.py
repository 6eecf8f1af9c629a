"""The statistics that single claims rest on: shuffled months, placebo dates, dominance. By hand, or against chance."""

import numpy as np
import pytest

from orchestration.statistics import dominance, rate_changes, recovery

DAYS = np.datetime64("2021-01-01") + np.arange(600)


def of_rows(rows: list[dict], statistic: str, scope: str) -> dict:
    (found,) = [row for row in rows if (row["statistic"], row["scope"]) == (statistic, scope)]
    return found


# --- changes of the policy rate


def test_changes_of_the_rate():
    """0.08 to 0.33 is a rise, on the day before; a wobble of .05 is none, nor a step over a missing day."""
    dates = np.array(["2022-03-15", "2022-03-16", "2022-03-17", "2022-03-18", "2022-03-21"], "datetime64[D]")
    events, changes = rate_changes.changed(dates, np.array([0.08, 0.08, 0.33, 0.38, 0.88]))
    assert events.astype("datetime64[D]").astype(str).tolist() == ["2022-03-16"]
    assert changes == pytest.approx([0.25])


@pytest.fixture
def cuts() -> tuple[dict, dict]:
    """Seven changes, 70 days apart. From the day of each on, six days of imbalance .01 and return .02 after a cut, of
    the opposite sign after a rise; nothing on other days."""
    value = np.full(600, 5.0)
    signal = np.zeros(600)
    for number, at in enumerate(range(60, 550, 70)):
        sign = -1 if number % 2 else 1
        value[at + 1 :] -= sign * 0.25
        signal[at : at + 6] = sign
    flows = {
        "flow_group": np.array(["ALT"] * 600, object),
        "utc_date": DAYS,
        "imbalance_ratio": 0.01 * signal,
        "mean_log_return_ratio": 0.02 * signal,
    }
    return flows, {"utc_date": DAYS, "value": value}


def test_cuts_that_raise_flow_and_price(cuts):
    """Six days of .01 less five of 0 is .01, six returns of .02 are .12, eleven days around a change hold the same;
    each rise counts with the opposite sign. There are 579 placebos, moved by 11 to 589 days; none meets all seven
    changes, so that the p-value is the least that so many can give."""
    rows = rate_changes.table(*cuts).to_pylist()
    for statistic, value in (("imbalance_shift", 0.01), ("return", 0.12), ("absolute_return", 0.12)):
        row = of_rows(rows, f"rate_change_{statistic}", "ALT")
        assert row["value"] == pytest.approx(value)
        assert (row["observation_count"], row["path_count"]) == (7, 579)
        assert row["p_value"] == pytest.approx(1 / 580)


def test_what_does_not_hang_on_the_dates_is_not_found(cuts):
    flows, rates = cuts
    flows["imbalance_ratio"] = np.random.default_rng(1).normal(size=600)
    row = of_rows(rate_changes.table(flows, rates).to_pylist(), "rate_change_imbalance_shift", "ALT")
    assert row["ci_low"] < row["value"] < row["ci_high"]
    assert row["p_value"] > 0.05


def test_too_few_changes_or_days(cuts):
    flows, rates = cuts
    assert not rate_changes.table(flows, {name: values[:300] for name, values in rates.items()}).num_rows
    assert not rate_changes.table({name: values[:300] for name, values in flows.items()}, rates).num_rows


# --- shuffled months


def months(net: dict[str, list[float]]) -> dict[str, np.ndarray]:
    """Coins with a net flow, the same as return against Bitcoin, and a volume that grows by one each month."""
    rows = [
        (coin, len(values) - 1 - i, value, 1.0 + i, 100.0, value)
        for coin, values in net.items()
        for i, value in enumerate(values)
    ]
    names = ("base_asset", "month_number", "net_taker_usd", "volume_usd", "altcoin_volume_usd")
    columns = zip(*rows, strict=True)
    return dict(zip((*names, "excess_log_return_ratio"), map(np.array, columns), strict=True))


def test_three_month_ends_in_a_row():
    """Sums over three months of -1 -1 -1 1 1 1 1 1 1 1 1 1 turn positive with the fifth month, so the ends of the
    5th to the 12th recover and the 7th to the 12th do so persistently: six of the eight that can (from the 5th on). The
    other coin never does: 6 of 16, and one of the two coins of the newest month."""
    found = recovery.table(months({"A": [-1.0] * 3 + [1.0] * 9, "B": [-1.0] * 12}), 50).to_pylist()
    row = of_rows(found, "persistent_recovery_share", "ALT")
    assert (row["value"], row["observation_count"]) == (6 / 16, 16)
    newest = of_rows(found, "persistent_recovery_share_newest", "ALT")
    assert (newest["value"], newest["observation_count"]) == (1 / 2, 2)


def test_what_lasts_is_more_than_shuffled_months_give():
    """Signs that hold for six months are; the same signs dealt anew are not. Two calls draw the same."""
    generator = np.random.default_rng(5)
    lasting = months({f"C{i}": list(np.repeat(generator.choice([-1.0, 1.0], 8), 6)) for i in range(40)})
    lasting["volume_usd"] = generator.uniform(1, 9, len(lasting["volume_usd"]))
    one = recovery.table(lasting, 200)
    assert of_rows(one.to_pylist(), "persistent_recovery_share", "ALT")["p_value"] < 0.05
    assert one.equals(recovery.table(lasting, 200))
    lasting["net_taker_usd"] = generator.permutation(lasting["net_taker_usd"])
    lasting["excess_log_return_ratio"] = lasting["net_taker_usd"]
    assert of_rows(recovery.table(lasting, 200).to_pylist(), "persistent_recovery_share", "ALT")["p_value"] > 0.05


def test_less_than_a_year_of_months_has_no_share():
    assert not recovery.table(months({"A": [1.0] * 11})).num_rows


# --- dominance


def test_changes_leave_out_days_with_other_coins():
    """.4 rises by .001 a day; on the 40th day a coin comes in and the share falls by .1. The window of the 31st to
    the 60th day holds 29 rises, that of the first thirty 29, as the first day has none before; a window before them
    none."""
    days = np.arange(61)
    share = 0.4 + 0.001 * days
    share[40:] -= 0.1
    is_other = days == 40
    found = dominance.changes(days, share, is_other, np.array([0, 29, 59]))
    assert np.isnan(found[0])
    assert found[1:] == pytest.approx([0.029, 0.029])


def test_dominance_that_follows_the_flow():
    """Bitcoin's share falls by a thousandth a day in windows in which altcoins are bought (the flow of each window is
    drawn), so the correlation of the same window is about -1, and of the next none."""
    count = 40
    flow = np.random.default_rng(8).normal(size=count)
    days = np.datetime64("2021-01-01") + np.arange(30 * count)
    per_day = np.repeat(flow, 30)
    flows = {
        "flow_group": np.array(["ALT"] * len(days) + ["BTC"] * len(days), object),
        "utc_date": np.concatenate([days, days]),
        "net_taker_usd": np.concatenate([per_day, np.zeros(len(days))]),
        "volume_usd": np.full(2 * len(days), 100.0),
    }
    shares = {
        "definition_id": np.array(["cap_all"] * len(days), object),
        "utc_date": days,
        "btc_share": np.ma.array(0.5 - 0.001 * np.cumsum(per_day)),
        "is_coin_set_changed": np.ma.array(np.zeros(len(days), bool), mask=np.arange(len(days)) == 0),
    }
    rows = dominance.table(flows, shares).to_pylist()
    same = of_rows(rows, "dominance_flow_correlation_same_30d", "cap_all")
    assert same["value"] == pytest.approx(-1, abs=1e-3)
    assert same["observation_count"] == count
    following = of_rows(rows, "dominance_flow_correlation_next_30d", "cap_all")
    assert following["ci_low"] < 0 < following["ci_high"]
    assert following["observation_count"] == count - 1
