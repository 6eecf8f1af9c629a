"""What a brief is made of. A section is data: sentences, charts and tables, each with the SQL that it rests on.

The SQL of every part runs on published/marts.duckdb as it stands. A part says what it shows; page.py asks and renders.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Sentence:
    """A sentence whose numbers are the columns of one row.

    `text`: trusted HTML with `{column:format}` (formats: numbers.py), or a function from the row to one. `needs`:
    columns without which there is nothing to say; then `otherwise` is said. A column called utc_date is the day that
    the sentence is about, one called p_value the p of its null hypothesis. `label`: a short heading, shown with
    `figure`, the number that the sentence is about (`{column:format}`), as a card."""

    id: str
    sql: str
    text: str | Callable[[Row], str]
    needs: tuple[str, ...] = ()
    otherwise: str = "No data."
    label: str = ""
    figure: str | Callable[[Row], str] = ""
    kind: str = "sentence"


@dataclass(frozen=True)
class Series:
    """One column of a chart as a line or bar; `color`: its place in the palette (page.css)."""

    column: str
    label: str
    color: int


@dataclass(frozen=True)
class Chart:
    """A Vega-Lite specification and the query behind its data set `table`.

    `about`: what one sees, for those who do not; `format`: of its values in the data table; `range_buttons`: offered
    where the x axis is a day; `is_log_offered`: a switch to a logarithmic y axis; `is_wide`: scrolls on a phone."""

    id: str
    title: str
    sql: str
    spec: dict
    about: str
    unit: str = ""
    note: str = ""
    series: tuple[Series, ...] = ()
    format: str = "number"
    is_daily: bool = True
    is_log_offered: bool = False
    is_wide: bool = False


@dataclass(frozen=True)
class Column:
    name: str
    label: str
    format: str = "text"


@dataclass(frozen=True)
class Table:
    """Rows shown as they come; `is_sortable`: by any column; `filter_id`: of an input that filters the rows."""

    id: str
    title: str
    sql: str
    columns: tuple[Column, ...]
    note: str = ""
    is_sortable: bool = False
    filter_id: str = ""
    is_collapsed: bool = False


@dataclass(frozen=True)
class Note:
    """A definition or a caveat: trusted HTML without any number of the data."""

    text: str


@dataclass(frozen=True)
class Register:
    """All rows of `claims`, with verdict, rule and query."""


@dataclass(frozen=True)
class Dictionary:
    """The comments of tables and columns."""


Part = Sentence | Chart | Table | Note | Register | Dictionary


@dataclass(frozen=True)
class Section:
    """`claims`: which of the register's claims belong here, by number."""

    id: str
    title: str
    parts: tuple[Part, ...]
    claims: tuple[int, ...] = ()
