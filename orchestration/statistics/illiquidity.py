"""Illiquidity on month-ends: robust standard errors of Kyle's lambda and the EDGE estimator of the spread.

Lambda: one regression r = a + b max(net, 0) + c min(net, 0) over 180 days with Newey and West's (1987) standard
errors. EDGE: Ardia, Guidotti and Kroencke (2024), from open, high, low and close of 30 days and the bar before;
a figure of the range, not a spread that anybody quoted.
"""

import numpy as np
import pyarrow as pa

REGRESSION_DAYS = 180
LEAST_PAIRS = 120
LAGS = 4  # 4 (n / 100)^(2/9) at n = 180, rounded down
SPREAD_DAYS = 30
LEAST_BARS = 20

SCHEMA = pa.schema(
    [
        ("base_asset", pa.string()),
        ("utc_date", pa.date32()),
        ("lambda_plus", pa.float64()),
        ("lambda_minus", pa.float64()),
        ("lambda_plus_error", pa.float64()),
        ("lambda_minus_error", pa.float64()),
        ("edge_spread", pa.float64()),
    ]
)


def table(columns: dict[str, np.ndarray]) -> pa.Table:
    """Rows of `int_illiquidity_estimated` for the last day of each month from base_asset, utc_date, return_ratio,
    net_billions, open_price, high_price, low_price, close_price, has_bar_before, one row per asset and day, ordered by these."""
    if not len(columns["base_asset"]):
        return SCHEMA.empty_table()
    names = columns["base_asset"]
    is_first = np.concatenate([[True], names[1:] != names[:-1]])
    assets, asset = names[is_first], np.cumsum(is_first) - 1
    dates = columns["utc_date"].astype("datetime64[D]")
    first = dates.min()
    row = (dates - first).astype(int)
    days = first + np.arange(row.max() + 1)

    def spread_out(name: str) -> np.ndarray:
        grid = np.full((len(days), len(assets)), np.nan)
        grid[row, asset] = np.ma.filled(np.ma.asarray(columns[name], dtype=float), np.nan)
        return grid

    returns, net = spread_out("return_ratio"), spread_out("net_billions")
    opens, highs, lows, closes = (spread_out(f"{name}_price") for name in ("open", "high", "low", "close"))
    parts = edge_parts(opens, highs, lows, closes, spread_out("has_bar_before") == 1)
    tables = []
    for last in np.flatnonzero((days + 1).astype("datetime64[M]") != days.astype("datetime64[M]")):
        window = slice(max(0, last - REGRESSION_DAYS + 1), last + 1)
        coefficients, errors = regress(returns[window], net[window])
        recent = slice(max(0, last - SPREAD_DAYS + 1), last + 1)
        spread = edge([part[recent] for part in parts])
        here = np.flatnonzero(np.isfinite(net[last]) & (np.isfinite(coefficients[:, 0]) | np.isfinite(spread)))
        values = [coefficients[here, 0], coefficients[here, 1], errors[here, 0], errors[here, 1], spread[here]]
        tables.append(
            pa.table(
                [
                    pa.array(assets[here].tolist(), pa.string()),
                    pa.array([days[last].item()] * len(here), pa.date32()),
                    *(pa.array(v, pa.float64(), from_pandas=True) for v in values),
                ],
                schema=SCHEMA,
            )
        )
    return pa.concat_tables(tables) if tables else SCHEMA.empty_table()


def regress(returns: np.ndarray, net: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Slopes on max(net, 0) and min(net, 0) and their standard errors, one row per column of the window (rows:
    days). NaN where fewer than LEAST_PAIRS days have both, or where net never changes its size on one side."""
    known = np.isfinite(returns) & np.isfinite(net)
    count = known.sum(axis=0)
    flow = np.where(known, net, 0.0)
    x = np.stack([known.astype(float), np.maximum(flow, 0.0), np.minimum(flow, 0.0)], axis=2)
    # Each column in its own size, so that the matrix is well conditioned.
    size = np.sqrt(np.einsum("tni,tni->ni", x, x))
    usable = (count >= LEAST_PAIRS) & (size > 0).all(axis=1)
    coefficients, errors = np.full((len(count), 2), np.nan), np.full((len(count), 2), np.nan)
    if not usable.any():
        return coefficients, errors
    x, size, count = x[:, usable] / size[usable], size[usable], count[usable]
    y = np.where(known, returns, 0.0)[:, usable]
    inverse = np.linalg.pinv(np.einsum("tni,tnj->nij", x, x))
    beta = np.einsum("nij,nj->ni", inverse, np.einsum("tni,tn->ni", x, y))
    scores = x * (y - np.einsum("tni,ni->tn", x, beta))[:, :, None]
    middle = np.einsum("tni,tnj->nij", scores, scores)
    for lag in range(1, LAGS + 1):
        cross = np.einsum("tni,tnj->nij", scores[lag:], scores[:-lag])
        middle += (1 - lag / (LAGS + 1)) * (cross + cross.transpose(0, 2, 1))
    variance = np.einsum("nij,njk,nki->ni", inverse, middle, inverse) * (count / (count - 3))[:, None]
    coefficients[usable] = (beta / size)[:, 1:]
    errors[usable] = (np.sqrt(np.maximum(variance, 0.0)) / size)[:, 1:]
    return coefficients, errors


def edge_parts(
    opens: np.ndarray, highs: np.ndarray, lows: np.ndarray, closes: np.ndarray, has_before: np.ndarray
) -> list[np.ndarray]:
    """The returns and indicators that EDGE averages, per day and asset; NaN where the bar or the one before lacks."""
    with np.errstate(invalid="ignore", divide="ignore"):
        o, h, low, c = (np.log(prices) for prices in (opens, highs, lows, closes))
    middle = (h + low) / 2

    def before(values: np.ndarray) -> np.ndarray:
        shifted = np.full_like(values, np.nan)
        shifted[1:] = values[:-1]
        return np.where(has_before, shifted, np.nan)

    h1, low1, c1, middle1 = before(h), before(low), before(c), before(middle)
    r1, r2, r3, r4, r5 = middle - o, o - middle1, middle - c1, c1 - middle1, o - c1
    lacks = ~np.isfinite(r1 + r2 + r3 + r4 + r5)
    moves = ((h != low) | (low != c1)).astype(float)
    at_open = moves * ((o != h).astype(float) + (o != low))
    at_close = moves * ((c1 != h1).astype(float) + (c1 != low1))
    return [np.where(lacks, np.nan, part) for part in (r1, r2, r3, r4, r5, moves, at_open, at_close)]


def edge(parts: list[np.ndarray]) -> np.ndarray:
    """The estimate of each column over the window's days; 0 where the squared spread comes out negative, NaN where
    fewer than LEAST_BARS bars are there or prices do not move."""
    r1, r2, r3, r4, r5, moves, at_open, at_close = parts
    count = np.isfinite(r1).sum(axis=0)

    def mean(values: np.ndarray) -> np.ndarray:
        return np.nansum(values, axis=0) / np.where(count > 0, count, np.nan)

    share, opened, closed = mean(moves), mean(at_open), mean(at_close)
    with np.errstate(invalid="ignore", divide="ignore"):
        d1, d3, d5 = (r - mean(r) / share * moves for r in (r1, r3, r5))
        x1 = -4 / opened * d1 * r2 - 4 / closed * d3 * r4
        x2 = -4 / opened * d1 * r5 - 4 / closed * d5 * r4
        e1, e2 = mean(x1), mean(x2)
        v1, v2 = mean(x1**2) - e1**2, mean(x2**2) - e2**2
        squared = np.where(v1 + v2 > 0, (v2 * e1 + v1 * e2) / (v1 + v2), (e1 + e2) / 2)
        usable = (count >= LEAST_BARS) & (share * count >= 2) & (opened > 0) & (closed > 0)
        return np.where(usable, np.sqrt(np.maximum(squared, 0.0)), np.nan)
