"""Whether changes of the Federal Reserve's policy rate move flows and prices: an event study against placebo dates.

Day 0 is the day before the new rate takes effect, on which scheduled meetings decide. Placebo dates are the real ones
moved together by every number of days around the covered stretch (its end joined to its begin), so that they keep
their distances and signs; those that come within a window of the real ones are left out (MacKinlay 1997 on event
studies; dates that are moved together instead of drawn, because changes of rates come in runs).
"""

import numpy as np
import pyarrow as pa

from orchestration.statistics.markets import LEAST_DAYS, SCHEMA

WINDOW_DAYS = 5
# In points: a target moves by .25 at least, the effective rate wobbles by less on other days.
LEAST_CHANGE = 0.2
LEAST_EVENTS = 5


def table(flows: dict[str, np.ndarray], rates: dict[str, np.ndarray]) -> pa.Table:
    """Rows of `market_statistics`.

    `flows`: flow_group, utc_date, imbalance_ratio, mean_log_return_ratio of consecutive days; `rates`: utc_date and
    value of the policy rate; both ordered."""
    rows: list[dict] = []
    events, changes = changed(rates["utc_date"], np.asarray(rates["value"], dtype=float))
    for group in dict.fromkeys(flows["flow_group"]):
        own = flows["flow_group"] == group
        days = flows["utc_date"][own].astype("datetime64[D]").astype(np.int64)
        names = ("imbalance_ratio", "mean_log_return_ratio")
        imbalance, returns = (np.ma.filled(flows[name][own], np.nan) for name in names)
        if len(days) >= LEAST_DAYS:
            at = events - days[0]
            inside = (at >= WINDOW_DAYS) & (at < len(days) - WINDOW_DAYS)
            rows += studied(str(group), imbalance, returns, at[inside], changes[inside])
    return pa.Table.from_pylist([dict.fromkeys(SCHEMA.names) | row for row in rows], SCHEMA)


def changed(dates: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The days before those on which the rate stood at another level than the day before, and by how much."""
    days = dates.astype("datetime64[D]").astype(np.int64)
    steps = np.diff(values)
    found = (np.diff(days) == 1) & (np.abs(steps) >= LEAST_CHANGE)
    return days[:-1][found], steps[found]


def studied(scope: str, imbalance: np.ndarray, returns: np.ndarray, at: np.ndarray, changes: np.ndarray) -> list[dict]:
    """Three means over the events: what eased money should raise (cuts count as they are, rises with the opposite
    sign) of imbalance and of return, and the size of the move in either direction."""
    if len(at) < LEAST_EVENTS:
        return []
    after = _window_mean(imbalance, 0, WINDOW_DAYS) - _window_mean(imbalance, -WINDOW_DAYS, -1)
    moved = _window_mean(returns, 0, WINDOW_DAYS) * (WINDOW_DAYS + 1)
    around = np.abs(_window_mean(returns, -WINDOW_DAYS, WINDOW_DAYS)) * (2 * WINDOW_DAYS + 1)
    eased = -np.sign(changes)
    return [
        _against_placebos("rate_change_imbalance_shift", scope, after, at, eased, two_sided=True),
        _against_placebos("rate_change_return", scope, moved, at, eased, two_sided=True),
        _against_placebos("rate_change_absolute_return", scope, around, at, np.ones(len(at)), two_sided=False),
    ]


def _window_mean(values: np.ndarray, first: int, last: int) -> np.ndarray:
    """Of each day, the mean over the days from `first` to `last` relative to it; the stretch is a circle."""
    return np.nanmean([np.roll(values, -lag) for lag in range(first, last + 1)], axis=0)


def _against_placebos(
    statistic: str, scope: str, of_day: np.ndarray, at: np.ndarray, weights: np.ndarray, two_sided: bool
) -> dict:
    """The interval is what 95 % of the placebos give; the p-value the share of them as far from their mean as the real
    dates, or, where only size counts, at or above it."""
    days = len(of_day)
    shifts = np.arange(2 * WINDOW_DAYS + 1, days - 2 * WINDOW_DAYS)
    observed = float((weights * of_day[at]).mean())
    placebos = (weights * of_day[(at[None, :] + shifts[:, None]) % days]).mean(axis=1)
    low, high = np.quantile(placebos, [0.025, 0.975])
    middle = placebos.mean()
    as_far = np.abs(placebos - middle) >= abs(observed - middle) if two_sided else placebos >= observed
    return {
        "statistic": statistic,
        "scope": scope,
        "value": observed,
        "observation_count": len(at),
        "ci_low": float(low),
        "ci_high": float(high),
        "p_value": float((1 + as_far.sum()) / (1 + len(shifts))),
        "path_count": len(shifts),
    }
