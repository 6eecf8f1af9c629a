"""Exact integers as the decimal text that an exchange writes."""


def fixed(units: int, decimals: int, places: int) -> str:
    """`units` x 10^-decimals with `places` places; with more where fewer would not be exact."""
    whole, rest = divmod(units, 10 ** max(decimals - places, 0))
    if rest:
        return fixed(units, decimals, decimals)
    digits = str(abs(whole) * 10 ** max(places - decimals, 0)).zfill(places + 1)
    sign = "-" if whole < 0 else ""
    return f"{sign}{digits[:-places]}.{digits[-places:]}" if places else sign + digits


def short(units: int, decimals: int) -> str:
    """`units` x 10^-decimals without trailing zeros: `0.5`, `12`."""
    text = fixed(units, decimals, decimals)
    return text.rstrip("0").rstrip(".") if "." in text else text


def quotient(dividend: int, divisor: int, places: int) -> int:
    """dividend / divisor in units of 10^-places, rounded half up."""
    return (2 * dividend * 10**places + divisor) // (2 * divisor)


def rounded(units: int, decimals: int, places: int) -> str:
    """`units` x 10^-decimals rounded half up to exactly `places` places."""
    return fixed(quotient(units, 10**decimals, places), places, places)


def step(decimals: int) -> str:
    """One unit: `0.01` for 2, `1` for 0."""
    return fixed(1, decimals, decimals)
