"""From a trade file to blocks of typed columns: unpack, cut at line ends, read, refuse what is no trade.

A block is read at once where all its lines are sound; else line by line, and what cannot be a trade is kept
with the reason. Prices and sizes stay text: what they are worth exactly is decided where they are summed.
"""

import io
import re
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from orchestration.sources.body import SourceError
from orchestration.sources.trades import Layout

if TYPE_CHECKING:
    import polars as pl

BLOCK_BYTES = 4 * 2**20
CHUNK_BYTES = 1 << 19
LONGEST_LINE = 1 << 20
MOST_UNPACKED = 64 * 2**30
MOST_REFUSED = 1000
"""rows of one file that are kept with their text; the others are counted"""
UNIT_US = {"us": 1, "ms": 1000, "s": 1_000_000}
_NUMBER = re.compile(rb"\+?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?")
_WHOLE = re.compile(rb"\d{1,19}")


@dataclass
class Refusals:
    """Rows that are no trades: the first MOST_REFUSED with text and reason, all by count."""

    rows: list[tuple[str, str, date | None]] = field(default_factory=list)
    """text of the row, reason, UTC day where known"""
    count: int = 0

    def add(self, text: str, reason: str, day: date | None = None) -> None:
        self.count += 1
        if len(self.rows) < MOST_REFUSED:
            self.rows.append((text[:500], reason, day))


def blocks(path: Path, name: str) -> Iterator[bytes]:
    """Whole lines of a plain, gzip or zip file, some megabytes at a time; nothing for an empty one.

    Raises SourceError where it is cut, corrupt, no text file, or unpacks to more than MOST_UNPACKED."""
    try:
        with open(path, "rb") as file:
            yield from _lines(_unpacked(file, name), name)
    except (EOFError, zipfile.BadZipFile, zlib.error, OSError, ValueError) as error:
        raise SourceError(f"{name}: cannot be unpacked ({type(error).__name__}: {str(error)[:120]})") from None


def _unpacked(file: io.BufferedReader, name: str) -> Iterator[bytes]:
    from isal import igzip, isal_zlib

    magic = file.read(4)
    file.seek(0)
    if magic[:2] == b"\x1f\x8b":
        with igzip.IGzipFile(fileobj=file) as unpacked:
            while chunk := unpacked.read(CHUNK_BYTES):
                yield chunk
    elif magic == b"PK\x03\x04":
        yield from _member(file, name, isal_zlib)
    elif magic[:1] in (b"<", b"{"):
        raise SourceError(f"{name}: {magic!r}… is a page or an error, not a file of trades")
    elif magic[:2] == b"PK":
        return
    else:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk


def _member(file: io.BufferedReader, name: str, isal_zlib) -> Iterator[bytes]:
    """The one text file of a zip; where it says that it lies is of no interest."""
    members = [m for m in zipfile.ZipFile(file).infolist() if not m.is_dir() and m.file_size]
    if len(members) > 1:
        raise SourceError(f"{name}: a zip of {len(members)} files instead of one")
    if not members:
        return
    member = members[0]
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) or member.flag_bits & 1:
        raise SourceError(f"{name}: packed in a way that is not known (method {member.compress_type})")
    file.seek(member.header_offset)
    head = file.read(30)
    file.seek(int.from_bytes(head[26:28], "little") + int.from_bytes(head[28:30], "little"), io.SEEK_CUR)
    left, checksum, size = member.compress_size, 0, 0
    inflate = isal_zlib.decompressobj(-15) if member.compress_type == zipfile.ZIP_DEFLATED else None
    while left:
        packed = file.read(min(left, CHUNK_BYTES))
        if not packed:
            raise EOFError("the file ends inside of its member")
        left -= len(packed)
        while packed:
            chunk = inflate.decompress(packed, CHUNK_BYTES) if inflate else packed
            checksum, size = isal_zlib.crc32(chunk, checksum), size + len(chunk)
            yield chunk
            packed = inflate.unconsumed_tail if inflate else b""
    if (inflate and not inflate.eof) or size != member.file_size or checksum != member.CRC:
        raise EOFError("the member is not what its checksum says")


def _lines(chunks: Iterator[bytes], name: str) -> Iterator[bytes]:
    rest: list[bytes] = []
    held = total = 0
    for chunk in chunks:
        total += len(chunk)
        if total > MOST_UNPACKED:
            raise SourceError(f"{name}: unpacks to more than {MOST_UNPACKED >> 30} GiB; not read")
        cut = chunk.rfind(b"\n") + 1 if held + len(chunk) >= BLOCK_BYTES else 0
        if not cut:
            rest.append(chunk)
            held += len(chunk)
            if held > BLOCK_BYTES + LONGEST_LINE:
                raise SourceError(f"{name}: a line of more than {LONGEST_LINE >> 20} MiB; no file of trades")
            continue
        yield b"".join((*rest, chunk[:cut]))
        rest, held = [chunk[cut:]], len(chunk) - cut
    if last := b"".join(rest):
        yield last


class Reader:
    """Reads the blocks of one file, the first of which may begin with a header.

    `read` gives a frame of sound rows: symbol (where the file names it), id, time_us, price and size (text),
    taker_buys (whether the taker bought)."""

    def __init__(self, layout: Layout, name: str, covers: tuple[datetime, datetime] | None, refused: Refusals):
        self._layout = layout
        self._name = name
        self._refused = refused
        self._roles: list[str] = []
        self._words: tuple[str, ...] | None = None
        self._bounds = None if covers is None else (_us(covers[0]), _us(covers[1]))

    def read(self, block: bytes) -> "pl.DataFrame":
        """Raises SourceError where the columns of the file are not known."""
        if not self._roles:
            block = self._begin(block)
        frame = self._at_once(block)
        if frame is None:
            frame = self._at_once(self._sound_lines(block))
            assert frame is not None
        return self._sound(frame)

    def _begin(self, block: bytes) -> bytes:
        block = block.removeprefix(b"\xef\xbb\xbf")
        head, _, rest = block.partition(b"\n")
        cells = head.rstrip(b"\r").split(b",")
        at = self._layout.positions.index("time")
        if len(cells) > at and _NUMBER.fullmatch(cells[at].strip()):
            extra = len(cells) - len(self._layout.positions)
            self._roles = [*self._layout.positions, *[""] * extra][: len(cells)]
        else:
            # Whatever stands behind a slash is the same word in another script.
            words = [cell.partition(b"/")[0].strip().lower().decode("ascii", "replace") for cell in cells]
            self._roles = [self._layout.names.get(word, "") for word in words]
            block = rest
        missing = {role for role in self._layout.positions if role} - set(self._roles)
        if missing:
            raise SourceError(
                f"{self._name}: no column for {', '.join(sorted(missing))} in {head[:120]!r}; "
                "the upstream changed its files: name the columns in its layout"
            )
        return block

    def _at_once(self, block: bytes) -> "pl.DataFrame | None":
        """None where a line is not sound."""
        import polars as pl

        if not block or block.isspace():
            return self._empty()
        time = pl.Float64 if self._layout.time_unit == "s" else pl.Int64
        kinds: dict[str, type[pl.DataType]] = {"id": pl.Int64, "time": time}
        schema = {role or f"_{i}": kinds.get(role, pl.String) for i, role in enumerate(self._roles)}
        used = [i for i, role in enumerate(self._roles) if role]
        try:
            frame = pl.read_csv(
                block, has_header=False, schema=schema, columns=used, quote_char=None, truncate_ragged_lines=False
            )
        except (pl.exceptions.PolarsError, ValueError):
            return None
        if any(frame.null_count().row(0)):
            return None
        unit = UNIT_US[self._layout.time_unit]
        us = (pl.col("time") * unit).round() if time == pl.Float64 else pl.col("time") * unit
        return frame.with_columns(us.cast(pl.Int64, strict=False).alias("time_us")).drop("time")

    def _empty(self) -> "pl.DataFrame":
        import polars as pl

        kinds = {"id": pl.Int64, "time_us": pl.Int64}
        names = ["time_us" if role == "time" else role for role in self._roles if role]
        return pl.DataFrame(schema={name: kinds.get(name, pl.String) for name in names})

    def _sound_lines(self, block: bytes) -> bytes:
        good = []
        for line in block.split(b"\n"):
            line = line.rstrip(b"\r")
            if not line:
                continue
            why = self._why_not(line)
            if why is None:
                good.append(line)
            else:
                self._refused.add(line.decode("utf-8", "replace"), why, self._day_of(line))
        return b"\n".join(good)

    def _why_not(self, line: bytes) -> str | None:
        cells = line.split(b",")
        if len(cells) != len(self._roles):
            return f"{len(cells)} cells instead of {len(self._roles)}"
        for role, cell in zip(self._roles, cells, strict=True):
            shown = cell[:50].decode("utf-8", "replace")
            if role == "id" and not _is_whole(cell):
                return f"id {shown!r} is not a whole number below 2^63"
            if role == "time" and not (_NUMBER.fullmatch(cell) if self._layout.time_unit == "s" else _is_whole(cell)):
                return f"time {shown!r} is not a number"
            if role in ("price", "size") and not _NUMBER.fullmatch(cell):
                return f"{role} {shown!r} is not a positive number"
            if role in ("symbol", "side") and not cell:
                return f"{role} is missing"
            try:
                cell.decode()
            except UnicodeDecodeError:
                return f"{role or 'a cell'} {shown!r} is not text"
        return None

    def _day_of(self, line: bytes) -> date | None:
        """The day of a refused row, where it still says so and the file can hold it."""
        cells = line.split(b",")
        at = self._roles.index("time")
        if at >= len(cells) or not _NUMBER.fullmatch(cells[at]) or len(cells[at]) > 30:
            return None
        us = int(float(cells[at]) * UNIT_US[self._layout.time_unit])
        return None if self._bounds and not self._bounds[0] <= us < self._bounds[1] else day_of(us)

    def _sound(self, frame: "pl.DataFrame") -> "pl.DataFrame":
        """With `taker_buys` in the place of the side; without rows whose time lies outside of the file, or whose
        side is no word for one."""
        import polars as pl

        buys, known = self._sides(frame["side"])
        frame = frame.drop("side").with_columns(buys.alias("taker_buys")) if known is None else frame
        inside = None
        if self._bounds and len(frame):
            first, last = frame["time_us"].min(), frame["time_us"].max()
            if not (first >= self._bounds[0] and last < self._bounds[1]):  # pyright: ignore
                inside = frame["time_us"].is_between(*self._bounds, closed="left")
        if known is None and inside is None:
            return frame
        keep = pl.Series([True]).new_from_index(0, len(frame))
        for flags, why in ((known, "side {side!r} is no side"), (inside, "its time is outside of the file's days")):
            if flags is None:
                continue
            for row in frame.filter(keep & ~flags).iter_rows(named=True):
                text = ",".join(str(cell) for cell in row.values())
                day = None if flags is inside else day_of(row["time_us"])
                self._refused.add(text, why.format(**row), day)
            keep &= flags
        if known is not None:
            frame = frame.drop("side").with_columns(buys.alias("taker_buys"))
        return frame.filter(keep)

    def _sides(self, sides: "pl.Series") -> tuple["pl.Series", "pl.Series | None"]:
        """Whether the taker bought, and whether the word is known at all (None: in every row)."""
        if self._words is None and len(sides):
            # Files spell a side in one way; which one is seen in the first row of each.
            spelled = sides.head(1000).unique().to_list()
            side = self._layout.side
            self._words = tuple(
                next((word for word in spelled if word.lower() in wanted), wanted[0])
                for wanted in (side.taker_buys, side.taker_sells)
            )
        buy, sell = self._words or ("", "")
        buys = sides == buy
        if buys.sum() + (sides == sell).sum() == len(sides):
            return buys, None
        words = sides.str.to_lowercase()
        buys = words.is_in(list(self._layout.side.taker_buys))
        known = buys | words.is_in(list(self._layout.side.taker_sells))
        return buys, None if known.all() else known


def _is_whole(cell: bytes) -> bool:
    return bool(_WHOLE.fullmatch(cell)) and int(cell) < 2**63


def _us(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1)) // timedelta(microseconds=1)


def day_of(us: int) -> date | None:
    """The UTC day of a time in microseconds; None where there is none."""
    try:
        return (datetime(1970, 1, 1) + timedelta(microseconds=us)).date()
    except OverflowError:
        return None
