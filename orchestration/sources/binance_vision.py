"""Binance's archive of daily klines, data.binance.vision: the bars of the API in checksummed files, also of symbols
that the API no longer knows.

https://github.com/binance/binance-public-data: a zip of one CSV per symbol and month or day, and a `.CHECKSUM`
(SHA-256) beside it. A day's file comes on the next morning, a month's on the first Monday after the month. Times are
milliseconds, in files of 2025 and later microseconds. The bars of perpetuals stand in a tree of their own, in the same
form, in milliseconds to this day, with a header in files of 2022 and later.
"""

import hashlib
import io
import re
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import cast
from urllib.parse import quote, unquote

import numpy as np
import pyarrow as pa
from pyarrow import csv

from orchestration.sources.body import Body, SourceError, Window
from orchestration.sources.bucket import list_bucket, parse_listing
from orchestration.sources.daily_bars import DAY_MS, PRICES, Page, ms, unrepeated
from orchestration.sources.exchange import Spare
from orchestration.sources.http import Answer, Host, Http

# No limits are published; up to 100 requests a second and 32 connections are said to pass.
HOST = Host(name="binance_vision", hosts=("data.binance.vision",), per_minute=6000, burst=100, connections=8)
LISTING = Host(
    name="binance_vision_listing",
    hosts=("s3-ap-northeast-1.amazonaws.com",),
    per_minute=1200,
    burst=40,
    connections=8,
)
BUCKET = "/data.binance.vision"
MOST_UNPACKED = 8 * 2**20
"""four times a day of looks at the book, the largest of these files"""
MOST_ROWS = 1000
"""of daily bars; a month has 31, and files have had rows twice and three times"""
MICROSECONDS_FROM = 10**14
"""as milliseconds this is the year 5138"""
KLINE = {
    "opened": pa.int64(),
    **dict.fromkeys(PRICES, pa.string()),
    "volume_base": pa.string(),
    "closed": pa.int64(),
    "volume_quote": pa.string(),
    "trade_count": pa.int64(),
    "taker_buy_base": pa.string(),
    "taker_buy_quote": pa.string(),
    "ignore": pa.string(),
}
"""The twelve fields of a kline, in the API's rows and in the files."""
_SYMBOL = re.compile(r"data/.+/(?:monthly|daily)/klines/([^/]+)/")
_FILE = re.compile(r"[^/]+-1d-(\d{4}-\d{2}(?:-\d{2})?)\.zip")


@dataclass(frozen=True)
class Tree:
    """A part of the archive, and whose bars stand there: upstream and dataset of its bodies."""

    root: str
    upstream: str
    dataset: str


SPOT = Tree("data/spot/", "binance", "spot_flows")


def fetch_symbols(http: Http) -> Iterator[Body]:
    """Yield the listings of the folders of all symbols that ever had a file; `names` reads them."""
    for grain in ("monthly", "daily"):
        heard = _Heard(http)
        for _ in list_bucket(cast(Http, heard), LISTING, BUCKET, f"{SPOT.root}{grain}/klines/", is_folded=True):
            pass
        for answer in heard.answers:
            yield Body("binance", "spot_names", answer.url, answer.status, answer.fetched_at, answer.content)


def names(body: Body) -> list[str]:
    """The symbols that a listing has a folder of. Raises SourceError where it is none."""
    listed = parse_listing(Answer(body.url, body.status, body.content, body.fetched_at))
    return [found[1] for each in listed if (found := _SYMBOL.fullmatch(each.key))]


def fetch(http: Http, symbol: str, window: Window, now: datetime, tree: Tree = SPOT) -> Iterator[Body]:
    """Yield the fewest files that hold the bars of `symbol` opened in [start, end), as far as they are there.

    A month's file where it is there and more than one of its days is wanted, followed by files of days that it
    lacks; else files of days. Where there is none, the listing that says so, so that every answer has a body.
    Raises SourceError where a file is not what its checksum says, twice."""
    heard = _Heard(http)
    context = {
        "symbol": symbol,
        "start": window.start.isoformat(),
        "end": window.end.isoformat(),
        "now": now.isoformat(),
    }
    end = min(window.end, now.date())
    months = _files(heard, tree, "monthly", symbol, window.start.replace(day=1), end)
    days = _files(heard, tree, "daily", symbol, window.start, end)
    for month, wanted in _months(window.start, end):
        if month in months and (len(wanted) > 1 or not wanted & days.keys()):
            body = checked(http, months[month], context, tree)
            yield body
            wanted -= _days_of(body)
        for day in sorted(wanted & days.keys()):
            yield checked(http, days[day], context, tree)
    if not months and not days:
        last = heard.answers[-1]
        context |= {"form": "listing"}
        yield Body(tree.upstream, tree.dataset, last.url, last.status, last.fetched_at, last.content, context)


def end_of(body: Body) -> date | None:
    """The day after the last one of a body that `fetch` yielded, by the name of its file; None for a listing."""
    found = _FILE.fullmatch(unquote(body.url.rpartition("/")[2]))
    first = found and _first_day(found[1])
    if not found or not first:
        return None
    return first + timedelta(days=1) if len(found[1]) == 10 else _next_month(first)


def page(body: Body) -> Page:
    """The bars of a body that `fetch` yielded. Days of a month's file that were not asked for are left out; rows
    that contradict each other for one day, and those that end elsewhere than their day, are doubtful.

    Raises SourceError where a zip is corrupt, holds something else than its one CSV, or unpacks to more than 8 MiB,
    and where the CSV holds something else than klines."""
    if body.context["form"] == "listing":
        parse_listing(Answer(body.url, body.status, body.content, body.fetched_at))
        return Page(_table([[]] * len(KLINE)), "archive")
    found = _FILE.fullmatch(unquote(body.url.rpartition("/")[2]))
    first, end = found and _first_day(found[1]), end_of(body)
    if not first or not end:
        raise SourceError(f"{body.url}: no file of daily klines", content=body.content)
    rows = read_csv(body, unpacked(body))
    if rows.num_rows > MOST_ROWS:
        raise SourceError(f"{body.url}: {rows.num_rows} rows, which is no file of daily bars", content=body.content)
    rows = unrepeated(rows)
    opened = rows["opened"].to_numpy()
    in_file = (opened >= ms(first)) & (opened < ms(end))
    asked = [ms(date.fromisoformat(body.context[bound])) for bound in ("start", "end")]
    in_window = (opened >= asked[0]) & (opened < asked[1])
    rows = rows.filter(pa.array(in_window | ~in_file))
    return Page(rows, "archive", _doubts(rows["opened"].to_numpy(), rows["closed"].to_numpy()))


class _Heard:
    """Asks like `http` and keeps the answers: pages of a listing are bodies too."""

    def __init__(self, http: Http):
        self._http = http
        self.answers: list[Answer] = []

    def get(self, *asked, **how) -> Answer:
        self.answers.append(self._http.get(*asked, **how))
        return self.answers[-1]


def _files(heard: _Heard, tree: Tree, grain: str, symbol: str, start: date, end: date) -> dict[date, str]:
    """First day → key of the files of `symbol` that begin in [start, end)."""
    stem = f"{tree.root}{grain}/klines/{symbol}/1d/{symbol}-1d-"
    marker = stem + start.isoformat()[: 7 if grain == "monthly" else 10]
    found: dict[date, str] = {}
    for listed in list_bucket(cast(Http, heard), LISTING, BUCKET, stem, marker):
        name = _FILE.fullmatch(listed.key.rpartition("/")[2])
        first = name and _first_day(name[1])
        if first and first >= end:
            break
        if first and first >= start:
            found[first] = listed.key
    return found


def checked(http: Http, key: str, context: dict[str, str], tree: Tree) -> Body:
    """The zip as received, when it is what its checksum says; files are replaced in place, so once more where not."""
    path = f"/{quote(key)}"
    for _ in range(2):
        answer = http.get(HOST, path, wrong=no_zip)
        told = http.get(HOST, f"{path}.CHECKSUM", wrong=_no_checksum).content[:64].decode().lower()
        own = hashlib.sha256(answer.content).hexdigest()
        if own == told:
            context = context | {"form": "zip", "checksum_sha256": told}
            return Body(
                tree.upstream, tree.dataset, answer.url, answer.status, answer.fetched_at, answer.content, context
            )
    raise SourceError(f"{answer.url}: SHA-256 {own}, but its checksum says {told}, twice; it is asked again later")


def no_zip(content: bytes) -> str | None:
    """None for what begins and ends like a zip, else what is wrong with it."""
    if content[:2] != b"PK":
        return "something else than a zip"
    return None if b"PK\5\6" in content[-(22 + 65_535) :] else f"a cut zip of {len(content)} bytes"


def _no_checksum(content: bytes) -> str | None:
    return None if re.match(rb"[0-9a-fA-F]{64}\s", content) else "something else than a checksum"


def unpacked(body: Body) -> bytes:
    """The one CSV of a zip, which is named like it. Raises SourceError where it is corrupt or holds something else."""
    member = f"{unquote(body.url.rpartition('/')[2]).removesuffix('.zip')}.csv"
    try:
        with zipfile.ZipFile(io.BytesIO(body.content)) as archive:
            found = archive.infolist()
            if [_name(each) for each in found] != [member]:
                raise SourceError(f"{body.url}: holds {str([_name(f) for f in found])[:120]}, not {member} alone")
            info = found[0]
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) or info.flag_bits & 1:
                raise SourceError(f"{body.url}: packed in a way that is not known (method {info.compress_type})")
            if info.file_size > MOST_UNPACKED:
                raise SourceError(f"{body.url}: unpacks to {info.file_size} bytes; not read")
            with archive.open(info) as file:
                return file.read(MOST_UNPACKED + 1)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, RuntimeError) as error:
        raise SourceError(f"{body.url}: cannot be unpacked ({type(error).__name__}: {str(error)[:120]})") from None


def _name(info: zipfile.ZipInfo) -> str:
    # Without the flag for UTF-8, Python takes the bytes of a name for code page 437.
    return info.filename if info.flag_bits & 0x800 else info.filename.encode("cp437").decode("utf-8", "replace")


def read_csv(body: Body, content: bytes) -> pa.Table:
    """Klines of a CSV, with a header (a first cell without a digit) or without, of any interval; times in milliseconds.

    Raises SourceError where it holds something else."""
    head, _, rest = content.partition(b"\n")
    if not re.search(rb"\d", head.partition(b",")[0]):
        content = rest
    if not content.strip():
        return _table([[]] * len(KLINE))
    try:
        rows = csv.read_csv(
            pa.py_buffer(content),
            csv.ReadOptions(column_names=list(KLINE), use_threads=False, block_size=len(content) + 1),
            csv.ParseOptions(quote_char=False, newlines_in_values=False),
            csv.ConvertOptions(column_types=KLINE, null_values=[], strings_can_be_null=False),
        )
    except pa.ArrowException as error:
        raise SourceError(f"{body.url}: no file of klines ({str(error)[:120]})") from None
    opened, closed = rows["opened"].to_numpy(), rows["closed"].to_numpy()
    # A part of a millisecond is no midnight: it stays, and is refused.
    is_whole = (opened >= MICROSECONDS_FROM) & (opened % 1000 == 0)
    rows = rows.set_column(0, "opened", pa.array(np.where(is_whole, opened // 1000, opened)))
    closed = np.where(closed >= MICROSECONDS_FROM, closed // 1000, closed)
    return rows.set_column(rows.column_names.index("closed"), "closed", pa.array(closed))


def _doubts(opened: np.ndarray, closed: np.ndarray) -> dict[int, str]:
    doubts = {
        int(at): f"closes at {closed[at]} ms, which is not the end of its day"
        for at in np.flatnonzero(closed - opened != DAY_MS - 1)
    }
    days, counts = np.unique(opened, return_counts=True)
    for at in np.flatnonzero(np.isin(opened, days[counts > 1])):
        doubts[int(at)] = "another row says something else of this day"
    return doubts


def _table(cells: list[list]) -> pa.Table:
    return pa.table([pa.array(cell, kind) for cell, kind in zip(cells, KLINE.values(), strict=True)], list(KLINE))


def _days_of(body: Body) -> set[date]:
    opened = body.once(page).rows["opened"].to_numpy()
    return set((opened // DAY_MS).astype("datetime64[D]").tolist())


def _months(start: date, end: date) -> Iterator[tuple[date, set[date]]]:
    """First of the month, and its days in [start, end)."""
    while start < end:
        following = min(_next_month(start), end)
        yield start.replace(day=1), {start + timedelta(days=i) for i in range((following - start).days)}
        start = following


def _next_month(day: date) -> date:
    return (day.replace(day=1) + timedelta(days=32)).replace(day=1)


def _first_day(period: str) -> date | None:
    """Of `2025-01` or `2025-01-07`; None where there is no such day."""
    try:
        return date.fromisoformat(period if len(period) == 10 else f"{period}-01")
    except ValueError:
        return None


SPARE = Spare(HOST, fetch_symbols, names, fetch, end_of)
