"""Decimal text from the wire to exact amounts."""

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from orchestration.records import AMOUNT

_DIGITS = 26
"""before the point, at most"""
_WIDE = pa.decimal128(38, 20)
_FAR = "[eE][+-]?[0-9]{2}|^.{39}"
"""text that may have more than 58 decimals, of which Arrow can take 38, or 39 digits, which it lets overflow"""


@dataclass(frozen=True)
class Amounts:
    """`values`: DECIMAL(38,12), NULL where the text is missing or unusable. `rounded_count`: cells
    with more than 12 decimals, rounded half-even. `bad`: index → why the text is not an amount."""

    values: pa.Array
    rounded_count: int
    bad: dict[int, str]


def amounts(texts: Sequence[str | None] | pa.Array) -> Amounts:
    """Amounts from decimal text; exponents are understood, NaN and Infinity are not amounts."""
    column: pa.Array = texts if isinstance(texts, pa.Array) else pa.array(texts, pa.string())
    longest = pc.max(pc.binary_length(column)).as_py() or 0
    if longest <= 38 and not _has_exponent(column):
        try:
            # Refuses what has more decimals, and of what does not fit most.
            values = pc.cast(column, AMOUNT)
        except pa.ArrowInvalid:
            return _rounded(column)
        if longest <= _DIGITS or _fits(column):
            return Amounts(values, 0, {})
    return _rounded(column)


def _has_exponent(column: pa.Array) -> bool:
    """Arrow makes 0 of 1e-40, as of text with more than 38 decimals, and says nothing."""
    text = column.buffers()[2]
    letters = text.to_pybytes() if text else b""
    return b"e" in letters or b"E" in letters


def _fits(column: pa.Array) -> bool:
    """Whether no cell can have overflowed: of 1e28 Arrow keeps what 128 bits of 1e40 leave, and says nothing."""
    return (pc.max(pc.abs(pc.cast(column, pa.float64()))).as_py() or 0) < 1e25


def _rounded(column: pa.Array) -> Amounts:
    """For columns that hold a cell with more than 12 decimals."""
    # Arrow looks a power of ten up in a table that ends at 38, and reads on behind it: 1e-25000000 ends the process.
    if pc.any(pc.match_substring_regex(column, _FAR)).as_py():
        return _one_by_one(column.to_pylist())
    try:
        wide = pc.cast(column, _WIDE)
    except pa.ArrowInvalid:
        return _one_by_one(column.to_pylist())
    # Arrow does not notice when a number of 19 or more digits before the point overflows 20 decimals.
    if (pc.max(pc.abs(pc.cast(column, pa.float64()))).as_py() or 0) >= 1e17:
        return _one_by_one(column.to_pylist())
    rounded = pc.round(wide, 12, "half_to_even")
    count = pc.sum(pc.not_equal(rounded, wide)).as_py() or 0
    try:
        return Amounts(pc.cast(rounded, AMOUNT), count, {})
    except pa.ArrowInvalid:
        return _one_by_one(column.to_pylist())


def _one_by_one(texts: Sequence[str | None]) -> Amounts:
    """The slow path, for columns that hold a cell which the wide type cannot."""
    from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation, localcontext

    values: list[Decimal | None] = []
    bad: dict[int, str] = {}
    rounded = 0
    unit, limit = Decimal("1e-12"), Decimal(10) ** _DIGITS
    with localcontext() as context:
        context.prec = 80
        for index, text in enumerate(texts):
            value = None
            if text is not None:
                try:
                    # Decimal reads 1_000 and digits of other scripts; the wire has neither.
                    number = Decimal(text if text.isascii() and "_" not in text else "")
                    if not number.is_finite():
                        bad[index] = f"{text!r} is not a finite number"
                    elif number.copy_abs() >= limit or abs(nearest := number.quantize(unit, ROUND_HALF_EVEN)) >= limit:
                        bad[index] = f"{text[:50]!r} has more than {_DIGITS} digits before the point"
                    else:
                        value = nearest
                        rounded += value != number
                except InvalidOperation:
                    bad[index] = f"{text[:50]!r} is not a number"
            values.append(value)
    return Amounts(pa.array(values, AMOUNT), rounded, bad)


@dataclass(frozen=True)
class Prices:
    """`values`: doubles, NULL where the text is missing or unusable. `bad`: index → why it is no price."""

    values: pa.Array
    bad: dict[int, str]
    rounded_count: int = 0


def prices(texts: Sequence[str | None] | pa.Array) -> Prices:
    """Doubles from decimal text; what is there and not a finite number is bad."""
    column: pa.Array = texts if isinstance(texts, pa.Array) else pa.array(texts, pa.string())
    try:
        numbers = pc.cast(column, pa.float64())
    except pa.ArrowInvalid:
        numbers = pa.array([_float(cell.as_py()) for cell in column], pa.float64())
    values = pc.if_else(pc.is_finite(numbers), numbers, None)
    unusable = pc.and_(pc.is_null(values), pc.is_valid(column))
    bad = {i: f"{column[i].as_py()[:50]!r} is not a finite number" for i in pc.indices_nonzero(unusable).to_pylist()}
    return Prices(values, bad)


def _float(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None
