"""Helper columns: comparisons that must be exact, made in Arrow before anything becomes a float.

Each function takes and returns whole columns. NULL in an input gives NULL: there was nothing to compare.
"""

from collections.abc import Mapping
from functools import reduce

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


def whole(column: pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def with_columns(table: pa.Table, **columns) -> pa.Table:
    for name, column in columns.items():
        table = table.append_column(name, column)
    return table


def floats(column: pa.ChunkedArray) -> np.ndarray:
    """Values as float64, NaN for NULL."""
    return whole(pc.cast(column, pa.float64())).to_numpy(zero_copy_only=False)


def all_finite(*columns: pa.ChunkedArray) -> pa.ChunkedArray:
    """False where a float is NaN or infinite: pandas would take NaN for NULL and let it pass."""
    return reduce(pc.and_, [pc.fill_null(pc.is_finite(pc.cast(column, pa.float64())), True) for column in columns])


def is_at_most(smaller: pa.ChunkedArray, larger: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.less_equal(smaller, larger)


def is_size_at_most(signed: pa.ChunkedArray, limit: pa.ChunkedArray) -> pa.ChunkedArray:
    """|signed| ≤ limit, exact."""
    return pc.less_equal(pc.abs(signed), limit)


def same_zero(count: pa.ChunkedArray, amount: pa.ChunkedArray) -> pa.ChunkedArray:
    """count = 0 exactly where amount = 0."""
    return pc.equal(pc.equal(count, 0), pc.equal(pc.sign(amount), 0))


def is_quotient(
    quotient: pa.ChunkedArray, dividend: pa.ChunkedArray, divisor: pa.ChunkedArray, tolerance: float = 1e-12
) -> pa.Array:
    """quotient = dividend / divisor within `tolerance`; NULL where one of them is NULL or the divisor is 0."""
    value, over, under = floats(quotient), floats(dividend), floats(divisor)
    known = ~(np.isnan(value) | np.isnan(over) | np.isnan(under)) & (under != 0)
    agrees = np.abs(value - over / np.where(known, under, 1.0)) <= tolerance
    return pa.array(agrees, mask=~known)


def half_last_digit(column: pa.ChunkedArray, least_places: int = 2) -> np.ndarray:
    """Half a unit of the last decimal that each amount is written with: what rounding can have taken from it.

    Trailing zeros carry no information here, so a number is taken to have `least_places` decimals at least:
    the fewest that an exchange was seen to write."""
    scale = column.type.scale if pa.types.is_decimal(column.type) else 12
    # 256 bits, since subtracting widens the type by a digit and 128 bits hold no 39.
    values = whole(pc.cast(column, pa.decimal256(38, scale)))
    fraction = pc.fill_null(pc.abs(pc.subtract(values, pc.trunc(values))), 0)
    words = np.frombuffer(fraction.buffers()[1], np.int64).reshape(-1, 4)
    digits = words[fraction.offset : fraction.offset + len(fraction), 0]
    half = np.full(len(digits), 0.5 * 10.0**-scale)
    left = np.arange(len(digits))
    for places in range(scale - 1, least_places - 1, -1):
        left = left[digits[left] % 10 ** (scale - places) == 0]
        half[left] = 0.5 * 10.0**-places
    return half


def is_mean_price_within(
    quote: pa.ChunkedArray, base: pa.ChunkedArray, low: pa.ChunkedArray, high: pa.ChunkedArray
) -> pa.Array:
    """low ≤ quote/base ≤ high for the amounts before they were written down.

    Both amounts may be off by half a unit of their last decimal, and the six float64 operations by 2**-53 each;
    nothing else is granted. The form without a division also judges a base volume of 0."""
    quotes, bases, lows, highs = floats(quote), floats(base), floats(low), floats(high)
    known = ~(np.isnan(quotes) | np.isnan(bases) | np.isnan(lows) | np.isnan(highs))
    within = (np.minimum(lows, highs) >= 0) & _is_between(quotes, bases, lows, highs, 0, 0)
    # Where no price is negative, half a unit only widens the range; to find the last decimals is most of the work.
    (narrow,) = np.nonzero(known & ~within)
    halves = (half_last_digit(column.take(pa.array(narrow))) for column in (quote, base))
    within[narrow] = _is_between(quotes[narrow], bases[narrow], lows[narrow], highs[narrow], *halves)
    return pa.array(within, mask=~known)


def _is_between(quotes, bases, lows, highs, half_quote, half_base) -> np.ndarray:
    slack = 1 + 2.0**-50
    with np.errstate(invalid="ignore"):
        above = lows * (bases - half_base) <= (quotes + half_quote) * slack
        below = (quotes - half_quote) <= highs * (bases + half_base) * slack
    return above & below


def is_within_bounds(
    key: pa.ChunkedArray, value: pa.ChunkedArray, bounds: Mapping[str, tuple[float, float]], otherwise: float
) -> pa.Array:
    """value inside the bounds of its key; keys without bounds of their own: |value| ≤ otherwise."""
    values = floats(value)
    names, codes = np.unique(whole(key).to_numpy(zero_copy_only=False).astype(str), return_inverse=True)
    limits = np.array([bounds.get(name, (-otherwise, otherwise)) for name in names], dtype=float).reshape(-1, 2)[codes]
    inside = (limits[:, 0] <= values) & (values <= limits[:, 1])
    return pa.array(inside, mask=np.isnan(values))


def change_since_day_before(table: pa.Table, by: list[str], day: str, value: str, least: float) -> pa.Array:
    """Relative change of `value` since the calendar day before, per `by`.

    NULL on the first day, after a gap, and where the value before was below `least`: small numbers jump."""
    order = whole(pc.sort_indices(table, sort_keys=[(name, "ascending") for name in [*by, day]])).to_numpy()
    days = whole(pc.cast(table[day], pa.int32())).to_numpy(zero_copy_only=False).astype(float)[order]
    values = floats(table[value])[order]
    follows = np.diff(days, prepend=np.nan) == 1
    for name in by:
        names = whole(table[name]).dictionary_encode().indices.to_numpy(zero_copy_only=False)[order]
        follows[1:] &= names[1:] == names[:-1]
    before = np.concatenate([[np.nan], values[:-1]]) if len(values) else values
    with np.errstate(invalid="ignore", divide="ignore"):
        known = follows & (before >= least) & ~np.isnan(values)
        change = values / np.where(known, before, 1.0) - 1
    scattered, unknown = np.empty(len(order)), np.empty(len(order), dtype=bool)
    scattered[order], unknown[order] = change, ~known
    return pa.array(scattered, mask=unknown)


def duplicate_rows(table: pa.Table, grain: tuple[str, ...]) -> list[int]:
    """Every row whose key occurs more than once, exact over the whole table."""
    keys = table.select(list(grain)).append_column("row", pa.array(np.arange(table.num_rows)))
    groups = keys.group_by(list(grain)).aggregate([("row", "count")])
    if groups.num_rows == table.num_rows:
        return []
    members = keys.group_by(list(grain)).aggregate([("row", "list")])["row_list"]
    repeated = pc.filter(members, pc.greater(pc.list_value_length(members), 1))
    return sorted(whole(pc.list_flatten(repeated)).to_pylist())
