"""From a trade file to blocks of typed columns: unpack, cut at line ends, read, refuse what is no trade.

A block is read at once where all its lines are sound, else in halves, at last line by line: what cannot be a trade
is kept with the reason. Both ways take the same lines for the same trades. Prices and sizes stay text.
"""

import io
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import ROUND_DOWN, Context, Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from orchestration.sources.body import SourceError
from orchestration.sources.trades import Layout
from orchestration.trade_numbers import MOST_TIME_US, NUMBER, checked

if TYPE_CHECKING:
    import polars as pl

BLOCK_BYTES = 8 * 2**20
CHUNK_BYTES = 1 << 19
LONGEST_LINE = 1 << 20
MOST_UNPACKED = 64 * 2**30
MOST_TIMES_UNPACKED, EVER_UNPACKED = 200, 64 * 2**20
"""a file that unpacks to more than so many times its size (trades: ten) is read to that size only"""
MOST_REFUSED = 1000
"""rows of one file that are kept with their text; the others are counted"""
MOST_BAD = 10_000
"""a file with more rows that are no trades, and fewer that are, is no file of trades"""
UNIT_US = {"us": 1, "ms": 1000, "s": 1_000_000}
LINES_BYTES = 1 << 14
"""bytes: a block of less is read line by line"""
_WHOLE = re.compile(r"[ \t]*[+-]?\d+", re.ASCII)
_CUT = Context(prec=60, rounding=ROUND_DOWN)


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

    Raises SourceError where it is cut, corrupt, no text file, or unpacks to more than MOST_UNPACKED or than files of
    trades do."""
    try:
        with open(path, "rb") as file:
            most = min(MOST_UNPACKED, max(EVER_UNPACKED, MOST_TIMES_UNPACKED * path.stat().st_size))
            yield from _lines(_unpacked(file, name), name, most)
    except SourceError:
        raise
    except Exception as error:
        # isal and zipfile have a dozen ways to say that a file is broken (struct.error, NotImplementedError, …).
        raise SourceError(f"{name}: cannot be unpacked ({type(error).__name__}: {str(error)[:120]})") from None


def _unpacked(file: io.BufferedReader, name: str) -> Iterator[bytes]:
    from isal import igzip

    magic = file.read(4)
    file.seek(0)
    if magic[:2] == b"\x1f\x8b":
        with igzip.IGzipFile(fileobj=file) as unpacked:
            while chunk := unpacked.read(CHUNK_BYTES):
                yield chunk
    elif magic == b"PK\x03\x04":
        yield from _member(file, name)
    elif magic[:1] in (b"<", b"{"):
        raise SourceError(f"{name}: {magic!r}… is a page or an error, not a file of trades")
    elif magic == b"PK\x05\x06":
        return
    else:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk


def _member(file: io.BufferedReader, name: str) -> Iterator[bytes]:
    """The one text file of a zip; where it says that it lies is of no interest."""
    from isal import isal_zlib

    members = [m for m in zipfile.ZipFile(file).infolist() if not m.is_dir() and (m.file_size or m.CRC)]
    if len(members) > 1:
        raise SourceError(f"{name}: a zip of {len(members)} files instead of one")
    if not members:
        return
    member = members[0]
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) or member.flag_bits & 1:
        raise SourceError(f"{name}: packed in a way that is not known (method {member.compress_type})")
    file.seek(member.header_offset)
    head = file.read(30)
    if head[:4] != b"PK\x03\x04":
        raise EOFError("the member is not where the zip says")
    file.seek(int.from_bytes(head[26:28], "little") + int.from_bytes(head[28:30], "little"), io.SEEK_CUR)
    chunks = _chunks(file, member.compress_size)
    checksum = size = 0
    for chunk in _inflated(chunks) if member.compress_type == zipfile.ZIP_DEFLATED else chunks:
        checksum, size = isal_zlib.crc32(chunk, checksum), size + len(chunk)
        yield chunk
    if size != member.file_size or checksum != member.CRC:
        raise EOFError("the member is not what its checksum says")


def _chunks(file: io.BufferedReader, left: int) -> Iterator[bytes]:
    while left:
        chunk = file.read(min(left, CHUNK_BYTES))
        if not chunk:
            raise EOFError("the file ends inside of its member")
        left -= len(chunk)
        yield chunk


def _inflated(chunks: Iterator[bytes]) -> Iterator[bytes]:
    from isal import igzip_lib

    inflate = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_DEFLATE)
    while not inflate.eof:
        packed = next(chunks, b"") if inflate.needs_input else b""
        if not packed and inflate.needs_input:
            raise EOFError("the member ends too early")
        yield inflate.decompress(packed, CHUNK_BYTES)


def _lines(chunks: Iterator[bytes], name: str, most: int) -> Iterator[bytes]:
    rest: list[bytes] = []
    held = total = 0
    for chunk in chunks:
        total += len(chunk)
        if total > most:
            raise SourceError(f"{name}: unpacks to more than {most >> 20} MiB, which no file of trades does; not read")
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

    `read` gives a frame of sound rows: symbol (where the file names it), id, time_us, price and size (text, and as
    doubles in trade_numbers.NEAR), taker_buys (whether the taker bought). What is no trade goes to `refused`."""

    def __init__(self, layout: Layout, name: str, covers: tuple[datetime, datetime] | None, refused: Refusals):
        self._layout = layout
        self._name = name
        self._refused = refused
        self._roles: list[str] = []
        self._header = b""
        self._words: tuple[str, ...] | None = None
        self._sound_count = 0
        low, high = (0, MOST_TIME_US) if covers is None else (_us(covers[0]), _us(covers[1]))
        self._bounds = (max(low, 0), min(high, MOST_TIME_US))

    def read(self, block: bytes) -> "pl.DataFrame":
        """Raises SourceError where the columns of the file are not known, or most of its rows are no trades."""
        import polars as pl

        if not self._roles:
            block = self._begin(block)
        parts = list(self._parts(block)) if self._roles else []
        if not parts:
            return self._frame([])
        frame = pl.concat([frame for frame, _ in parts], rechunk=True)
        frame, whys = checked(frame)
        if whys:
            lines = [line for _, text in parts for line in text.split(b"\n") if line.strip()]
            for row, why in whys.items():
                self._refuse(lines[row].rstrip(b"\r"), why)
            frame = frame.filter(pl.Series([row not in whys for row in range(len(frame))]))
        return frame

    def _begin(self, block: bytes) -> bytes:
        """Learns the columns; without the header. Empty lines may stand before it."""
        block = block.removeprefix(b"\xef\xbb\xbf").lstrip()
        if not block:
            return block
        head, _, rest = block.partition(b"\n")
        cells = head.rstrip(b"\r").split(b",")
        at = self._layout.positions.index("time")
        if len(cells) > at and NUMBER.fullmatch(cells[at].strip().decode("ascii", "replace")):
            extra = len(cells) - len(self._layout.positions)
            self._roles = [*self._layout.positions, *[""] * extra][: len(cells)]
        else:
            # Whatever stands behind a slash is the same word in another script.
            words = [cell.partition(b"/")[0].strip().lower().decode("ascii", "replace") for cell in cells]
            self._roles = [self._layout.names.get(word, "") for word in words]
            self._header = head.rstrip(b"\r")
            block = rest
        found = [role for role in self._roles if role]
        missing = {role for role in self._layout.positions if role} - set(found)
        if missing or len(found) > len(set(found)):
            lacks = f"no column for {', '.join(sorted(missing))}" if missing else "two columns for one thing"
            raise SourceError(
                f"{self._name}: {lacks} in {head[:120]!r}; "
                "the upstream changed its files: name the columns in its layout"
            )
        return block

    def _parts(self, block: bytes) -> "Iterator[tuple[pl.DataFrame, bytes]]":
        """The sound rows, and their lines."""
        frame = self._at_once(block)
        if frame is not None:
            self._sound_count += len(frame)
            yield frame, block
            return
        middle = block.find(b"\n", len(block) // 2) + 1
        if len(block) < LINES_BYTES or not 0 < middle < len(block):
            yield self._by_line(block)
        else:
            yield from self._parts(block[:middle])
            yield from self._parts(block[middle:])

    def _at_once(self, block: bytes) -> "pl.DataFrame | None":
        """None where a line is not sound, or is none."""
        import numpy as np
        import polars as pl

        in_seconds = self._layout.time_unit == "s"
        kinds: dict[str, type[pl.DataType]] = {"id": pl.Int64, "time": pl.String if in_seconds else pl.Int64}
        schema = {role or f"_{i}": kinds.get(role, pl.String) for i, role in enumerate(self._roles)}
        used = [i for i, role in enumerate(self._roles) if role]
        try:
            frame = pl.read_csv(block, has_header=False, schema=schema, columns=used, quote_char=None)
        except (pl.exceptions.PolarsError, ValueError):
            return None
        if not len(frame) or any(frame.null_count().row(0)) or ("id" in frame.columns and frame["id"].min() < 0):  # pyright: ignore
            return None
        # Where columns are passed over, polars does not say that a row has more cells than the others.
        if len(used) < len(self._roles):
            commas = np.count_nonzero(np.frombuffer(block, np.uint8) == ord(","))
            if commas != len(frame) * (len(self._roles) - 1):
                return None
        time = _us_of(frame["time"]) if in_seconds else self._us(frame["time"])
        if time is None or time.min() < self._bounds[0] or time.max() >= self._bounds[1]:  # pyright: ignore
            return None
        buys = self._taker_buys(frame["side"])
        if buys is None:
            return None
        return frame.select(
            *(name for name in ("symbol", "id") if name in frame.columns),
            time.alias("time_us"), "price", "size", buys.alias("taker_buys"),
        )  # fmt: skip

    def _us(self, time: "pl.Series") -> "pl.Series | None":
        unit = UNIT_US[self._layout.time_unit]
        first, last = time.min(), time.max()
        assert isinstance(first, int) and isinstance(last, int)
        return time * unit if first >= 0 and last * unit < MOST_TIME_US else None

    def _taker_buys(self, sides: "pl.Series") -> "pl.Series | None":
        """Whether the taker bought; None where a word is not known."""
        side = self._layout.side
        if self._words is None:
            # Files spell a side in one way; which one is seen in the first rows.
            spelled = sides.head(1000).unique().to_list()
            self._words = tuple(
                next((word for word in spelled if word.lower() in wanted), wanted[0])
                for wanted in (side.taker_buys, side.taker_sells)
            )
        buy, sell = self._words
        buys = sides == buy
        if (buys | (sides == sell)).all():
            return buys
        words = sides.str.to_lowercase()
        buys = words.is_in(list(side.taker_buys))
        return buys if (buys | words.is_in(list(side.taker_sells))).all() else None

    def _by_line(self, block: bytes) -> "tuple[pl.DataFrame, bytes]":
        rows, lines = [], []
        for line in block.split(b"\n"):
            line = line.rstrip(b"\r")
            # A file put together from several has a header in the middle.
            if not line.strip() or line == self._header:
                continue
            row = self._row(line)
            if isinstance(row, str):
                self._refuse(line, row)
            else:
                self._sound_count += 1
                rows.append(row)
                lines.append(line)
        return self._frame(rows), b"\n".join(lines)

    def _row(self, line: bytes) -> tuple | str:
        """The cells of a line as `_frame` wants them, or why it is no trade. Prices and sizes are not looked at."""
        cells = line.split(b",")
        if len(cells) != len(self._roles):
            return f"{len(cells)} cells instead of {len(self._roles)}"
        found: dict[str, str] = {}
        for role, cell in zip(self._roles, cells, strict=True):
            try:
                found[role] = cell.decode()
            except UnicodeDecodeError:
                return f"{role or 'a cell'} {cell[:50]!r} is not text"
            if role and not cell:
                return f"{role} is missing"
        number = _whole(found.get("id", "0"))
        if number is None:
            return f"id {found['id'][:50]!r} is not a whole number below 2^63"
        time = self._time_of(found["time"])
        if time is None:
            return f"time {found['time'][:50]!r} is not a time"
        if not self._bounds[0] <= time < self._bounds[1]:
            return f"its time {found['time'][:50]!r} is outside of the file's days"
        word = found["side"].lower()
        is_buy = word in self._layout.side.taker_buys
        if not is_buy and word not in self._layout.side.taker_sells:
            return f"side {found['side'][:50]!r} is no side"
        cells_by_name = found | {"id": number, "time_us": time, "taker_buys": is_buy}
        return tuple(cells_by_name[name] for name in self._schema())

    def _time_of(self, text: str) -> int | None:
        """In microseconds, what is shorter cut off; None for what is no time before the year 10000."""
        unit = UNIT_US[self._layout.time_unit]
        if self._layout.time_unit != "s":
            whole = _whole(text)
            time = None if whole is None else whole * unit
        elif NUMBER.fullmatch(text) and (seconds := Decimal(text)).adjusted() < 12:
            time = int(_CUT.multiply(seconds, unit))
        else:
            time = None
        return time if time is not None and time < MOST_TIME_US else None

    def _refuse(self, line: bytes, why: str) -> None:
        if self._refused.count >= MOST_BAD and self._refused.count > self._sound_count:
            raise SourceError(f"{self._name}: {self._refused.count} rows that are no trades, e.g. {line[:80]!r} {why}")
        cells = line.split(b",")
        at = self._roles.index("time")
        time = self._time_of(cells[at].decode("utf-8", "replace")) if at < len(cells) else None
        # The file does not hold the days of a time outside of it.
        is_inside = time is not None and self._bounds[0] <= time < self._bounds[1]
        self._refused.add(
            line.decode("utf-8", "replace"), why, day_of(time) if time is not None and is_inside else None
        )

    def _schema(self) -> "dict[str, type[pl.DataType]]":
        import polars as pl

        own: dict[str, type[pl.DataType]] = {"symbol": pl.String, "id": pl.Int64}
        named = {name: kind for name, kind in own.items() if name in self._roles}
        return named | {"time_us": pl.Int64, "price": pl.String, "size": pl.String, "taker_buys": pl.Boolean}

    def _frame(self, rows: list[tuple]) -> "pl.DataFrame":
        import polars as pl

        return pl.DataFrame(rows, self._schema(), orient="row")


def _us_of(seconds: "pl.Series") -> "pl.Series | None":
    """Microseconds, what is shorter cut off. None where it takes more to know them, or there is none."""
    import polars as pl

    near = seconds.cast(pl.Float64, strict=False)
    # From 2001 to 2106 a double holds seconds to a quarter of a microsecond.
    if near.null_count() or near.is_nan().any() or not (near.min() >= 1e9 and near.max() < 2**32):  # pyright: ignore
        return None
    if seconds.str.len_bytes().max() <= 17:  # pyright: ignore
        return (near * 1_000_000).round().cast(pl.Int64)
    if seconds.str.len_bytes().max() <= 23 and not seconds.str.contains(r"[eE]").any():  # pyright: ignore
        exact = seconds.cast(pl.Decimal(38, 12), strict=False)
        return None if exact.null_count() else (exact.to_physical() // 1_000_000).cast(pl.Int64)
    return None


def _whole(text: str) -> int | None:
    number = int(text) if len(text) <= 1000 and _WHOLE.fullmatch(text) else -1
    return number if 0 <= number < 2**63 else None


def _us(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1)) // timedelta(microseconds=1)


def day_of(us: int) -> date | None:
    """The UTC day of a time in microseconds; None where there is none."""
    try:
        return (datetime(1970, 1, 1) + timedelta(microseconds=us)).date()
    except OverflowError:
        return None
