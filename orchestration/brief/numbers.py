"""Numbers as readers write them: $209.3 B, −1.13 %, UTC days; as HTML that keeps the exact value beside.

`Value` is for `markupsafe.Markup.format`: `{net_usd:usd}` prints
`<data value="-23982060663.4992" data-column="net_usd">−$23.98 B</data>`.
"""

import unicodedata
from datetime import date, datetime
from typing import Any

from markupsafe import Markup, escape

MINUS, SPACE = "\N{MINUS SIGN}", "\N{NO-BREAK SPACE}"
NO_DATA = "no data"
UNITS = ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k"))


def _signed(number: float, text: str, plus: bool = False) -> str:
    shows_zero = not text.strip("0.,$ %" + SPACE)
    return f"{MINUS if number < 0 and not shows_zero else '+' if plus and number > 0 else ''}{text}"


def usd(number: float, plus: bool = False) -> str:
    """Four digits: -209312345678 → −$209.3 B."""
    size = abs(number)
    for unit, name in UNITS:
        if size >= unit * 0.99995:
            scaled = size / unit
            digits = 2 if scaled < 99.995 else 1
            return _signed(number, f"${scaled:,.{digits}f}{SPACE}{name}", plus)
    return _signed(number, f"${size:,.0f}" if size >= 100 or size == 0 else f"${size:.4g}", plus)


def percent(ratio: float, digits: int = 2, plus: bool = False) -> str:
    return _signed(ratio, f"{abs(100 * ratio):,.{digits}f}{SPACE}%", plus)


def points(ratio: float) -> str:
    """A difference of two ratios, in percentage points."""
    return _signed(ratio, f"{abs(100 * ratio):.2f}{SPACE}points", plus=True)


def count(number: float) -> str:
    return _signed(number, f"{abs(round(number)):,}")


def number(value: float) -> str:
    """Three to four digits of a plain number."""
    size = abs(value)
    return _signed(value, f"{size:,.0f}" if size >= 1000 else f"{size:.4g}")


def decimal(value: float) -> str:
    """Two decimals."""
    return _signed(value, f"{abs(value):,.2f}")


def exchanges(number: float) -> str:
    return f"{count(number)}{SPACE}exchange{'' if number == 1 else 's'}"


def p_value(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


FORMATS = {
    "usd": usd,
    "usd_plus": lambda value: usd(value, plus=True),
    "usd_size": lambda value: usd(abs(value)),
    "percent": percent,
    "percent_size": lambda value: percent(abs(value)),
    "percent_plus": lambda value: percent(value, plus=True),
    "percent0": lambda value: percent(value, 0),
    "percent1": lambda value: percent(value, 1),
    "percent3_plus": lambda value: percent(value, 3, plus=True),
    "percent0_plus": lambda value: percent(value, 0, plus=True),
    "points": points,
    "count": count,
    "number": number,
    "decimal": decimal,
    "exchanges": exchanges,
    "p": p_value,
}


def text_only(value: object) -> str:
    """Text of the data with its control and direction marks shown as codes."""
    written = str(value)
    if written.isascii() and written.isprintable():
        return written
    return "".join(
        f"‹U+{ord(letter):04X}›" if unicodedata.category(letter) in ("Cc", "Cf", "Co", "Cs", "Cn") else letter
        for letter in written
    )


def text(value: object) -> Markup:
    """Text of the data: escaped, and isolated from the direction of what is around."""
    return Markup("<bdi>{}</bdi>").format(text_only(value))


def plain(value: object) -> str:
    """The exact value as text: what SQL returned."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, (date, datetime)):
        return value.isoformat()
    return text_only(value)


def show(value: Any, form: str) -> Markup:
    """A value in one of FORMATS, or `text`, `day`, `yes`."""
    if value is None or value != value:
        return Markup('<span class="none">{}</span>').format(NO_DATA)
    if form in FORMATS:
        return escape(FORMATS[form](float(value)))
    if form == "yes":
        return escape("yes" if value else "no")
    if isinstance(value, (date, datetime)):
        written = value.isoformat(" ", "seconds") + " UTC" if isinstance(value, datetime) else value.isoformat()
        return Markup("<time>{}</time>").format(written)
    return text(value)


class Value:
    """One column of a row, for `Markup.format`."""

    def __init__(self, column: str, value: Any):
        self.column, self.value = column, value

    def __html__(self) -> Markup:
        return self.__html_format__("text")

    def __html_format__(self, form: str) -> Markup:
        if self.value is None:
            return show(None, form)
        return Markup('<data value="{}" data-column="{}" data-format="{}">{}</data>').format(
            plain(self.value), self.column, form or "text", show(self.value, form or "text")
        )


def filled(template: str, row: dict[str, Any]) -> Markup:
    """A trusted HTML template with the columns of a row put in, escaped."""
    return Markup(template).format(**{name: Value(name, value) for name, value in row.items()})
