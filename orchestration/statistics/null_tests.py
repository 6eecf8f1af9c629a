"""What noise alone would do to the headline: circular block bootstrap (Politis and Romano 1992).

A path draws blocks of consecutive days, wrapped around the end; blocks keep the autocorrelation that shuffled
days would lose. `zero_mean` draws the centred daily imbalance and multiplies it by the gross volume that was
really traded on the day of the path; `constant_drift` keeps the mean; `zero_mean_net` draws the centred daily
net flow itself, so that the volume comes with the drawn day.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pyarrow as pa

BLOCK_DAYS = 60
SENSITIVITY_DAYS = {"ALT": (30, 90)}
"""other lengths of a block, for the headline; its controls are drawn with the first one alone"""
PATHS = 5_000
SEED = 20_250_614
NULLS = ("zero_mean", "constant_drift", "zero_mean_net")
WINDOW_DAYS = 365
RECENT_DAYS = 10
# What the press claimed of this decline: 13 months in a row, 395 days below zero.
CLAIMED_MONTHS = 13
CLAIMED_DAYS = 395
PATHS_AT_ONCE = 500

SCHEMA = pa.schema(
    [
        ("flow_group", pa.string()),
        ("statistic", pa.string()),
        ("null_hypothesis", pa.string()),
        ("block_days", pa.int64()),
        ("first_date", pa.date32()),
        ("last_date", pa.date32()),
        ("observed_value", pa.float64()),
        ("threshold_value", pa.float64()),
        ("null_p05_value", pa.float64()),
        ("null_p50_value", pa.float64()),
        ("null_p95_value", pa.float64()),
        ("p_value", pa.float64()),
        ("path_count", pa.int64()),
        ("seed", pa.int64()),
    ]
)


@dataclass(frozen=True)
class Series:
    """Consecutive days of one flow group."""

    flow_group: str
    days: np.ndarray
    net: np.ndarray
    gross: np.ndarray


def table(columns: dict[str, np.ndarray], paths: int = PATHS) -> pa.Table:
    """Rows of `int_flow_nulls_drawn` from flow_group, utc_date, net_taker_usd and volume_usd, ordered by both keys.

    A group with a day missing, or without one whole window, has no rows."""
    rows: list[dict] = []
    for group in dict.fromkeys(columns["flow_group"]):
        own = columns["flow_group"] == group
        days = columns["utc_date"][own].astype("datetime64[D]")
        gross = np.asarray(columns["volume_usd"][own], dtype=float)
        net = np.asarray(columns["net_taker_usd"][own], dtype=float)
        whole = len(days) >= WINDOW_DAYS and (np.diff(days).astype(int) == 1).all()
        if whole and (gross > 0).all():
            rows += _rows(Series(str(group), days, net, gross), paths)
    return pa.Table.from_pylist(rows, SCHEMA)


def _rows(series: Series, paths: int) -> list[dict]:
    observed = statistics(np.cumsum(series.net)[:, None], series.days)
    thresholds = {name: float(values[0]) for name, values in observed.items()}
    claimed = {"longest_negative_months": CLAIMED_MONTHS, "longest_negative_window_days": CLAIMED_DAYS}
    tests = [(name, name, 1.0 if name.startswith("is_") else value) for name, value in thresholds.items()]
    tests += [(f"{name}_claimed", name, float(value)) for name, value in claimed.items()]
    rows = []
    for block in (BLOCK_DAYS, *SENSITIVITY_DAYS.get(series.flow_group, ())):
        drawn = draw(series, block, paths)
        for null in NULLS:
            for statistic, source, threshold in tests:
                values = drawn[null][source]
                low, middle, high = np.quantile(values, [0.05, 0.5, 0.95])
                rows.append(
                    {
                        "flow_group": series.flow_group,
                        "statistic": statistic,
                        "null_hypothesis": null,
                        "block_days": block,
                        "first_date": series.days[0].item(),
                        "last_date": series.days[-1].item(),
                        "observed_value": thresholds[source],
                        "threshold_value": threshold,
                        "null_p05_value": low,
                        "null_p50_value": middle,
                        "null_p95_value": high,
                        "p_value": float(np.mean(values >= threshold)),
                        "path_count": paths,
                        "seed": SEED,
                    }
                )
    return rows


def draw(series: Series, block: int, paths: int) -> dict[str, dict[str, np.ndarray]]:
    """Each statistic on each path, by null. All groups draw the same days, so that they can be compared."""
    imbalance = series.net / series.gross
    drift = imbalance.mean() * np.cumsum(series.gross)[:, None]
    wrapped = np.arange(len(imbalance) + block) % len(imbalance)
    imbalances, centred_nets = imbalance[wrapped], (series.net - series.net.mean())[wrapped]
    starts = np.random.default_rng([SEED, block]).integers(len(imbalance), size=(-(-len(imbalance) // block), paths))
    parts: dict[str, list[dict[str, np.ndarray]]] = {null: [] for null in NULLS}
    for first in range(0, paths, PATHS_AT_ONCE):
        chosen = starts[:, None, first : first + PATHS_AT_ONCE] + np.arange(block)[None, :, None]
        chosen = chosen.reshape(-1, chosen.shape[2])[: len(imbalance)]
        flows = imbalances.take(chosen)
        flows *= series.gross[:, None]
        sums = accumulated(np.add, flows)
        parts["constant_drift"].append(statistics(sums, series.days))
        sums -= drift
        parts["zero_mean"].append(statistics(sums, series.days))
        flows = centred_nets.take(chosen)
        parts["zero_mean_net"].append(statistics(accumulated(np.add, flows), series.days))
    return {
        null: {name: np.concatenate([p[name] for p in found]) for name in found[0]} for null, found in parts.items()
    }


def statistics(sums: np.ndarray, days: np.ndarray) -> dict[str, np.ndarray]:
    """Statistics of each path (column) from its running total of net flow (rows: days)."""
    windows = sums[WINDOW_DAYS - 1 :].copy()
    windows[1:] -= sums[:-WINDOW_DAYS]
    negative = windows < 0
    # A window that has none before it sets no record.
    lowest = np.minimum.reduce(windows[:-RECENT_DAYS], axis=0, initial=np.inf)
    lows = np.minimum.accumulate(np.concatenate([lowest[None], windows[-RECENT_DAYS:]]), axis=0)
    has_earlier = len(windows) > RECENT_DAYS
    is_record = (lows[-1] < lows[-2]) & has_earlier
    was_record = (lows[-1] < lows[0]) & has_earlier
    return {
        "longest_negative_months": longest_run(monthly(sums, days) < 0),
        "negative_window_days": negative.sum(axis=0, dtype=np.int32).astype(float),
        "longest_negative_window_days": longest_run(negative),
        "is_record_low_today": is_record.astype(float),
        "is_record_low_within_10_days": was_record.astype(float),
    }


def monthly(sums: np.ndarray, days: np.ndarray) -> np.ndarray:
    """Net flow of the calendar months that have ended; the first one counts from the first day on."""
    ends = np.flatnonzero((days + 1).astype("datetime64[M]") != days.astype("datetime64[M]"))
    return np.diff(sums[ends], axis=0, prepend=0.0)


def longest_run(flags: np.ndarray) -> np.ndarray:
    """Length of the longest run of True in each column."""
    day = np.arange(1, len(flags) + 1, dtype=np.int16)[:, None]
    last_break = accumulated(np.maximum, day * ~flags)
    return (day - last_break).max(axis=0, initial=0).astype(float)


def accumulated(combine: np.ufunc, rows: np.ndarray) -> np.ndarray:
    """`combine.accumulate(rows, axis=0)`, in place: a row at a time, where numpy goes down each column by itself."""
    for before, row in pairwise(rows):
        combine(before, row, out=row)
    return rows
