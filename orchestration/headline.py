"""The definition that is quoted first, how its amounts are written, and its line without axes."""

from collections.abc import Sequence
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


def sparkline(values: Sequence[float | None], width: int = 480, height: int = 90) -> str:
    """An SVG of `values` from left to right, with a line at zero; what is not known is a gap."""
    known = [value for value in values if value is not None]
    if not known:
        return ""
    low, high = min(*known, 0.0), max(*known, 0.0)
    step, scale = (width - 4) / max(len(values) - 1, 1), (height - 4) / ((high - low) or 1.0)

    def y(value: float) -> float:
        return 2 + (high - value) * scale

    path, is_drawing = [], False
    for i, value in enumerate(values):
        if value is not None:
            path.append(f"{'L' if is_drawing else 'M'}{2 + i * step:.1f} {y(value):.1f}")
        is_drawing = value is not None
    zero = f"M2 {y(0):.1f}H{width - 2}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}">'
        f'<path d="{zero}" stroke="#999" fill="none"/>'
        f'<path d="{"".join(path)}" stroke="#a3123a" stroke-width="1.5" fill="none"/></svg>'
    )
