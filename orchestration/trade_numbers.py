"""What the text of prices and sizes is worth, exactly.

A number of up to 15 digits is told by the double nearest to it, so such a double stands for its text. What has more
is read digit by digit. What is no number above zero, or too long to be one, is named with the reason.
"""

import re
from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import polars as pl

NUMBER = re.compile(r"\+?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,9})?", re.ASCII)
MOST_DIGITS = 38
"""before and after the point together, zeros at the end left out"""
MOST_AMOUNT = 10**26
"""of the quote asset: what the tables hold is less"""
MOST_TIME_US = 253_402_300_800_000_000
"""the year 10000"""
# A text of up to 16 characters has at most 15 digits beside its point or its exponent. What is all digits may have
# 16, and is then no whole number below MOST_UNITS.
SHORT = 16
MOST_UNITS = 10**15
MOST_DECIMALS = 18
_FIRST_ROWS = 16
NEAR = ("price_near", "size_near")
"""columns with the doubles nearest to the texts, NaN where a text may have more than 15 digits"""
_WIDE = re.compile(r"^\d+(?:\.\d*)?$").pattern
_POWERS = np.array([float(10**scale) for scale in range(MOST_DECIMALS + 2)])


def checked(frame: "pl.DataFrame") -> tuple["pl.DataFrame", dict[int, str]]:
    """With the columns NEAR; row → why it is no trade: its price and size must be above zero and not longer than
    MOST_DIGITS, their product below MOST_AMOUNT, its time a day of four-digit years."""
    import polars as pl

    texts = [frame["price"], frame["size"]]
    price, size = (text.cast(pl.Float64, strict=False).to_numpy() for text in texts)
    whys = _bad_times(frame["time_us"].to_numpy())
    lengths = [text.str.len_bytes() for text in texts]
    is_plain = len(frame) == 0 or (
        max(length.max() for length in lengths) <= SHORT  # pyright: ignore
        and _moderate(price.min(), size.min())
        and _moderate(price.max(), size.max())
    )
    if not is_plain:
        is_short = [(length <= SHORT).to_numpy() for length in lengths]
        sure = _moderate(price, size)
        for text, near, short in zip(texts, (price, size), is_short, strict=True):
            sure &= ~np.isnan(near) & (short | _is_wide(text))
        rows = np.flatnonzero(~sure)
        pairs = zip(*(text.gather(rows).to_list() for text in texts), strict=True)
        found = {row: why_no_trade(*pair) for row, pair in zip(rows.tolist(), pairs, strict=True)}
        whys |= {row: why for row, why in found.items() if why}
        price, size = (np.where(short, near, np.nan) for near, short in zip((price, size), is_short, strict=True))
    return frame.with_columns(pl.Series(NEAR[0], price), pl.Series(NEAR[1], size)), whys


def why_no_trade(price: str, size: str) -> str | None:
    """None where both are numbers that can be summed."""
    values = []
    for role, text in (("price", price), ("size", size)):
        if not NUMBER.fullmatch(text):
            return f"{role} {text[:50]!r} is not a positive number"
        value = Decimal(text)
        if not value:
            return f"{role} {text[:50]!r} is not above zero"
        if digits_of(value) > MOST_DIGITS:
            return f"{role} {text[:50]!r} has more than {MOST_DIGITS} digits"
        values.append(units_of(value))
    (price_units, price_scale), (size_units, size_scale) = values
    if price_units * size_units >= MOST_AMOUNT * 10 ** (price_scale + size_scale):
        return f"{price[:50]} x {size[:50]} has more than 26 digits before the point"
    return None


def digits_of(value: Decimal) -> int:
    """Digits before and after the point, zeros at the end left out; a whole number counts its zeros."""
    _, digits, exponent = value.as_tuple()
    assert isinstance(exponent, int)
    kept = len(digits)
    while kept > 1 and exponent < 0 and not digits[kept - 1]:
        kept, exponent = kept - 1, exponent + 1
    return max(kept + exponent, 0) + max(-exponent, 0)


def units_of(value: Decimal) -> tuple[int, int]:
    """(units, scale): the value in whole units of 10^-scale. For values of up to MOST_DIGITS."""
    _, digits, exponent = value.as_tuple()
    assert isinstance(exponent, int)
    units = int("".join(map(str, digits)))
    while exponent < 0 and units % 10 == 0:
        units, exponent = units // 10, exponent + 1
    return (units, -exponent) if exponent <= 0 else (units * 10**exponent, 0)


def wholes(near: np.ndarray, starts: np.ndarray, scales: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(units, scales, bad): the numbers of each group as whole units of 10^-scale, with one scale per group: the
    first from `scales` on that holds them all. `bad`: rows whose number needs more digits; their units are 0.

    `near`: doubles read from texts of up to 15 digits. Units of up to 15 digits are as good as such a text, and the
    double next to their quotient is correctly rounded: where it is `near`, text and units are the same number."""
    if len(starts) == 1:
        found = _of_one(near, int(scales[0]))
        if found is not None:
            return found
    counts = np.diff(starts, append=len(near))
    scales = _likely(near, starts, counts, scales)
    rounded, good = _rounded(near, np.repeat(_POWERS[scales], counts))
    if not good.all():
        row_scales = np.repeat(scales, counts)
        off = np.flatnonzero(~good)
        while len(off):
            row_scales[off] += 1
            off = off[row_scales[off] <= MOST_DECIMALS]
            off = off[~_rounded(near[off], _POWERS[row_scales[off]])[1]]
        row_scales[row_scales > MOST_DECIMALS] = 0
        scales = np.maximum.reduceat(row_scales, starts)
        rounded, good = _rounded(near, np.repeat(_POWERS[scales], counts))
    good &= rounded < MOST_UNITS
    return np.where(good, rounded, 0).astype(np.int64), scales, ~good


def _of_one(near: np.ndarray, scale: int) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """The same for one group, where one scale suits all its numbers."""
    while scale <= MOST_DECIMALS:
        power = _POWERS[scale]
        if _rounded(near[:1000], power)[1].all():
            rounded, good = _rounded(near, power)
            if good.all():
                is_short = rounded.max() < MOST_UNITS
                return (rounded.astype(np.int64), np.array([scale]), np.zeros(len(near), bool)) if is_short else None
        scale += 1
    return None


def _likely(near: np.ndarray, starts: np.ndarray, counts: np.ndarray, scales: np.ndarray) -> np.ndarray:
    """The scale, from `scales` on, that the first rows of each group need; 0 where none will do."""
    rows = starts[:, None] + np.minimum(np.arange(_FIRST_ROWS), counts[:, None] - 1)
    scales, off = scales.copy(), np.arange(len(starts))
    while len(off):
        off = off[~_rounded(near[rows[off]], _POWERS[scales[off], None])[1].all(axis=1)]
        scales[off] += 1
        off = off[scales[off] <= MOST_DECIMALS]
    scales[scales > MOST_DECIMALS] = 0
    return scales


def _rounded(near: np.ndarray, power: np.ndarray | float) -> tuple[np.ndarray, np.ndarray]:
    """Units of 1 / power, and whether they say the same."""
    rounded = np.rint(near * power)
    return rounded, rounded / power == near


def _moderate(price, size):
    """Whether a price and a size of up to SHORT characters, given as doubles, are surely those of a trade."""
    with np.errstate(over="ignore", invalid="ignore"):
        return (price > 1e-16) & (size > 1e-16) & (price < 1e16) & (size < 1e16) & (price * size < 1e25)


def _is_wide(texts: "pl.Series") -> np.ndarray:
    """Whether a text is surely a number of up to MOST_DIGITS, if it is one at all."""
    return ((texts.str.len_bytes() <= MOST_DIGITS) & texts.str.contains(_WIDE)).to_numpy()


def _bad_times(time: np.ndarray) -> dict[int, str]:
    if not len(time) or (time.min() >= 0 and time.max() < MOST_TIME_US):
        return {}
    rows = np.flatnonzero((time < 0) | (time >= MOST_TIME_US))
    return {int(row): f"time {int(time[row])} us is no day" for row in rows}
