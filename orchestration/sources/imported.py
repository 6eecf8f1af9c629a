"""Files that a user holds, as CSV: market capitalisations and flows of exchange-traded funds.

A file comes from a spreadsheet or a web page: with its own form of dates, commas between thousands, parentheses or
dashes, lines of totals below. What can be read in one way only is read; all else is named with its line.
"""

import csv
import gzip
import io
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from itertools import chain
from pathlib import Path
from typing import TypeVar

import pyarrow as pa

from orchestration.records import IMPORTED_CAPS, IMPORTED_ETF_FLOWS
from orchestration.sources.body import Body, Parsed, SourceError

T = TypeVar("T")

UPSTREAM = "import"
MOST_BYTES = 16 * 2**20
"""of a file, unpacked: some 400,000 lines"""
SHOWN = 20
"""bad lines that a message lists"""
MOST_PROBLEMS = 1000
"""a file with more is read no further"""
UNITS = {"dollars": Decimal(1), "millions": Decimal(10**6), "billions": Decimal(10**9)}
FIRST_YEAR = 2009
LEAST_DAY_CAP, MOST_CAP, MOST_FLOW = Decimal(10**6), Decimal(10**14), Decimal(10**12)

_DATES = ("date", "day", "utc_date", "snapshot_date")
_ASSETS = ("coin", "asset", "symbol", "ticker", "quote_symbol")
_CAPS = ("mkt_cap", "market_cap", "marketcap", "cap", "cap_usd", "quote_marketcap", "market_cap_usd")
_FLOWS = ("total", "net_flow", "net_flow_usd", "flow", "total_net_flow")
_FOOTERS = ("total", "average", "maximum", "minimum", "mean", "max", "min", "sum", "median")
_MONTHS = {
    name: number
    for number, names in enumerate(
        ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep sept", "oct", "nov", "dec"), 1
    )
    for name in names.split()
}
_ISO = re.compile(r"(\d{4})[-/](\d{1,2})[-/](\d{1,2})(?:[T ]00:00(?::00(?:\.0+)?)?(?:Z|\+00:00| UTC)?)?")
_NAMED = re.compile(r"(\d{1,2})[ -]([A-Za-z]{3})[a-z]*\.?[ ,-]+(\d{4})|([A-Za-z]{3})[a-z]*\.? (\d{1,2}),? (\d{4})")
_THOUSANDS = re.compile(r"\d{1,3}(,\d{3})+(\.\d*)?|\d+(\.\d*)?([eE][+-]?\d{1,3})?|\.\d+")
_NOTHING = ("", "-", "–", "—", "n/a", "N/A", "null", "NULL", "NaN", "nan")


class ImportRefused(SourceError):
    """A file of which nothing is taken; `problems` has a line for each thing to mend."""

    def __init__(self, file: str, problems: Sequence[str]):
        more = f"\n  and {len(problems) - SHOWN} more lines" if len(problems) > SHOWN else ""
        super().__init__(f"{file}: nothing imported\n  " + "\n  ".join(problems[:SHOWN]) + more)
        self.problems = problems


def read_file(path: Path, table: str, unit: str | None, now: datetime) -> Body:
    """The file as a body. Raises ImportRefused where it cannot be read at all."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ImportRefused(str(path), [f"larger than {MOST_BYTES // 2**20} MiB; split it by years"])
        content = path.read_bytes()
    except OSError as error:
        raise ImportRefused(str(path), [f"cannot be read: {error.strerror}; check the path and its rights"]) from None
    context = {"file": path.name} | ({"unit": unit} if unit else {})
    return Body(UPSTREAM, table, f"file:{path.name}", 200, now, content, context)


def parse_caps(body: Body) -> Parsed:
    """Rows of records.IMPORTED_CAPS. Raises ImportRefused with every line that cannot be read."""
    sheet = _Sheet(body, {"date": _DATES, "asset": _ASSETS, "cap": _CAPS})
    factor = _factor(body, "dollars")
    found: dict[tuple[str, date], list[Decimal]] = {}
    said: dict[tuple[str, date, Decimal], int] = {}
    for line, cells in sheet.lines():
        wrong_before = len(sheet.problems)
        day = sheet.take(line, "date", cells["date"], _day)
        cap = sheet.take(line, "market capitalisation", cells["cap"], _amount)
        asset = sheet.take(line, "coin", cells["asset"], _ticker)
        if len(sheet.problems) > wrong_before or day is None or asset is None:
            continue
        if cap is None:
            sheet.say(line, "has no market capitalisation: delete the line, what is not known is not 0")
            continue
        value = cap * factor
        if not 0 < value < MOST_CAP:
            sheet.say(line, f"{cells['cap']!r} is no market capitalisation in {_unit(body, 'dollars')}: see --unit")
            continue
        if (asset, day, value) in said:
            first = said[asset, day, value]
            sheet.say(line, f"{asset} {day} stands there already, in line {first}: delete one of the two")
            continue
        said[asset, day, value] = line
        found.setdefault((asset, day), []).append(value)
    for day in sorted({day for _, day in found}):
        total = sum((v for (_, of), values in found.items() if of == day for v in values), Decimal(0))
        if total < LEAST_DAY_CAP:
            sheet.say(sheet.header, f"all coins of {day} come to {total} dollars: is the unit right? See --unit")
            break
    sheet.end()
    keys = sorted(found, key=lambda key: (key[1], key[0]))
    caps = [sum(found[key], Decimal(0)) for key in keys]
    columns = {
        "asset": [asset for asset, _ in keys],
        "utc_date": [day for _, day in keys],
        "cap_usd": [_rounded(cap) for cap in caps],
        "coin_count": [len(found[key]) for key in keys],
        "body_sha256": [body.sha256] * len(keys),
    }
    return Parsed({IMPORTED_CAPS.table: pa.table(columns, schema=IMPORTED_CAPS.schema)}, _rounded_count(caps))


def parse_etf_flows(body: Body) -> Parsed:
    """Rows of records.IMPORTED_ETF_FLOWS. Raises ImportRefused with every line that cannot be read."""
    sheet = _Sheet(body, {"date": _DATES, "flow": _FLOWS})
    # Farside's table, whose column is called Total, counts in millions.
    usual = {"total": "millions", "net_flow_usd": "dollars"}.get(sheet.named["flow"])
    if usual is None and "unit" not in body.context:
        sheet.say(sheet.header, f"does not tell what {sheet.named['flow']!r} counts: say --unit dollars or millions")
        sheet.end()
    factor = _factor(body, usual or "dollars")
    found: dict[date, Decimal | None] = {}
    total: Decimal | None = None
    is_below = False
    for line, cells in sheet.lines():
        if cells["date"].strip().lower() in _FOOTERS:
            is_below = True
            if cells["date"].strip().lower() in ("total", "sum"):
                total = sheet.take(line, "total", cells["flow"], _amount)
            continue
        day = sheet.take(line, "date", cells["date"], _day)
        flow = sheet.take(line, "flow", cells["flow"], _amount)
        if day is None:
            continue
        if is_below:
            sheet.say(line, "a day below the lines of totals: move it above them")
        if day in found:
            sheet.say(line, f"{day} stands there already: delete one of the two")
        if flow is not None and abs(flow * factor) >= MOST_FLOW:
            sheet.say(line, f"{cells['flow']!r} is no flow of a day in {_unit(body, usual or 'dollars')}: see --unit")
        found[day] = None if flow is None else flow * factor
    if total is not None and not sheet.problems:
        summed = sum((flow for flow in found.values() if flow is not None), Decimal(0)) / factor
        # Every day may have been rounded to a tenth.
        if abs(summed - total) > Decimal("0.05") * (len(found) + 1):
            sheet.say(sheet.header, f"its days come to {summed}, its line of totals says {total}: days are missing")
    sheet.end()
    days = sorted(found)
    columns = {
        "utc_date": days,
        "net_flow_usd": [None if (flow := found[day]) is None else _rounded(flow) for day in days],
        "body_sha256": [body.sha256] * len(days),
    }
    table = pa.table(columns, schema=IMPORTED_ETF_FLOWS.schema)
    return Parsed({IMPORTED_ETF_FLOWS.table: table}, _rounded_count(found.values()))


def _unit(body: Body, usual: str) -> str:
    return body.context.get("unit", usual)


def _factor(body: Body, usual: str) -> Decimal:
    return UNITS[_unit(body, usual)]


def _rounded(value: Decimal) -> Decimal:
    return value.quantize(Decimal("1e-12"))


def _rounded_count(values: Iterable[Decimal | None]) -> int:
    return sum(value is not None and value != _rounded(value) for value in values)


class _Sheet:
    """The lines of a CSV file and what is wrong with them. `named`: which of its columns stands for what."""

    def __init__(self, body: Body, wanted: Mapping[str, Sequence[str]]):
        self._file = body.context["file"]
        self.problems: list[str] = []
        self.header = 1
        self._rows = self._read(body.content)
        self.header, cells = next(self._rows, (1, []))
        if not cells:
            self.say(1, "the file is empty: it needs a header and lines below it")
            self.end()
        names = [re.sub(r"[^a-z0-9]+", "_", cell.strip().lower()).strip("_") for cell in cells]
        self.named: dict[str, str] = {}
        self._at: dict[str, int] = {}
        for what, known in wanted.items():
            places = [i for i, name in enumerate(names) if name in known]
            if len(places) == 1:
                self._at[what], self.named[what] = places[0], names[places[0]]
            else:
                how = "no column" if not places else f"{len(places)} columns"
                self.say(
                    self.header,
                    f"{how} for the {what} among {', '.join(map(repr, cells))[:200]}: call one of them {known[0]!r}",
                )
        first = next(self._rows, None)
        if first is None:
            self.say(self.header, "no line below the header")
        self.end()
        self._rows = chain([first] if first else [], self._rows)
        self._width = len(cells)

    def _read(self, content: bytes) -> Iterator[tuple[int, list[str]]]:
        """Number and cells of each line that is not empty."""
        content = self._unpacked(content)
        try:
            content.decode("utf-8")
        except UnicodeDecodeError as error:
            line = content[: error.start].count(b"\n") + 1
            self.say(line, "is not UTF-8: save the file as CSV UTF-8")
            self.end()
        text = io.TextIOWrapper(io.BytesIO(content), "utf-8-sig", newline="")
        reader = csv.reader(text, self._delimiter(content))
        try:
            for row in reader:
                if any(cell.strip() for cell in row):
                    yield reader.line_num, row
        except csv.Error as error:
            self.say(reader.line_num, f"is no line of a CSV file ({error}): are all quotation marks closed?")
            self.end()

    def _unpacked(self, content: bytes) -> bytes:
        if content[:2] != b"\x1f\x8b":
            return content
        try:
            with gzip.GzipFile(fileobj=io.BytesIO(content)) as packed:
                unpacked = packed.read(MOST_BYTES + 1)
        except (OSError, EOFError, zlib.error) as error:
            self.say(1, f"a damaged gzip ({error}): fetch the file again")
            self.end()
            raise AssertionError from error
        if len(unpacked) > MOST_BYTES:
            self.say(1, f"more than {MOST_BYTES // 2**20} MiB unpacked: split it by years")
            self.end()
        return unpacked

    def _delimiter(self, content: bytes) -> type[csv.Dialect]:
        head = content.lstrip(b"\xef\xbb\xbf").split(b"\n", 1)[0]
        found = max((b",", b";", b"\t"), key=head.count)

        class Form(csv.excel):
            delimiter = found.decode()
            strict = True

        return Form

    def lines(self) -> Iterator[tuple[int, dict[str, str]]]:
        for line, row in self._rows:
            if len(row) != self._width:
                self.say(line, f"has {len(row)} fields, the header has {self._width}: quote numbers that hold commas")
                continue
            yield line, {what: row[at] for what, at in self._at.items()}

    def take(self, line: int, what: str, cell: str, read: Callable[[str], T]) -> T | None:
        try:
            return read(cell.strip())
        except ValueError as error:
            self.say(line, f"{what}: {error}")
            return None

    def say(self, line: int, problem: str) -> None:
        self.problems.append(f"{self._file} line {line}: {problem}")
        if len(self.problems) >= MOST_PROBLEMS:
            self.end()

    def end(self) -> None:
        """Raises ImportRefused where anything is wrong."""
        if self.problems:
            raise ImportRefused(self._file, self.problems)


def _day(cell: str) -> date:
    if found := _ISO.fullmatch(cell):
        year, month, day = map(int, found.groups())
    elif found := _NAMED.fullmatch(cell):
        named = [part for part in found.groups() if part]
        number, name = (named[0], named[1]) if named[0].isdigit() else (named[1], named[0])
        year, month, day = int(named[2]), _MONTHS.get(name.lower(), 0), int(number)
    else:
        raise ValueError(f"{cell[:40]!r} is no day that can be read in one way only; write it as 2024-01-31")
    try:
        read = date(year, month, day)
    except ValueError:
        raise ValueError(f"{cell[:40]!r} is not in the calendar") from None
    if not FIRST_YEAR <= read.year <= 2100:
        raise ValueError(f"{cell[:40]!r} lies outside of {FIRST_YEAR} to 2100")
    return read


def _amount(cell: str) -> Decimal | None:
    """None for a dash or nothing: not reported. (1.5) is -1.5, as accountants write."""
    if cell in _NOTHING:
        return None
    is_negative = cell.startswith("(") and cell.endswith(")")
    text = cell[1:-1].strip() if is_negative else cell
    # The sign that web pages write instead of a hyphen.
    sign, text = ("-", text[1:]) if text[:1] in "-−" else ("", text.removeprefix("+"))
    text = text.strip().removeprefix("$").strip()
    if not text.isascii() or not _THOUSANDS.fullmatch(text) or (is_negative and sign):
        raise ValueError(f"{cell[:40]!r} is no number; write it as 1234.5, -1234.5, or leave it empty if not known")
    try:
        number = Decimal(text.replace(",", ""))
    except InvalidOperation:
        raise ValueError(f"{cell[:40]!r} is no number") from None
    if number.adjusted() > 20:
        raise ValueError(f"{cell[:40]!r} is more than there is")
    return -number if is_negative or sign else number


def _ticker(cell: str) -> str:
    if not cell:
        raise ValueError("there is none; write its ticker")
    if len(cell) > 40 or re.search(r"[\x00-\x1f'\"`\\;<>]|\.\.", cell):
        raise ValueError(f"{cell[:40]!r} is no ticker")
    return cell.upper()
