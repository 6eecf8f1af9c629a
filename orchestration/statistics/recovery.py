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
    values = np.stack([np.asarray(months[name], dtype=float) for name in names])
    place = np.arange(len(coin)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    judged = place >= 2 * WINDOW_MONTHS - 2
    newest = np.isin(coin, coin[number == 0]) & (place == np.repeat(sizes, sizes) - 1) & judged
    if not newest.any():
        return []
    shares = [_shares(persistent(values, place), judged, newest)]
    row_of = np.full((len(sizes), number.max() + 1), -1)
    row_of[coin, number] = np.arange(len(coin))
    generator = np.random.default_rng([SEED, WINDOW_MONTHS])
    for _ in range(paths):
        # Coin by coin, the months that it has in the order of the path.
        order = row_of[:, generator.permutation(number.max() + 1)].ravel()
        shares.append(_shares(persistent(values[:, order[order >= 0]], place), judged, newest))
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
            [("persistent_recovery_share", judged.sum()), ("persistent_recovery_share_newest", newest.sum())]
        )
    ]


def persistent(values: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Of each coin-month; `place`: how many months of the same coin come before it in the array."""
    summed = values.copy()
    for lag in range(1, WINDOW_MONTHS):
        summed[:, lag:] += values[:, :-lag]
    net, volume, altcoin_volume, excess = summed
    recovering = (net > 0) & (excess > 0) & (values[1] * altcoin_volume > volume * values[2])
    recovering &= place >= WINDOW_MONTHS - 1
    lasting = recovering.copy()
    for lag in range(1, WINDOW_MONTHS):
        lasting[lag:] &= recovering[:-lag]
        lasting[:lag] = False
    return lasting & (place >= 2 * WINDOW_MONTHS - 2)


def _shares(persistent: np.ndarray, judged: np.ndarray, newest: np.ndarray) -> tuple[float, float]:
    return float(persistent[judged].mean()), float(persistent[newest].mean())
