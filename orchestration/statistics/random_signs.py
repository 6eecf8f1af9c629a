"""How much money seems to go round among coins whose net flows have random signs.

The recycling index 1 - |sum of net| / sum of |net| is high whenever many flows are small: with random signs the sum is
about sqrt(2/pi * sum of net²), so an index says something only against that. Here the same sizes get random signs.
"""

import numpy as np
import pyarrow as pa

PATHS = 2_000
SEED = 20_250_614
DAYS_AT_ONCE = 512

SCHEMA = pa.schema(
    [
        ("utc_date", pa.date32()),
        ("simulated_p05_ratio", pa.float64()),
        ("simulated_p50_ratio", pa.float64()),
        ("simulated_p95_ratio", pa.float64()),
        ("path_count", pa.int64()),
        ("seed", pa.int64()),
    ]
)


def table(flows: dict[str, np.ndarray], paths: int = PATHS) -> pa.Table:
    """Quantiles of the index by day. `flows`: utc_date, net_taker_usd of every coin of the day, in any order."""
    days, at_day = np.unique(np.asarray(flows["utc_date"], dtype="datetime64[D]"), return_inverse=True)
    sizes = sorted_sizes(at_day, np.abs(np.asarray(flows["net_taker_usd"], dtype=float)), len(days))
    quantiles = np.empty((len(days), 3))
    signs = random_signs(sizes.shape[1], paths)
    for first in range(0, len(days), DAYS_AT_ONCE):
        some = sizes[first : first + DAYS_AT_ONCE]
        gross = some.sum(axis=1, keepdims=True)
        with np.errstate(invalid="ignore"):
            index = 1 - np.abs(some @ signs) / gross
        quantiles[first : first + DAYS_AT_ONCE] = np.quantile(index, (0.05, 0.5, 0.95), axis=1).T
    known = ~np.isnan(quantiles[:, 0])
    columns = [days[known], *quantiles[known].T, np.full(known.sum(), paths), np.full(known.sum(), SEED)]
    return pa.table([pa.array(column, kind) for column, kind in zip(columns, SCHEMA.types, strict=True)], schema=SCHEMA)


def sorted_sizes(at_day: np.ndarray, sizes: np.ndarray, day_count: int) -> np.ndarray:
    """A row per day, its sizes from the largest to the smallest, then zeros: the order of the coins and their names
    decide nothing, and another coin that is added leaves the signs of the larger ones as they were."""
    order = np.lexsort((-sizes, at_day))
    counts = np.bincount(at_day, minlength=day_count)
    starts = np.cumsum(counts) - counts
    place = np.arange(len(order)) - np.repeat(starts, counts)
    padded = np.zeros((day_count, counts.max(initial=0)))
    padded[at_day[order], place] = sizes[order]
    return padded


def random_signs(coins: int, paths: int) -> np.ndarray:
    """-1 or 1 for each coin (row) on each path; the first rows are the same however many follow."""
    return np.random.default_rng(SEED).integers(0, 2, size=(coins, paths), dtype=np.int8) * 2.0 - 1.0
