"""What sources that page through an API's trades have in common: asking, reading rows, no trade twice.

A source says where the rows of a body are and what each means; what is not understood becomes a SourceError
that quotes it.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from orchestration.sources.body import Body, Parsed, SourceError, Window, distinct
from orchestration.sources.http import Host, Http, is_json
from orchestration.sources.pairs import listed
from orchestration.sources.trades import TRADES

Trade = tuple[int | None, int, str, str, str]
"""A row of TRADES: id, UTC microseconds, price, size, side"""
ID, TIME = 0, 1
Symbol = tuple[str, str, str, str, bool]
"""symbol, base, quote and status as the exchange spells them; whether it trades"""

DAY_US = 86_400_000_000
_EPOCH = date(1970, 1, 1)
# Times of trades outside of these years are in another unit than was thought.
_EARLIEST_US, _LATEST_US = ((day - _EPOCH).days * DAY_US for day in (date(2009, 1, 1), date(2100, 1, 1)))
_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?$"
_WHOLE = re.compile(r"[0-9]{1,19}")
_SECONDS = re.compile(r"([0-9]{1,11})(?:\.([0-9]{1,9}))?")
_ISO = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?Z", re.ASCII)
_UNREADABLE = (KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError, pa.ArrowException)


def ask(
    http: Http,
    host: Host,
    path: str,
    params: Mapping[str, str | int],
    symbol: str,
    window: Window,
    now: datetime,
    wrong: Callable[[bytes], str | None] = is_json,
) -> Body:
    """One page of trades of `symbol`."""
    answer = http.get(host, path, params, wrong=wrong)
    context = {
        "symbol": symbol,
        "start": window.start.isoformat(),
        "end": window.end.isoformat(),
        "now": now.isoformat(),
    }
    return Body(host.name, "spot_trades", answer.url, answer.status, answer.fetched_at, answer.content, context)


def listing(http: Http, host: Host, path: str, now: datetime | None, params: Mapping[str, str] | None = None) -> Body:
    """What the exchange lists; `now`, its clock, goes into the context (`server_time` reads it)."""
    answer = http.get(host, path, params)
    context = {"server_time": now.isoformat()} if now else {}
    return Body(host.name, "spot_symbols", answer.url, answer.status, answer.fetched_at, answer.content, context)


def server_time(body: Body) -> datetime:
    """The exchange's clock (naive UTC), as it was when `listing` asked."""
    try:
        return datetime.fromisoformat(body.context["server_time"])
    except (KeyError, ValueError) as error:
        raise SourceError(f"{body.url}: asked without the exchange's clock ({error!r})") from None


def clock(http: Http, host: Host, path: str, read: Callable[[Any], int], params: Mapping[str, str] | None = None):
    """The exchange's clock, naive UTC; `read` finds the microseconds in the answer, numbers kept as text."""
    answer = http.get(host, path, params)
    body = Body(host.name, "clock", answer.url, answer.status, answer.fetched_at, answer.content)
    try:
        return moment(_sane(read(body.data_as_text)))
    except _UNREADABLE as error:
        raise SourceError(f"{body.url}: {str(body.data_as_text)[:120]} instead of a clock ({error!r})") from None


# --- rows


def trades(body: Body, rows: Callable[[Any], list], trade: Callable[[Any], Trade]) -> list[Trade]:
    """`trade` of each of the `rows` of a body, whose numbers are text. Raises SourceError."""
    row: Any = body.data_as_text
    try:
        found = rows(row)
        if type(found) is not list:
            raise TypeError("no list")
        read = []
        for row in found:
            read.append(trade(row))
        if read:
            times = [trade[TIME] for trade in read]
            _sane(min(times))
            _sane(max(times))
        return read
    except _UNREADABLE as error:
        message = f"{body.url}: {str(row)[:200]} instead of trades ({str(error)[:120]})"
        raise SourceError(message, content=body.content) from None


def table(body: Body, read: Sequence[Trade]) -> pa.Table:
    """Trades with the schema TRADES, without those that the page before this one held. Raises SourceError."""
    repeated = set(json.loads(body.context.get("repeated", "[]")))
    if repeated:
        read = [trade for trade in read if _key(trade) not in repeated]
    cells = list(zip(*read, strict=True)) or [()] * len(TRADES)
    try:
        columns = [pa.array(column, field.type) for column, field in zip(cells, TRADES, strict=True)]
        found = pa.Table.from_arrays(columns, schema=TRADES)
        for column, field in zip(found.columns, TRADES, strict=True):
            if column.null_count and not field.nullable:
                raise ValueError(f"no {field.name}")
        for name in ("price", "size"):
            if pc.all(pc.match_substring_regex(found[name], _NUMBER)).as_py() is False:
                raise ValueError(f"a {name} that is no number")
    except _UNREADABLE as error:
        raise SourceError(f"{body.url}: no trades ({str(error)[:160]})", content=body.content) from None
    return found


def symbols(body: Body, read: Callable[[Any], list[Symbol]]) -> Parsed:
    """Rows of records.SPOT_SYMBOLS; `read` finds them in the body. Raises SourceError."""
    try:
        found = distinct(read(body.data))
        if not all(type(text) is str and text for row in found for text in row[:4]):
            raise ValueError("a name is missing")
        return listed(body, found)
    except _UNREADABLE as error:
        message = f"{body.url}: {str(body.data)[:120]} is no list of symbols ({str(error)[:120]})"
        raise SourceError(message, content=body.content) from None


class Border:
    """Pages that may overlap: notes in each what the one before held too, so that `table` leaves it out."""

    def __init__(self) -> None:
        self._held: set[str] = set()

    def after(self, body: Body, read: Sequence[Trade]) -> Body:
        """The page to hand on."""
        keys = [_key(trade) for trade in read]
        repeated = [key for key in keys if key in self._held]
        self._held = set(keys)
        return replace(body, context={**body.context, "repeated": json.dumps(repeated)}) if repeated else body


def stuck(body: Body) -> SourceError:
    """What to raise where a page leads to no other."""
    return SourceError(f"{body.url}: the page leads no further than the one before: paging would never end")


def _key(trade: Trade) -> str:
    """Of trades without an id, everything else."""
    return str(trade[ID]) if trade[ID] is not None else " ".join(map(str, trade))


# --- cells


def whole(text: Any) -> int:
    """A whole number above or at zero, from its text. Raises ValueError."""
    if type(text) is not str or not _WHOLE.fullmatch(text):
        raise ValueError(f"{str(text)[:40]!r} is no whole number")
    return int(text)


def seconds_us(text: Any) -> int:
    """Microseconds of seconds with up to nine decimals, from their text; what is below a microsecond is cut off, so
    that a trade stays in its day. Raises ValueError."""
    match = _SECONDS.fullmatch(text) if type(text) is str else None
    if not match:
        raise ValueError(f"{str(text)[:40]!r} are no seconds")
    return int(match[1]) * 1_000_000 + int((match[2] or "").ljust(6, "0")[:6])


def iso_us(text: Any) -> int:
    """Microseconds of `2026-03-01T12:00:00.123456Z`, with none to nine decimals. Raises ValueError."""
    match = _ISO.fullmatch(text) if type(text) is str else None
    if not match:
        raise ValueError(f"{str(text)[:40]!r} is no UTC time")
    hours, minutes, seconds = (int(match[i]) for i in (2, 3, 4))
    if hours > 23 or minutes > 59 or seconds > 59:
        raise ValueError(f"{text!r} is no UTC time")
    since = (hours * 60 + minutes) * 60 + seconds
    return day_us(date.fromisoformat(match[1])) + since * 1_000_000 + int((match[5] or "").ljust(6, "0")[:6])


def day_us(day: date) -> int:
    """00:00 UTC of a day in microseconds."""
    return (day - _EPOCH).days * DAY_US


def moment(us: int) -> datetime:
    """Naive UTC of microseconds."""
    return datetime.fromordinal(_EPOCH.toordinal() + us // DAY_US) + (us % DAY_US) * datetime.resolution


def _sane(us: int) -> int:
    if not _EARLIEST_US <= us < _LATEST_US:
        raise ValueError(f"a time of {us} microseconds, which no trade has")
    return us
