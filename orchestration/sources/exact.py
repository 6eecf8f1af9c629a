"""Decimal text from the wire to exact amounts."""

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from orchestration.records import AMOUNT

_WIDE = pa.decimal128(38, 20)


@dataclass(frozen=True)
class Amounts:
    """`values`: DECIMAL(38,12), NULL where the text is missing or unusable. `rounded_count`: cells
    with more than 12 decimals, rounded half-even. `bad`: index → why the text is not an amount."""

    values: pa.Array
    rounded_count: int
    bad: dict[int, str]


def amounts(texts: Sequence[str | None]) -> Amounts:
    """Amounts from decimal text; exponents are understood, NaN and Infinity are not amounts."""
    column = pa.array(texts, pa.string())
    bad: dict[int, str] = {}
    try:
        wide = pc.cast(column, _WIDE)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return _one_by_one(texts)
    # Arrow does not notice when a number of 19 or more digits before the point overflows 20 decimals.
    if (pc.max(pc.abs(pc.cast(column, pa.float64()))).as_py() or 0) >= 1e17:
        return _one_by_one(texts)
    rounded = pc.round(wide, 12, "half_to_even")
    count = pc.sum(pc.not_equal(rounded, wide)).as_py() or 0
    try:
        return Amounts(pc.cast(rounded, AMOUNT), count, bad)
    except pa.ArrowInvalid:
        return _one_by_one(texts)


def _one_by_one(texts: Sequence[str | None]) -> Amounts:
    """The slow path, for columns that hold a cell which the wide type cannot."""
    from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation, localcontext

    values: list[Decimal | None] = []
    bad: dict[int, str] = {}
    rounded = 0
    unit, limit = Decimal("1e-12"), Decimal("1e26")
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
                    elif abs(number) >= limit or abs(nearest := number.quantize(unit, ROUND_HALF_EVEN)) >= limit:
                        bad[index] = f"{text[:50]!r} has more than 26 digits before the point"
                    else:
                        value = nearest
                        rounded += value != number
                except InvalidOperation:
                    bad[index] = f"{text[:50]!r} is not a number"
            values.append(value)
    return Amounts(pa.array(values, AMOUNT), rounded, bad)


def prices(texts: Sequence[str | None]) -> pa.Array:
    """Doubles from decimal text; NULL where the text is missing, not a number or not finite."""
    column = pa.array(texts, pa.string())
    try:
        numbers = pc.cast(column, pa.float64())
    except pa.ArrowInvalid:
        numbers = pa.array([_float(text) for text in texts], pa.float64())
    return pc.if_else(pc.is_finite(numbers), numbers, None)


def _float(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None
