"""What followed: forward returns of the altcoin basket by the tercile of a signal or by the state of a regime.

A tercile is cut by expanding ranks: a day is ranked among itself and the days before, never among later ones. The
interval is a circular block bootstrap of the days (Politis and Romano 1992) with blocks as long as the horizon,
because forward returns of neighbouring days overlap.
"""

import numpy as np
import pyarrow as pa

HORIZONS = (30, 90, 180)
FIRST_RANKED = 365
TERCILES = 3
PATHS = 5_000
SEED = 20_250_614

SCHEMA = pa.schema(
    [
        ("regime", pa.string()),
        ("bucket", pa.string()),
        ("horizon_days", pa.int64()),
        ("first_date", pa.date32()),
        ("last_date", pa.date32()),
        ("observation_count", pa.int64()),
        ("nonoverlapping_count", pa.int64()),
        ("mean_return_ratio", pa.float64()),
        ("median_return_ratio", pa.float64()),
        ("positive_share_ratio", pa.float64()),
        ("ci_low_ratio", pa.float64()),
        ("ci_high_ratio", pa.float64()),
        ("path_count", pa.int64()),
        ("seed", pa.int64()),
    ]
)


def table(
    days: np.ndarray,
    returns: np.ndarray,
    signals: dict[str, np.ndarray],
    states: dict[str, np.ndarray],
    paths: int = PATHS,
) -> pa.Table:
    """Rows of `int_regime_returns_drawn`. All arrays run over the same consecutive days: simple daily returns,
    signals (NaN: none) and states (1, 0, NaN: cannot be said)."""
    rows: list[dict] = []
    for horizon in HORIZONS:
        ahead = forward_returns(returns, horizon)
        for regime, signal in signals.items():
            tercile = expanding_terciles(signal)
            for number in range(1, TERCILES + 1):
                chosen = tercile == number
                rows += _row(regime, f"tercile_{number}", horizon, days, ahead, chosen, ~np.isnan(tercile), paths)
        for regime, state in states.items():
            for bucket, value in (("active", 1.0), ("inactive", 0.0)):
                rows += _row(regime, bucket, horizon, days, ahead, state == value, ~np.isnan(state), paths)
    return pa.Table.from_pylist(rows, SCHEMA)


def forward_returns(returns: np.ndarray, horizon: int) -> np.ndarray:
    """Compounded return of the `horizon` days after each day; NaN where one of them is missing or not over yet."""
    ahead = np.full(len(returns), np.nan)
    if len(returns) > horizon:
        known = np.isfinite(returns)
        total = np.cumsum(np.log1p(np.where(known, returns, 0.0)))
        missing = np.cumsum(~known)
        whole = missing[horizon:] == missing[:-horizon]
        ahead[:-horizon] = np.where(whole, np.expm1(total[horizon:] - total[:-horizon]), np.nan)
    return ahead


def expanding_terciles(signal: np.ndarray) -> np.ndarray:
    """1 (low), 2 or 3 by the rank among the days up to each day; NaN before FIRST_RANKED of them are there."""
    found = np.full(len(signal), np.nan)
    at = np.flatnonzero(np.isfinite(signal))
    values = signal[at]
    lower = np.tril(values[None, :] < values[:, None], -1).sum(axis=1)
    count = np.arange(1, len(values) + 1)
    tercile = np.minimum(lower * TERCILES // count, TERCILES - 1) + 1.0
    found[at] = np.where(count >= FIRST_RANKED, tercile, np.nan)
    return found


def _row(
    regime: str,
    bucket: str,
    horizon: int,
    days: np.ndarray,
    ahead: np.ndarray,
    chosen: np.ndarray,
    known: np.ndarray,
    paths: int,
) -> list[dict]:
    """One row, or none where no day has a signal and a return."""
    usable = np.flatnonzero(known & np.isfinite(ahead))
    if not len(usable):
        return []
    span = slice(usable[0], usable[-1] + 1)
    flags = (chosen & known & np.isfinite(ahead))[span]
    values = np.where(flags, ahead[span], 0.0)
    picked = ahead[span][flags]
    low, high = interval(values, flags, horizon, paths)
    return [
        {
            "regime": regime,
            "bucket": bucket,
            "horizon_days": horizon,
            "first_date": days[span][0].item(),
            "last_date": days[span][-1].item(),
            "observation_count": len(picked),
            "nonoverlapping_count": nonoverlapping(flags, horizon),
            "mean_return_ratio": float(picked.mean()) if len(picked) else None,
            "median_return_ratio": float(np.median(picked)) if len(picked) else None,
            "positive_share_ratio": float((picked > 0).mean()) if len(picked) else None,
            "ci_low_ratio": low,
            "ci_high_ratio": high,
            "path_count": paths,
            "seed": SEED,
        }
    ]


def nonoverlapping(flags: np.ndarray, horizon: int) -> int:
    """How many of the days can be taken, the earliest first, so that no two forward returns share a day."""
    taken, free_from = 0, 0
    for day in np.flatnonzero(flags):
        if day >= free_from:
            taken, free_from = taken + 1, day + horizon
    return taken


def interval(values: np.ndarray, flags: np.ndarray, block: int, paths: int) -> tuple[float | None, float | None]:
    """2.5th and 97.5th percentile of the bucket's mean over the paths. None where there is less than two blocks of days
    or where a tenth of the paths or more never meets the bucket."""
    if len(values) < 2 * block:
        return None, None
    sums = _block_sums(values, block)
    counts = _block_sums(flags.astype(float), block)
    starts = np.random.default_rng([SEED, block]).integers(len(values), size=(-(-len(values) // block), paths))
    met = counts[starts].sum(axis=0)
    if (met == 0).mean() >= 0.1:
        return None, None
    means = sums[starts].sum(axis=0)[met > 0] / met[met > 0]
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def _block_sums(values: np.ndarray, block: int) -> np.ndarray:
    """Sum of the block that starts at each day and wraps around the end."""
    total = np.concatenate([[0.0], np.cumsum(np.concatenate([values, values[:block]]))])
    return total[block : block + len(values)] - total[: len(values)]
