"""Whether Bitcoin's dominance rises when altcoins are sold more than Bitcoin.

Windows of 30 days that do not overlap, counted back from the last covered day. The change of dominance adds up its
daily changes where the day before had the same coins, so that a coin that enters the data is no fall; it is correlated
(Pearson) with the imbalance of altcoins less that of Bitcoin over the same window and over the one before. Interval and
p-value by Fisher's transformation with Bartlett's effective number of windows, as for macro series.
"""

import numpy as np
import pyarrow as pa

from orchestration.statistics.macro_correlations import LEAST_WINDOWS, WINDOW_DAYS, effective_count, fisher, windows_of
from orchestration.statistics.markets import LEAST_DAYS, SCHEMA

LEAST_CHANGES = 20


def table(flows: dict[str, np.ndarray], dominance: dict[str, np.ndarray]) -> pa.Table:
    """Rows of `market_statistics`.

    `flows`: flow_group, utc_date, net_taker_usd, volume_usd; `dominance`: definition_id, utc_date, btc_share,
    is_coin_set_changed; both ordered by their keys."""
    rows: list[dict] = []
    windows = {}
    for group in ("ALT", "BTC"):
        own = flows["flow_group"] == group
        windows[group] = windows_of(*(flows[name][own] for name in ("utc_date", "net_taker_usd", "volume_usd")))
    whole, alt, btc = np.intersect1d(windows["ALT"].ends, windows["BTC"].ends, return_indices=True)
    if len(whole) * WINDOW_DAYS >= LEAST_DAYS:
        excess = windows["ALT"].imbalances[alt] - windows["BTC"].imbalances[btc]
        for definition in dict.fromkeys(dominance["definition_id"]):
            own = dominance["definition_id"] == definition
            days = dominance["utc_date"][own].astype("datetime64[D]").astype(np.int64)
            share = np.ma.filled(dominance["btc_share"][own].astype(float), np.nan)
            moved = changes(days, share, np.ma.filled(dominance["is_coin_set_changed"][own], True), whole)
            follows = np.diff(whole) == WINDOW_DAYS
            rows += correlated("dominance_flow_correlation_same_30d", str(definition), excess, moved)
            rows += correlated(
                "dominance_flow_correlation_next_30d", str(definition), excess[:-1][follows], moved[1:][follows]
            )
    return pa.Table.from_pylist([dict.fromkeys(SCHEMA.names) | row for row in rows], SCHEMA)


def changes(days: np.ndarray, share: np.ndarray, is_other: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Change of the share over the windows that end on `ends`; NaN where fewer than LEAST_CHANGES days can be
    compared with the day before."""
    found = np.full(len(ends), np.nan)
    if not len(days):
        return found
    steps = np.diff(share)
    known = (np.diff(days) == 1) & ~np.asarray(is_other[1:], dtype=bool) & np.isfinite(steps)
    total = np.concatenate([[0.0], np.cumsum(np.where(known, steps, 0.0))])
    count = np.concatenate([[0], np.cumsum(known)])
    first = np.searchsorted(days[1:], ends - WINDOW_DAYS, "right")
    last = np.searchsorted(days[1:], ends, "right")
    enough = count[last] - count[first] >= LEAST_CHANGES
    found[enough] = (total[last] - total[first])[enough]
    return found


def correlated(statistic: str, scope: str, x: np.ndarray, y: np.ndarray) -> list[dict]:
    known = np.isfinite(x) & np.isfinite(y)
    x, y = x[known], y[known]
    if len(x) < LEAST_WINDOWS or x.std() == 0 or y.std() == 0:
        return []
    value = float(np.corrcoef(x, y)[0, 1])
    low, high, p_value = fisher(value, effective_count(x, y))
    row = {"statistic": statistic, "scope": scope, "value": value, "observation_count": len(x)}
    return [row | {"ci_low": low, "ci_high": high, "p_value": p_value}]
