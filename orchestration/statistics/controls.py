"""Altcoin flow against BTC's, and returns on flow, as known on each day: expanding over the covered days.

The mean of the daily difference has Newey and West's (1987) t with 60 lags, because daily imbalance is
autocorrelated for months.
"""

import numpy as np
import pyarrow as pa

LAGS = 60
LEAST_DAYS = 365

SCHEMA = pa.schema(
    [
        ("flow_group", pa.string()),
        ("quotes", pa.string()),
        ("utc_date", pa.date32()),
        ("day_count", pa.int64()),
        ("mean_excess", pa.float64()),
        ("mean_excess_t", pa.float64()),
        ("same_day_r_squared", pa.float64()),
        ("next_day_r_squared", pa.float64()),
    ]
)


def table(columns: dict[str, np.ndarray]) -> pa.Table:
    """Rows of `int_control_statistics_estimated` from flow_group, quotes, utc_date, imbalance_ratio and
    mean_log_return_ratio of the covered days, ordered by these keys."""
    series = {}
    for key in dict.fromkeys(zip(columns["flow_group"], columns["quotes"], strict=True)):
        own = (columns["flow_group"] == key[0]) & (columns["quotes"] == key[1])
        values = [np.ma.filled(columns[name][own], np.nan) for name in ("imbalance_ratio", "mean_log_return_ratio")]
        series[key] = columns["utc_date"][own].astype("datetime64[D]"), *values
    tables = []
    for (group, quotes), (days, imbalance, returns) in series.items():
        bitcoin_days, bitcoin, _ = series.get(("BTC", quotes), (days[:0], imbalance[:0], returns[:0]))
        both, mine, theirs = np.intersect1d(days, bitcoin_days, return_indices=True)
        difference = imbalance[mine] - bitcoin[theirs]
        known = np.isfinite(difference)
        mean, t = expanding_mean(difference[known])
        # BTC differs from itself by nothing, and nothing has no t.
        t = np.where(group == "BTC", np.nan, t)
        day_before = np.where(np.diff(days, prepend=days[:1] - 2).astype(int) == 1, np.roll(imbalance, 1), np.nan)
        same, following = (expanding_r_squared(flow, returns) for flow in (imbalance, day_before))
        at = mine[known]
        tables.append(
            pa.table(
                [
                    pa.array([group] * len(at), pa.string()),
                    pa.array([quotes] * len(at), pa.string()),
                    pa.array(days[at].tolist(), pa.date32()),
                    pa.array(np.arange(1, len(at) + 1), pa.int64()),
                    *(pa.array(v, pa.float64(), from_pandas=True) for v in (mean, t, same[at], following[at])),
                ],
                schema=SCHEMA,
            )
        )
    return pa.concat_tables(tables) if tables else SCHEMA.empty_table()


def expanding_mean(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean of the values so far and its Newey-West t; NaN before LEAST_DAYS of them."""
    count = np.arange(1, len(values) + 1)
    total = np.cumsum(values)
    mean = total / count
    variance = np.cumsum(values**2) - count * mean**2
    for lag in range(1, min(LAGS, len(values) - 1) + 1):
        products = np.cumsum(values[lag:] * values[:-lag])
        late, early, m, n = total[lag:] - total[lag - 1], total[:-lag], mean[lag:], count[lag:] - lag
        variance[lag:] += 2 * (1 - lag / (LAGS + 1)) * (products - m * (late + early) + n * m**2)
    enough = count >= LEAST_DAYS
    with np.errstate(invalid="ignore", divide="ignore"):
        t = mean / np.sqrt(variance / count**2)
    return np.where(enough, mean, np.nan), np.where(enough & (variance > 0), t, np.nan)


def expanding_r_squared(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Share of the variance of y so far that x explains; NaN before LEAST_DAYS pairs."""
    known = np.isfinite(x) & np.isfinite(y)
    found = np.full(len(x), np.nan)
    if not known.any():
        return found
    # Around the first mean of both, so that small differences of large sums do not arise.
    x, y = np.where(known, x - x[known].mean(), 0.0), np.where(known, y - y[known].mean(), 0.0)
    n = np.maximum(np.cumsum(known), 1)
    sx, sy = np.cumsum(x), np.cumsum(y)
    xx, yy, xy = np.cumsum(x * x) - sx**2 / n, np.cumsum(y * y) - sy**2 / n, np.cumsum(x * y) - sx * sy / n
    with np.errstate(invalid="ignore", divide="ignore"):
        found = np.where((n >= LEAST_DAYS) & (xx > 0) & (yy > 0), xy**2 / (xx * yy), np.nan)
    return found
