"""Whether the flow follows money and rates: correlations at lags, with as many tests as were made told.

Windows of 30 days that do not overlap, counted back from the last covered day; the flow of a window is its net taker
flow by its volume. It is correlated (Pearson) with what a macro series stood at a lag before the window's last day.
Both are slow, so that windows are not independent: the effective number of them is Bartlett's (1946), n / (1 + 2 Σ
(1 - k/n) ρx(k) ρy(k)) over lags k up to a quarter of n, never more than n. Interval and p-value come from Fisher's
transformation (1915) with that number. Over all tests together the p-values are corrected by Holm (1979), and by
Benjamini and Hochberg (1995).
"""

from dataclasses import dataclass
from math import atanh, erfc, sqrt, tanh

import numpy as np
import pyarrow as pa

WINDOW_DAYS = 30
LAG_DAYS = tuple(range(0, 181, 30))
LEAST_WINDOWS = 24
NORMAL_975 = 1.959963984540054
YEAR_DAYS = 365
# How old an observation may be to stand for a day: the period that it observes, and the next one's publication.
TRANSFORMS = {
    "M2SL": ("year_change_ratio", 62),
    "WALCL": ("year_change_ratio", 14),
    "DFF": ("year_difference", 7),
    "FNG": ("level", 2),
}

SCHEMA = pa.schema(
    [
        ("flow_group", pa.string()),
        ("series_id", pa.string()),
        ("transform", pa.string()),
        ("lag_days", pa.int64()),
        ("first_date", pa.date32()),
        ("last_date", pa.date32()),
        ("window_count", pa.int64()),
        ("effective_window_count", pa.float64()),
        ("correlation_ratio", pa.float64()),
        ("lower_ratio", pa.float64()),
        ("upper_ratio", pa.float64()),
        ("p_value", pa.float64()),
        ("holm_p_value", pa.float64()),
        ("benjamini_hochberg_p_value", pa.float64()),
        ("test_count", pa.int64()),
    ]
)


@dataclass(frozen=True)
class Windows:
    """Last days of consecutive windows, oldest first, and the flow of each."""

    ends: np.ndarray
    imbalances: np.ndarray


def table(flows: dict[str, np.ndarray], macro: dict[str, np.ndarray]) -> pa.Table:
    """Rows of `int_macro_correlations_measured`.

    `flows`: flow_group, utc_date, net_taker_usd and volume_usd, ordered by both keys; `macro`: series_id, utc_date and
    value, likewise. With fewer than LEAST_WINDOWS windows there is a row and no correlation."""
    rows = []
    for group in dict.fromkeys(flows["flow_group"]):
        own = flows["flow_group"] == group
        windows = windows_of(*(flows[name][own] for name in ("utc_date", "net_taker_usd", "volume_usd")))
        for series, (transform, oldest) in TRANSFORMS.items():
            mine = macro["series_id"] == series
            days = macro["utc_date"][mine].astype("datetime64[D]").astype(np.int64)
            values = np.asarray(macro["value"][mine], dtype=float)
            for lag in LAG_DAYS:
                stood = transformed(days, values, windows.ends - lag, transform, oldest)
                rows.append({"flow_group": str(group), "series_id": series, "transform": transform, "lag_days": lag})
                rows[-1] |= measured(windows, stood)
    tested = [row for row in rows if row["p_value"] is not None]
    p_values = np.array([row["p_value"] for row in tested], dtype=float)
    for row, holm, discovery in zip(tested, corrected_holm(p_values), corrected_discoveries(p_values), strict=True):
        row |= {"holm_p_value": float(holm), "benjamini_hochberg_p_value": float(discovery)}
    for row in rows:
        row["test_count"] = len(tested)
    return pa.Table.from_pylist(rows, SCHEMA)


def windows_of(dates: np.ndarray, net: np.ndarray, volume: np.ndarray) -> Windows:
    """Whole windows only: the days are counted back from the last, and a window with a day missing is left out."""
    days = dates.astype("datetime64[D]").astype(np.int64)
    if not len(days):
        return Windows(days, np.zeros(0))
    number = (days[-1] - days) // WINDOW_DAYS
    count = int(number.max()) + 1
    sums = [np.bincount(number, np.asarray(column, dtype=float), count) for column in (net, volume)]
    whole = (np.bincount(number, minlength=count) == WINDOW_DAYS) & (sums[1] > 0)
    kept = np.flatnonzero(whole)[::-1]
    return Windows(days[-1] - kept * WINDOW_DAYS, sums[0][kept] / sums[1][kept])


def transformed(days: np.ndarray, values: np.ndarray, at: np.ndarray, transform: str, oldest: int) -> np.ndarray:
    """What the series stood at on the days `at`; NaN where no observation is recent enough. An observation stands from
    the day on that it is dated with: when it was published is not known."""
    now = standing(days, values, at, oldest)
    if transform == "level":
        return now
    before = standing(days, values, at - YEAR_DAYS, oldest)
    if transform == "year_difference":
        return now - before
    return np.where(before > 0, now / np.where(before > 0, before, 1.0) - 1, np.nan)


def standing(days: np.ndarray, values: np.ndarray, at: np.ndarray, oldest: int) -> np.ndarray:
    if not len(days):
        return np.full(len(at), np.nan)
    place = np.searchsorted(days, at, "right") - 1
    found = np.maximum(place, 0)
    return np.where((place >= 0) & (at - days[found] <= oldest), values[found], np.nan)


def measured(windows: Windows, stood: np.ndarray) -> dict:
    known = ~np.isnan(stood)
    x, y, ends = windows.imbalances[known], stood[known], windows.ends[known]
    empty = dict.fromkeys(name for name in SCHEMA.names if name.endswith(("_ratio", "_value", "_date")))
    row = empty | {"window_count": len(x), "effective_window_count": None}
    if len(x):
        row |= {"first_date": _date(ends[0] - WINDOW_DAYS + 1), "last_date": _date(ends[-1])}
    if len(x) < LEAST_WINDOWS or x.std() == 0 or y.std() == 0:
        return row
    r = float(np.corrcoef(x, y)[0, 1])
    n = effective_count(x, y)
    row |= {"correlation_ratio": r, "effective_window_count": n}
    low, high, p_value = fisher(r, n)
    return row | {"lower_ratio": low, "upper_ratio": high, "p_value": p_value}


def fisher(r: float, n: float) -> tuple[float | None, float | None, float | None]:
    """95 % interval of a correlation over `n` independent pairs, and the two-sided p-value against 0; None where there
    are too few pairs to tell."""
    if n <= 3 or abs(r) >= 1:
        return None, None, None
    z, spread = atanh(r), 1 / sqrt(n - 3)
    return tanh(z - NORMAL_975 * spread), tanh(z + NORMAL_975 * spread), erfc(abs(z) / spread / sqrt(2))


def effective_count(x: np.ndarray, y: np.ndarray) -> float:
    """Bartlett's number of independent pairs in two autocorrelated series."""
    n = len(x)
    lags = range(1, n // 4 + 1)
    inflation = 1 + 2 * sum((1 - k / n) * autocorrelation(x, k) * autocorrelation(y, k) for k in lags)
    return n / max(inflation, 1.0)


def autocorrelation(x: np.ndarray, lag: int) -> float:
    centred = x - x.mean()
    return float(centred[lag:] @ centred[:-lag] / (centred @ centred))


def corrected_holm(p_values: np.ndarray) -> np.ndarray:
    """Step-down: the chance of one false finding among all stays below the level."""
    order = np.argsort(p_values, kind="stable")
    stepped = np.maximum.accumulate(p_values[order] * np.arange(len(order), 0, -1))
    found = np.empty(len(order))
    found[order] = np.minimum(stepped, 1.0)
    return found


def corrected_discoveries(p_values: np.ndarray) -> np.ndarray:
    """Step-up: the expected share of false ones among the findings stays below the level."""
    order = np.argsort(p_values, kind="stable")
    raised = p_values[order] * len(order) / np.arange(1, len(order) + 1)
    found = np.empty(len(order))
    found[order] = np.minimum(np.minimum.accumulate(raised[::-1])[::-1], 1.0)
    return found


def _date(day: int):
    return np.datetime64(int(day), "D").astype(object)
