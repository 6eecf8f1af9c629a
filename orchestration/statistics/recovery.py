"""How many coins would seem to recover if their months came in another order.

Months are 30 days, counted back from the last covered one. A coin recovers at the end of a month if over three months
takers bought more than they sold, it beat Bitcoin, and its share of the altcoins' volume in the last month is above
that of the three; it does so persistently at the third end in a row, 60 days after the first. The null keeps each
coin's months and shuffles their order, the same for all coins so that what happens to all of them together stays
together: what is left is what one month tells of the next.
"""

import numpy as np
import pyarrow as pa

from orchestration.statistics.markets import SCHEMA, SEED

PATHS = 1_000
WINDOW_MONTHS = 3
LEAST_MONTHS = 12


def table(months: dict[str, np.ndarray], paths: int = PATHS) -> pa.Table:
    """Rows of `market_statistics`. `months`: base_asset, month_number (0 is the newest), net_taker_usd, volume_usd,
    altcoin_volume_usd, excess_log_return_ratio, ordered by coin and then from the oldest month on."""
    rows = persistence(months, paths) if len(months["month_number"]) else []
    return pa.Table.from_pylist([dict.fromkeys(SCHEMA.names) | row for row in rows], SCHEMA)


def persistence(months: dict[str, np.ndarray], paths: int) -> list[dict]:
    """Share of coin-months, and of the newest month's coins, that recover persistently; each against the paths."""
    number = np.asarray(months["month_number"], dtype=np.int64)
    if number.max() + 1 < LEAST_MONTHS:
        return []
    _, coin, sizes = np.unique(months["base_asset"], return_inverse=True, return_counts=True)
    names = ("net_taker_usd", "volume_usd", "altcoin_volume_usd", "excess_log_return_ratio")
    # A coin-month's values lie side by side: paths fetch them together.
    values = np.stack([np.asarray(months[name], dtype=float) for name in names], axis=1)
    place = np.arange(len(coin)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    judged = place >= 2 * WINDOW_MONTHS - 2
    newest = np.isin(coin, coin[number == 0]) & (place == np.repeat(sizes, sizes) - 1) & judged
    if not newest.any():
        return []
    judged_count, newest_rows = int(judged.sum()), np.flatnonzero(newest)
    shares = [_shares(persistent(values, place), judged_count, newest_rows)]
    row_of = np.full((len(sizes), number.max() + 1), -1, dtype=np.int32)
    row_of[coin, number] = np.arange(len(coin))
    generator = np.random.default_rng([SEED, WINDOW_MONTHS])
    drawn_values = np.empty_like(values)
    for _ in range(paths):
        # Coin by coin, the months that it has in the order of the path.
        order = row_of.take(generator.permutation(number.max() + 1), axis=1).ravel()
        # `clip` writes to the array without a copy in between.
        values.take(order[order >= 0], axis=0, out=drawn_values, mode="clip")
        shares.append(_shares(persistent(drawn_values, place), judged_count, newest_rows))
    observed, drawn = np.array(shares[0]), np.array(shares[1:])
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
    return [
        {
            "statistic": statistic,
            "scope": "ALT",
            "value": float(observed[i]),
            "observation_count": int(count),
            "ci_low": float(low[i]),
            "ci_high": float(high[i]),
            "p_value": float((1 + (drawn[:, i] >= observed[i]).sum()) / (1 + paths)),
            "path_count": paths,
            "seed": SEED,
        }
        for i, (statistic, count) in enumerate(
            [("persistent_recovery_share", judged_count), ("persistent_recovery_share_newest", len(newest_rows))]
        )
    ]


def persistent(values: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Of each coin-month, from its four values (columns); `place`: how many months of the same coin come before it."""
    first = WINDOW_MONTHS - 1
    summed = values[first:] + values[first - 1 : -1]
    for lag in range(2, WINDOW_MONTHS):
        summed += values[first - lag : -lag]
    net, volume, altcoin_volume, excess = summed.T
    recovering = np.zeros(len(values), dtype=bool)
    recovering[first:] = (net > 0) & (excess > 0) & (values[first:, 1] * altcoin_volume > volume * values[first:, 2])
    recovering &= place >= first
    lasting = recovering.copy()
    for lag in range(1, WINDOW_MONTHS):
        lasting[lag:] &= recovering[:-lag]
        lasting[:lag] = False
    return lasting & (place >= 2 * first)


def _shares(persistent: np.ndarray, judged_count: int, newest_rows: np.ndarray) -> tuple[float, float]:
    """`persistent` is never true where not judged."""
    return np.count_nonzero(persistent) / judged_count, np.count_nonzero(persistent[newest_rows]) / len(newest_rows)
