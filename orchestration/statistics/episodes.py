"""When flow turned: declines of the flow cumulated since the start, and levels of the daily imbalance.

A decline runs from a peak to the trough before the cumulated flow has risen again by a stated share of its whole
range. Levels come from binary segmentation (Scott and Knott 1974) by squared error; a cut must be worth more than
2 ln n times the long-run variance, because daily imbalance is autocorrelated. `level_unadjusted` takes the plain
variance instead and finds what is not to be told from a long memory.
"""

import numpy as np
import pyarrow as pa

REVERSALS = (0.01, 0.02, 0.05, 0.10, 0.20)
LEAST_LEVEL_DAYS = 90
LAGS = 60

SCHEMA = pa.schema(
    [
        ("flow_group", pa.string()),
        ("kind", pa.string()),
        ("reversal_share", pa.float64()),
        ("episode_number", pa.int64()),
        ("first_date", pa.date32()),
        ("last_date", pa.date32()),
        ("mean_imbalance", pa.float64()),
        ("largest_day_share", pa.float64()),
        ("largest_day_date", pa.date32()),
        ("skewness", pa.float64()),
        ("covered_share", pa.float64()),
    ]
)


def table(columns: dict[str, np.ndarray]) -> pa.Table:
    """Rows of `int_flow_episodes_detected` from flow_group, utc_date, net_taker_usd, volume_usd and is_covered,
    ordered by both keys."""
    rows: list[dict] = []
    for group in dict.fromkeys(columns["flow_group"]):
        own = columns["flow_group"] == group
        days = columns["utc_date"][own].astype("datetime64[D]")
        net, volume = (np.ma.filled(columns[name][own], 0.0) for name in ("net_taker_usd", "volume_usd"))
        covered = np.asarray(columns["is_covered"][own], float)
        spans: list[tuple[str, float, int, int]] = []
        for share in REVERSALS:
            spans += [("decline", share, first + 1, last) for first, last in declines(np.cumsum(net), share)]
        at = np.flatnonzero((covered == 1) & (volume > 0))
        for kind, lags in (("level", LAGS), ("level_unadjusted", 0)):
            cuts = levels(net[at] / volume[at], lags)
            edges = zip([0, *cuts], [*cuts, len(at)], strict=True)
            spans += [(kind, np.nan, int(at[first]), int(at[last - 1])) for first, last in edges if last > first]
        numbers: dict[tuple[str, float], int] = {}
        for kind, share, first, last in spans:
            key = (kind, -1.0 if np.isnan(share) else share)
            numbers[key] = numbers.get(key, 0) + 1
            inside = slice(first, last + 1)
            rows.append(
                {
                    "flow_group": str(group),
                    "kind": kind,
                    "reversal_share": None if np.isnan(share) else share,
                    "episode_number": numbers[key],
                    "first_date": days[first].item(),
                    "last_date": days[last].item(),
                }
                | _described(days[inside], net[inside], volume[inside])
                | {"covered_share": float(covered[inside].mean())}
            )
    return pa.Table.from_pylist(rows, SCHEMA)


def _described(days: np.ndarray, net: np.ndarray, volume: np.ndarray) -> dict:
    total, worst = net.sum(), int(net.argmin())
    deviation = net.std()
    return {
        "mean_imbalance": float(total / volume.sum()) if volume.sum() > 0 else None,
        "largest_day_share": float(net[worst] / total) if total < 0 and net[worst] < 0 else None,
        "largest_day_date": days[worst].item(),
        "skewness": float((((net - net.mean()) / deviation) ** 3).mean()) if deviation > 0 else None,
    }


def declines(cumulated: np.ndarray, share: float) -> list[tuple[int, int]]:
    """Peak and trough of each decline by at least `share` of the range; a rise by as much ends it. Each decline begins
    after its peak."""
    if not len(cumulated):
        return []
    step = share * (cumulated.max() - cumulated.min())
    found: list[tuple[int, int]] = []
    if step <= 0:
        return found
    peak = trough = 0
    falling = False
    for day, value in enumerate(cumulated):
        if falling:
            if value < cumulated[trough]:
                trough = day
            elif value - cumulated[trough] >= step:
                found.append((peak, trough))
                falling, peak = False, day
        elif value > cumulated[peak]:
            peak = day
        elif cumulated[peak] - value >= step:
            falling, trough = True, day
    if falling:
        found.append((peak, trough))
    return found


def levels(values: np.ndarray, lags: int = LAGS) -> list[int]:
    """First days of all levels but the first one."""
    if len(values) < 2 * LEAST_LEVEL_DAYS:
        return []
    centred = values - values.mean()
    variance = centred @ centred
    for lag in range(1, lags + 1):
        variance += 2 * (1 - lag / (lags + 1)) * (centred[lag:] @ centred[:-lag])
    least_gain = 2 * np.log(len(values)) * max(variance, 0.0) / len(values)
    total = np.concatenate([[0.0], np.cumsum(centred)])
    cuts: list[int] = []
    open_spans = [(0, len(values))]
    while open_spans:
        first, last = open_spans.pop()
        at = np.arange(first + LEAST_LEVEL_DAYS, last - LEAST_LEVEL_DAYS + 1)
        if len(at):
            left, right, whole = total[at] - total[first], total[last] - total[at], total[last] - total[first]
            gain = left**2 / (at - first) + right**2 / (last - at) - whole**2 / (last - first)
            best = int(gain.argmax())
            if gain[best] > least_gain:
                cuts.append(int(at[best]))
                open_spans += [(first, cuts[-1]), (cuts[-1], last)]
    return sorted(cuts)
