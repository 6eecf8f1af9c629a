"""The definition that is quoted first, and how its amounts are written."""

from decimal import Decimal

HEADLINE = "rolling_365d.ex_btc_eth.all.all"


def usd(value: Decimal | float | None) -> str:
    """-24,513,355,314.6 → -$24.51 B."""
    if value is None:
        return "no data"
    number = float(value)
    sign = "-" if number < 0 else ""
    for unit, name in ((1e12, " T"), (1e9, " B"), (1e6, " M")):
        if abs(number) >= unit:
            return f"{sign}${abs(number) / unit:,.2f}{name}"
    return f"{sign}${abs(number):,.0f}"


def percent(value: float | None, digits: int = 2) -> str:
    """-0.0113 → -1.13 %."""
    return "no data" if value is None else f"{100 * value:+.{digits}f} %"
