"""Whether the market looks efficient, how flow and return hang together, and whether flow is toxic.

Variance ratios with Lo and MacKinlay's (1988) robust error; correlations and differences with intervals by circular
block bootstrap (Politis and Romano 1992); VPIN (Easley, Lopez de Prado and O'Hara 2012) on buckets of equal volume
with the distribution that its own history gives it.
"""

import math
from collections.abc import Callable

import numpy as np
import pyarrow as pa

BLOCK_DAYS = 60
PATHS = 5_000
SEED = 20_250_614
LEAST_DAYS = 365
HORIZONS = (2, 5, 10, 30)
SELF_LAGS = (1, 5, 60)
# Days by which the return comes later than the flow; below zero the return came first.
LEADS = (-5, -1, 0, 1, 5, 20)
VPIN_BUCKETS = 50

SCHEMA = pa.schema(
    [
        ("statistic", pa.string()),
        ("scope", pa.string()),
        ("value", pa.float64()),
        ("observation_count", pa.int64()),
        ("ci_low", pa.float64()),
        ("ci_high", pa.float64()),
        ("p_value", pa.float64()),
        ("path_count", pa.int64()),
        ("seed", pa.int64()),
    ]
)


def table(columns: dict[str, np.ndarray], spreads: dict[str, np.ndarray], paths: int = PATHS) -> pa.Table:
    """Rows of `int_market_statistics_drawn` from the covered days (flow_group, utc_date, net_taker_usd, volume_usd,
    imbalance_ratio, mean_log_return_ratio) and from the daily tenths by volume (return_spread, return_deviation,
    altcoin_count), both ordered by day."""
    rows: list[dict] = []
    for group in dict.fromkeys(columns["flow_group"]):
        own = columns["flow_group"] == group
        names = ("mean_log_return_ratio", "imbalance_ratio", "net_taker_usd", "volume_usd")
        returns, imbalance, net, volume = (np.ma.filled(columns[name][own], np.nan) for name in names)
        if np.isfinite(returns + imbalance).sum() >= LEAST_DAYS + max(LEADS):
            rows += efficiency(str(group), returns) + memory(str(group), imbalance)
            rows += co_movement(str(group), imbalance, returns, paths) + toxicity(str(group), net, volume, paths)
    rows += tenths(*(np.ma.filled(values, np.nan) for values in spreads.values()))
    return pa.Table.from_pylist([dict.fromkeys(SCHEMA.names) | _known(row) for row in rows], SCHEMA)


def _known(row: dict) -> dict:
    """What cannot be computed (no variance, nothing left after a cut) is no number."""
    return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in row.items()}


def efficiency(scope: str, returns: np.ndarray) -> list[dict]:
    """Variance ratios and autocorrelations of returns: 1 and 0 in an efficient market."""
    known = returns[np.isfinite(returns)]
    rows = []
    for horizon in HORIZONS:
        ratio, error = variance_ratio(known, horizon)
        rows.append(_normal(f"variance_ratio_{horizon}d", scope, ratio, 1.0, error, len(known)))
    for lag in SELF_LAGS:
        value = autocorrelation(known, lag)
        rows.append(_normal(f"return_autocorrelation_{lag}d", scope, value, 0.0, len(known) ** -0.5, len(known)))
    return rows


def memory(scope: str, imbalance: np.ndarray) -> list[dict]:
    known = imbalance[np.isfinite(imbalance)]
    values = ((lag, autocorrelation(known, lag)) for lag in SELF_LAGS)
    error = len(known) ** -0.5
    return [_normal(f"imbalance_autocorrelation_{lag}d", scope, v, 0.0, error, len(known)) for lag, v in values]


def variance_ratio(returns: np.ndarray, horizon: int) -> tuple[float, float]:
    """Variance of overlapping sums of `horizon` returns over `horizon` times that of one, and its standard error
    under changing variance."""
    n, mean = len(returns), returns.mean()
    centred = returns - mean
    one = (centred**2).sum() / (n - 1)
    total = np.concatenate([[0.0], np.cumsum(returns)])
    sums = total[horizon:] - total[:-horizon] - horizon * mean
    scale = horizon * (n - horizon + 1) * (1 - horizon / n)
    squares = centred**2
    variance = 0.0
    for lag in range(1, horizon):
        delta = (squares[lag:] @ squares[:-lag]) / squares.sum() ** 2
        variance += (2 * (horizon - lag) / horizon) ** 2 * delta
    return float((sums**2).sum() / scale / one), math.sqrt(variance)


def autocorrelation(values: np.ndarray, lag: int) -> float:
    centred = values - values.mean()
    return float(centred[lag:] @ centred[:-lag] / (centred @ centred))


def co_movement(scope: str, imbalance: np.ndarray, returns: np.ndarray, paths: int) -> list[dict]:
    """Correlations of flow with earlier, equal and later returns; R² in and out of sample; flow on down days."""
    rows = []
    for lead in LEADS:
        x, y = (imbalance, returns) if lead == 0 else (imbalance[:-lead], returns[lead:])
        if lead < 0:
            x, y = imbalance[-lead:], returns[:lead]
        known = np.isfinite(x) & np.isfinite(y)
        x, y = x[known] - x[known].mean(), y[known] - y[known].mean()
        name = f"flow_return_correlation_{'lag' if lead < 0 else 'lead'}_{abs(lead)}d"
        rows.append(_drawn(name, scope, [np.ones(len(x)), x, y, x * x, y * y, x * y], _correlation, 0.0, paths))
        if lead in (0, 1):
            r_squared = _drawn("", scope, [np.ones(len(x)), x, y, x * x, y * y, x * y], _r_squared, None, paths)
            rows.append(
                r_squared | {"statistic": "return_r_squared_same_day" if lead == 0 else "return_r_squared_next_day"}
            )
            out = out_of_sample_r_squared(x, y)
            rows.append(
                {
                    "statistic": f"return_r_squared_{'same' if lead == 0 else 'next'}_day_out_of_sample",
                    "scope": scope,
                    "value": out,
                    "observation_count": len(x) - LEAST_DAYS,
                }
            )
    known = np.isfinite(imbalance) & np.isfinite(returns)
    flow, down = imbalance[known], returns[known] < 0
    if down.any() and not down.all():
        sums = [down * flow, down * 1.0, ~down * flow, ~down * 1.0]
        rows.append(_drawn("imbalance_down_days_less_others", scope, sums, _difference, 0.0, paths))
    return rows


def out_of_sample_r_squared(x: np.ndarray, y: np.ndarray) -> float | None:
    """1 less the squared errors of a regression on the days before over those of their mean (Campbell and Thompson
    2008), from LEAST_DAYS days on. For the same day x is known together with y: an explanation, no forecast."""
    n = np.arange(1, len(x) + 1)
    sx, sy, xx, xy = np.cumsum(x), np.cumsum(y), np.cumsum(x * x), np.cumsum(x * y)
    with np.errstate(invalid="ignore", divide="ignore"):
        slope = (xy - sx * sy / n) / (xx - sx**2 / n)
    mean = sy / n
    expected = mean + slope * (np.roll(x, -1) - sx / n)
    later = slice(LEAST_DAYS, None)
    errors, naive = y[1:] - expected[:-1], y[1:] - mean[:-1]
    errors, naive = errors[LEAST_DAYS - 1 :], naive[LEAST_DAYS - 1 :]
    return float(1 - (errors**2).sum() / (naive**2).sum()) if len(y[later]) else None


def toxicity(scope: str, net: np.ndarray, volume: np.ndarray, paths: int) -> list[dict]:
    """VPIN of the last buckets, against means of as many buckets drawn from the history in blocks: the p-value is
    the share of paths at or above it. As many buckets as days, so that one holds an average day's volume."""
    buckets = bucket_imbalances(net, volume)
    if len(buckets) < 2 * BLOCK_DAYS:
        return []
    size = buckets.cumsum()
    vpin = float((size[-1] - size[-VPIN_BUCKETS - 1]) / VPIN_BUCKETS)
    starts = np.random.default_rng([SEED, VPIN_BUCKETS]).integers(len(buckets), size=paths)
    wrapped = np.concatenate([[0.0], np.cumsum(np.concatenate([buckets, buckets[:VPIN_BUCKETS]]))])
    drawn = (wrapped[starts + VPIN_BUCKETS] - wrapped[starts]) / VPIN_BUCKETS
    low, high = np.quantile(drawn, [0.025, 0.975])
    return [
        {
            "statistic": "vpin_50_buckets",
            "scope": scope,
            "value": vpin,
            "observation_count": len(buckets),
            "ci_low": float(low),
            "ci_high": float(high),
            "p_value": float((drawn >= vpin).mean()),
            "path_count": paths,
            "seed": SEED,
        }
    ]


def bucket_imbalances(net: np.ndarray, volume: np.ndarray) -> np.ndarray:
    """|net| / volume of buckets of equal volume; a day's flow is spread evenly over its volume."""
    net, volume = np.nan_to_num(net), np.nan_to_num(volume)
    traded = np.concatenate([[0.0], np.cumsum(volume)])
    if traded[-1] <= 0:
        return np.zeros(0)
    edges = np.linspace(0.0, traded[-1], len(volume) + 1)
    flows = np.diff(np.interp(edges, traded, np.concatenate([[0.0], np.cumsum(net)])))
    return np.abs(flows) / np.diff(edges)


def tenths(spread: np.ndarray, deviation: np.ndarray, count: np.ndarray) -> list[dict]:
    """Mean daily return of the tenth traded most less that of the tenth traded least. The p-value is two-sided
    against random tenths: their spread has mean 0 and the variance that the day's cross-section gives it."""
    known = np.isfinite(spread) & np.isfinite(deviation) & np.isfinite(count)
    spread, deviation, count = spread[known], deviation[known], count[known]
    if len(spread) < LEAST_DAYS:
        return []
    error = math.sqrt((deviation**2 * 2 / np.maximum(np.floor(count / 10), 1)).sum()) / len(spread)
    return [_normal("big_less_small_return", "ALT", float(spread.mean()), 0.0, error, len(spread))]


def _correlation(sums: np.ndarray) -> np.ndarray:
    n, sx, sy, xx, yy, xy = sums
    return (xy - sx * sy / n) / np.sqrt((xx - sx**2 / n) * (yy - sy**2 / n))


def _r_squared(sums: np.ndarray) -> np.ndarray:
    return _correlation(sums) ** 2


def _difference(sums: np.ndarray) -> np.ndarray:
    flow_down, down, flow_up, up = sums
    with np.errstate(invalid="ignore", divide="ignore"):
        return flow_down / down - flow_up / up


def _drawn(
    statistic: str,
    scope: str,
    parts: list[np.ndarray],
    of_sums: Callable[[np.ndarray], np.ndarray],
    null: float | None,
    paths: int,
) -> dict:
    """A statistic of sums over days, its 95 % interval over bootstrapped days, and a two-sided p-value against `null`
    (None: no p-value): twice the smaller share of paths on either side of it."""
    values = np.stack(parts)
    days = values.shape[1]
    total = np.cumsum(np.concatenate([np.zeros((len(values), 1)), values, values[:, :BLOCK_DAYS]], axis=1), axis=1)
    blocks = total[:, BLOCK_DAYS : BLOCK_DAYS + days] - total[:, :days]
    starts = np.random.default_rng([SEED, BLOCK_DAYS]).integers(days, size=(-(-days // BLOCK_DAYS), paths))
    drawn = of_sums(np.stack([part[starts].sum(axis=0) for part in blocks]))
    low, high = np.nanquantile(drawn, [0.025, 0.975])
    tails = None if null is None else min(1.0, 2 * min((drawn <= null).mean(), (drawn >= null).mean()))
    return {
        "statistic": statistic,
        "scope": scope,
        "value": float(of_sums(values.sum(axis=1)[:, None])[0]),
        "observation_count": days,
        "ci_low": float(low),
        "ci_high": float(high),
        "p_value": None if tails is None else float(tails),
        "path_count": paths,
        "seed": SEED,
    }


def _normal(statistic: str, scope: str, value: float, null: float, error: float, count: int) -> dict:
    """A statistic with a normal error: 95 % interval and two-sided p-value against `null`."""
    return {
        "statistic": statistic,
        "scope": scope,
        "value": value,
        "observation_count": count,
        "ci_low": value - 1.959964 * error,
        "ci_high": value + 1.959964 * error,
        "p_value": math.erfc(abs(value - null) / error / math.sqrt(2)) if error > 0 else None,
    }
