"""How much altcoins move together: average pairwise correlation and the share of the first component."""

import numpy as np
import pyarrow as pa

WINDOW_DAYS = 90
# Of the window's days: an asset with more holes is left out.
LEAST_PRESENT = 0.95
LEAST_ASSETS = 20

SCHEMA = pa.schema(
    [
        ("utc_date", pa.date32()),
        ("asset_count", pa.int64()),
        ("average_correlation", pa.float64()),
        ("first_component_share", pa.float64()),
    ]
)


def table(columns: dict[str, np.ndarray]) -> pa.Table:
    """Rows of `int_comovement_measured`, one per Sunday with a whole window behind it, from base_asset, utc_date and
    log_return, ordered by both keys. Neighbouring windows share 89 of 90 days: one a week shows all there is."""
    if not len(columns["base_asset"]):
        return SCHEMA.empty_table()
    names = columns["base_asset"]
    is_first = np.concatenate([[True], names[1:] != names[:-1]])
    assets, asset = names[is_first], np.cumsum(is_first) - 1
    dates = columns["utc_date"].astype("datetime64[D]")
    row = (dates - dates.min()).astype(int)
    returns = np.full((row.max() + 1, len(assets)), np.nan)
    returns[row, asset] = np.ma.filled(columns["log_return"], np.nan)
    days = dates.min() + np.arange(len(returns))
    rows = []
    for last in np.flatnonzero((days.astype(int) + 4) % 7 == 0):
        scores = standardised(returns[max(0, last - WINDOW_DAYS + 1) : last + 1])
        if last >= WINDOW_DAYS - 1 and scores.shape[1] >= LEAST_ASSETS:
            rows.append(
                (days[last].item(), scores.shape[1], average_correlation(scores), first_component_share(scores))
            )
    return pa.Table.from_pylist([dict(zip(SCHEMA.names, row, strict=True)) for row in rows], SCHEMA)


def standardised(window: np.ndarray) -> np.ndarray:
    """z of the returns of the assets that are present on more than LEAST_PRESENT of the days; a missing return
    counts as the asset's mean."""
    known = np.isfinite(window)
    chosen = known.mean(axis=0) > LEAST_PRESENT
    window, known = window[:, chosen], known[:, chosen]
    count = known.sum(axis=0)
    centred = np.where(known, window - np.where(known, window, 0.0).sum(axis=0) / count, 0.0)
    deviation = np.sqrt((centred**2).sum(axis=0) / len(window))
    moves = deviation > 0
    return centred[:, moves] / deviation[moves]


def average_correlation(scores: np.ndarray) -> float:
    """Mean of all n (n - 1) / 2 correlations, exactly, without computing any: the variance of the sum of n
    standardised series is n plus twice the sum of their correlations."""
    n = scores.shape[1]
    return float(((scores.sum(axis=1) ** 2).mean() - n) / (n * (n - 1)))


def first_component_share(scores: np.ndarray) -> float:
    """Largest eigenvalue of the correlation matrix over its trace, by power iteration from the assets' sum, which is
    nearly the first component already."""
    direction = scores.sum(axis=1)
    size = 0.0
    for _ in range(1_000):
        length = np.linalg.norm(direction)
        if length == 0:
            break
        before, direction = size, scores @ (scores.T @ (direction / length))
        size = float(np.linalg.norm(direction))
        if abs(size - before) <= 1e-14 * size:
            break
    return size / float((scores**2).sum())
