"""How archives write: numbers as text from exact integers, rows of CSV, and the zip or gzip around them.

The same rows give the same bytes on every day, so that checksums hold.
"""

import gzip
import io
import zipfile
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .market import decimal_text, json_rows, text_of


def fixed(units: np.ndarray, decimals: int, places: int | None = None) -> pa.Array:
    """`units` x 10^-decimals with `places` decimals (default: `decimals`); without a point where there are none."""
    places = decimals if places is None else places
    return decimal_text(units, decimals, places) if places else pa.array(units).cast(pa.string())


def trimmed(units: np.ndarray, decimals: int) -> pa.Array:
    """Without zeros at the end: 63927, 0.0045."""
    return pc.utf8_rtrim(pc.utf8_rtrim(fixed(units, decimals, max(decimals, 1)), "0"), ".")


def float_text(units: np.ndarray, decimals: int) -> pa.Array:
    """As Python prints a float: 0.02, 25.0, and 9.612e-05 below 0.0001."""
    plain = pc.utf8_rtrim(fixed(units, decimals, max(decimals, 1)), "0")
    plain = pc.if_else(pc.ends_with(plain, "."), json_rows([plain, "0"]), plain)
    tiny = (units > 0) & (units < 10 ** max(decimals - 4, 0))
    if not tiny.any():
        return plain
    return pc.replace_with_mask(
        plain, pa.array(tiny), pa.array([scientific(u, decimals) for u in units[tiny].tolist()])
    )


def scientific(units: int, decimals: int) -> str:
    digits = str(units)
    exponent = decimals - len(digits) + 1
    digits = digits.rstrip("0")
    return f"{digits[0]}{'.' if len(digits) > 1 else ''}{digits[1:]}e-{exponent:02d}"


def chosen(flags: np.ndarray, yes: str, no: str) -> pa.Array:
    return pc.if_else(pa.array(flags), yes, no)


def csv(columns: Sequence[pa.Array | str], header: str = "") -> bytes:
    """Lines of comma-separated columns; a text stands in every row. `header` without its line end."""
    parts: list[pa.Array | str] = []
    for column in columns:
        parts += [column, ","]
    parts[-1] = "\n"
    ends, text = text_of(json_rows(parts))
    head = header.encode() + b"\n" if header else b""
    return head + bytes(text[: int(ends[-1])])


def zipped(name: str, data: bytes) -> bytes:
    """A zip of one member."""
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w") as archive:
        member = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
        archive.writestr(member, data, zipfile.ZIP_DEFLATED, 6)
    return body.getvalue()


def gzipped(name: str, data: bytes) -> bytes:
    """A gzip that carries the name of what it holds: one of nothing is 42 to 44 bytes long, as Bybit's are."""
    body = io.BytesIO()
    with gzip.GzipFile(name, "wb", 6, body, mtime=0) as file:
        file.write(data)
    return body.getvalue()
