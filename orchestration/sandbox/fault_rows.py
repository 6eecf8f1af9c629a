"""Faults in rows: a body is opened into its rows, whatever its form, changed and closed again.

JSON (the longest list of the document; numbers keep their text), CSV, the `<Contents>` of a file listing in XML,
and each of them inside of a ZIP or a gzip.
"""

import copy
import gzip
import io
import json
import random
import re
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

# A JSON number that is written as it was read stands between two of these.
RAW = "\0"
DECIMAL = re.compile(r"-?\d+\.\d+")
INTEGER = re.compile(r"-?\d+")
EPOCHS = {10: 1, 13: 1_000, 16: 1_000_000}  # digits of a time since 1970: units in a second
EARLIEST, LATEST = 1_230_768_000, 2_051_222_400  # 2009 and 2035 in seconds
HEADERS = {
    12: "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,taker_buy_quote_volume,"
    "ignore",
    7: "id,price,qty,quote_qty,time,is_buyer_maker,is_best_match",
}


class DoesNotApply(Exception):
    """The fault makes no sense for this answer; the message says why."""


@dataclass
class Rows:
    """`rows`: lists of cells (JSON, CSV), mappings of cells (JSON), or text (XML). `header`: of a CSV."""

    form: str
    rows: list[Any]
    close: Callable[["Rows"], bytes]
    header: list[str] | None = None


# --- opening and closing -------------------------------------------------------------------------


def opened(body: bytes) -> Rows:
    """Raises DoesNotApply where the body has no rows."""
    if body[:2] == b"PK":
        return _zip(body)
    if body[:2] == b"\x1f\x8b":
        inner = opened(gzip.decompress(body))
        close = inner.close
        inner.close = lambda rows: gzip.compress(close(rows), mtime=0)
        return inner
    start = body[:200].lstrip()
    if start[:1] in (b"{", b"["):
        return _json(body)
    if start[:1] == b"<":
        return _xml(body)
    return _csv(body)


def _zip(body: bytes) -> Rows:
    with zipfile.ZipFile(io.BytesIO(body)) as file:
        name = file.namelist()[0]
        inner = opened(file.read(name))
    close = inner.close

    def closed(rows: Rows) -> bytes:
        written = io.BytesIO()
        with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as file:
            file.writestr(zipfile.ZipInfo(name), close(rows), zipfile.ZIP_DEFLATED)
        return written.getvalue()

    inner.close = closed
    return inner


def raw(text: str) -> str:
    return f"{RAW}{text}{RAW}"


def read_json(body: bytes) -> Any:
    """Numbers as `raw` text, so that no digit is lost."""
    try:
        return json.loads(body, parse_float=raw, parse_int=raw, parse_constant=raw)
    except ValueError as error:
        raise DoesNotApply(f"the body is not JSON ({error})") from None


def write_json(content: Any) -> bytes:
    text = json.dumps(content, separators=(",", ":"), ensure_ascii=False)
    return re.sub(r'"\\u0000(.*?)\\u0000"', r"\1", text).encode()


def _lists(content: Any, depth: int = 4) -> Iterator[list]:
    """Lists of lists or mappings, those inside of rows left out."""
    if isinstance(content, list) and content and all(isinstance(row, list | dict) for row in content):
        yield content
    elif isinstance(content, dict) and depth:
        for value in content.values():
            yield from _lists(value, depth - 1)


def _json(body: bytes) -> Rows:
    content = read_json(body)
    found = max(_lists(content), key=len, default=None)
    if found is None:
        raise DoesNotApply("the body holds no rows")

    def close(rows: Rows) -> bytes:
        found[:] = rows.rows
        return write_json(content)

    return Rows("json", list(found), close)


def _xml(body: bytes) -> Rows:
    text = body.decode("utf-8", "replace")
    rows = re.findall(r"<Contents>.*?</Contents>", text, re.DOTALL)
    if not rows:
        raise DoesNotApply("the body holds no rows")
    first, last = text.index(rows[0]), text.rindex(rows[-1]) + len(rows[-1])
    return Rows("xml", rows, lambda changed: (text[:first] + "".join(changed.rows) + text[last:]).encode())


def _csv(body: bytes) -> Rows:
    lines = body.decode("utf-8", "replace").split("\n")
    end = "\r\n" if lines[0].endswith("\r") else "\n"
    cells = [line.rstrip("\r").split(",") for line in lines if line.strip()]
    if not cells or len(cells[0]) < 2:
        raise DoesNotApply("the body holds no rows")
    header = None if _is_number(cells[0][0]) else cells.pop(0)
    if not cells:
        raise DoesNotApply("the body holds no rows")

    def close(rows: Rows) -> bytes:
        written = ([rows.header] if rows.header else []) + rows.rows
        return "".join(",".join(row) + end for row in written).encode()

    return Rows("csv", cells, close, header)


def _is_number(text: str) -> bool:
    return bool(DECIMAL.fullmatch(text) or INTEGER.fullmatch(text))


# --- cells ---------------------------------------------------------------------------------------

Cell = tuple[Any, Any]  # the list or mapping that holds it, and where


def cells(row: Any) -> Iterator[tuple[Cell, str]]:
    """The cells with text or a number, and their text; also of mappings inside of a row."""
    pairs = row.items() if isinstance(row, dict) else enumerate(row) if isinstance(row, list) else ()
    for key, value in pairs:
        if isinstance(value, str):
            yield (row, key), value.strip(RAW)
        elif isinstance(value, dict):
            yield from cells(value)


def write(cell: Cell, text: str) -> None:
    """In place of what the cell holds, quoted where that was quoted."""
    holder, key = cell
    holder[key] = raw(text) if holder[key].startswith(RAW) else text


def is_time(text: str) -> bool:
    units = EPOCHS.get(len(text))
    return bool(units and text.isdecimal() and EARLIEST <= int(text) // units < LATEST)


def times_of(rows: Rows) -> list[Any]:
    """Keys of the cells that hold a time in every row: one amount may look like a time, a column of them does not."""

    def has_time(row: Any, key: Any) -> bool:
        cell = row.get(key) if isinstance(row, dict) else row[key] if key < len(row) else None
        return isinstance(cell, str) and is_time(cell.strip(RAW))

    first = rows.rows[0]
    keys = list(first) if isinstance(first, dict) else range(len(first)) if isinstance(first, list) else ()
    return [key for key in keys if all(type(row) is type(first) and has_time(row, key) for row in rows.rows)]


def _amounts(row: Any) -> list[tuple[Cell, str]]:
    """Numbers that are neither zero nor a time: those with a decimal point, or else whole ones."""
    found = [(cell, text) for cell, text in cells(row) if DECIMAL.fullmatch(text) and float(text)]
    whole = ((cell, text) for cell, text in cells(row) if INTEGER.fullmatch(text) and not is_time(text))
    return found or [(cell, text) for cell, text in whole if int(text)]


# --- what may be wrong with rows -----------------------------------------------------------------

Change = Callable[[Rows, random.Random], None]


def _somewhere(rows: Rows, chance: random.Random) -> int:
    return chance.randrange(len(rows.rows))


def repeated(times_more: int) -> Change:
    def change(rows: Rows, chance: random.Random) -> None:
        at = _somewhere(rows, chance)
        rows.rows[at:at] = [rows.rows[at]] * times_more

    return change


def unordered(rows: Rows, chance: random.Random) -> None:
    if len(rows.rows) < 2:
        raise DoesNotApply("one row has no order")
    before = list(rows.rows)
    while rows.rows == before:
        chance.shuffle(rows.rows)
        if all(row == before[0] for row in before):
            raise DoesNotApply("equal rows have no order")


def missing(rows: Rows, chance: random.Random) -> None:
    del rows.rows[_somewhere(rows, chance)]


def number(text: str) -> Change:
    """A number of one row becomes `text`; `-` turns its sign."""

    def change(rows: Rows, chance: random.Random) -> None:
        found = _amounts(rows.rows[_somewhere(rows, chance)])
        if not found:
            raise DoesNotApply("the row holds no amount")
        cell, before = chance.choice(found)
        write(cell, text if text != "-" else before.removeprefix("-") if before[0] == "-" else "-" + before)

    return change


def last_digit(column: int) -> Change:
    """A number of one row, that of `column` (from 0), ends with the next digit."""

    def change(rows: Rows, chance: random.Random) -> None:
        found = list(cells(rows.rows[_somewhere(rows, chance)]))
        if column >= len(found) or not DECIMAL.fullmatch(found[column][1]):
            raise DoesNotApply(f"no amount in column {column}")
        cell, text = found[column]
        write(cell, text[:-1] + str((int(text[-1]) + 1) % 10))

    return change


def unit(digits: int, is_mixed: bool = False) -> Change:
    """Times get so many digits (10: seconds, 13: milli-, 16: microseconds), all of them or every second row's."""

    def change(rows: Rows, chance: random.Random) -> None:
        keys, changed = times_of(rows), 0
        for row in rows.rows[:: 2 if is_mixed else 1]:
            for key in keys:
                text = row[key].strip(RAW)
                changed += len(text) != digits
                write((row, key), text[:digits].ljust(digits, "0"))
        if not changed:
            raise DoesNotApply("no times in another unit")

    return change


def open_bar(rows: Rows, chance: random.Random) -> None:
    """The bar of the interval that is not over, as far as it has come."""
    keys = times_of(rows)
    if len(rows.rows) < 2 or not keys:
        raise DoesNotApply("no two rows with a time")
    order = sorted(rows.rows, key=lambda row: int(row[keys[0]].strip(RAW)))
    step = int(order[-1][keys[0]].strip(RAW)) - int(order[-2][keys[0]].strip(RAW))
    newest = copy.deepcopy(order[-1])
    for key in keys:
        write((newest, key), str(int(newest[key].strip(RAW)) + step))
    rows.rows.insert(len(rows.rows) if rows.rows[-1] is order[-1] else 0, newest)


def header(rows: Rows, chance: random.Random) -> None:
    if rows.form != "csv":
        raise DoesNotApply("only a CSV has a header")
    width = len(rows.rows[0])
    rows.header = (
        None if rows.header else (HEADERS.get(width) or ",".join(f"column_{i}" for i in range(width))).split(",")
    )


def columns(rows: Rows, chance: random.Random) -> None:
    for row in rows.rows:
        if isinstance(row, dict):
            row["brandNew"] = "1"
        elif isinstance(row, list):
            row.append("1")
        else:
            raise DoesNotApply("a file listing has no columns")
    if rows.header:
        rows.header = [*rows.header, "brand_new"]
