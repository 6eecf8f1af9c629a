"""What each kind of fault does to one answer.

A kind is a function of a `Turn`. It returns what is sent instead: a Reply, or an Outcome that says how it is sent.
It raises DoesNotApply where it makes no sense for what was asked (which is logged) and Unconcerned where it has
nothing to do with this request (which is not).
"""

import gzip
import hashlib
import json
import math
import random
import re
import time
import zlib
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from . import delivery, fault_rows
from .delivery import Receive, Send
from .fault_rows import DoesNotApply
from .wire import Reply, Request, json_reply

HTML = "text/html"
CLOUDFRONT = b"""<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 4.01 Transitional//EN" "http://www.w3.org/TR/html4/loose.dtd">
<HTML><HEAD><TITLE>ERROR: The request could not be satisfied</TITLE></HEAD><BODY><H1>403 ERROR</H1>
The Amazon CloudFront distribution is configured to block access from your country.</BODY></HTML>
"""
MAINTENANCE = b"<!DOCTYPE html>\n<html><head><title>Maintenance</title></head><body>We'll be back soon.</body></html>\n"
BAD_GATEWAY = b"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>nginx</body>\r\n</html>\r\n"
NO_SUCH_KEY = b"""<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message></Error>"""
RESTRICTED = (
    "Service unavailable from a restricted location according to 'b. Eligibility' in https://www.binance.com/en/terms. "
    "Please contact customer service if you believe you received this message in error."
)
BOMB_BYTES = 3 * 2**30
HOSTILE = ("O'NEIL\"; DROP TABLE x;--", "../../etc/passwd", "A/B\\C", "¥€Ü币", "..", "<b>&amp;%00")


class Unconcerned(Exception):
    """The fault has nothing to do with this request."""


@dataclass(frozen=True)
class Outcome:
    """`send`: how the reply leaves, where not whole."""

    reply: Reply
    send: Callable[[Reply, Receive, Send], Awaitable[None]] | None = None


@dataclass
class Turn:
    """One request that a rule hits. `value`: what stands behind `=` in the rule. `aliases`, kept by the rule:
    invented symbols and the symbol whose data they get."""

    request: Request
    url: str
    value: str | None
    chance: random.Random
    stable: random.Random
    """the same for every request of this rule"""
    aliases: dict[str, str]
    ask: Callable[[Request], Reply]
    _reply: Reply | None = field(default=None, repr=False)

    def reply(self) -> Reply:
        """The real answer. Raises DoesNotApply where that is an error already."""
        if self._reply is None:
            self._reply = self.ask(self.request)
        if self._reply.status != 200:
            raise DoesNotApply(f"the answer is HTTP {self._reply.status} already")
        return self._reply

    def seconds(self, default: float) -> float:
        return default if self.value is None else float(self.value)


@dataclass(frozen=True)
class Kind:
    """`passes`: who asks again later gets what a clean upstream gives; `*` stands for these kinds."""

    name: str
    says: str
    act: Callable[[Turn], Reply | Outcome]
    passes: bool = True
    value: str | None = None
    """what `=` takes: `number` or `text`"""


KINDS: dict[str, Kind] = {}


def kind(name: str, says: str, passes: bool = True, value: str | None = None):
    def register(act: Callable[[Turn], Reply | Outcome]):
        KINDS[name] = Kind(name, says, act, passes, value)
        return act

    return register


# --- instead of the answer -----------------------------------------------------------------------


def _later(status: int, message: str, after: str | None) -> Reply:
    headers = (("Retry-After", after),) if after is not None else ()
    return json_reply({"code": -1003, "msg": message}, status, headers)


@kind("429", "too many requests; =SECONDS in Retry-After (1)", value="number")
def _429(turn: Turn) -> Reply:
    return _later(429, "Too many requests.", f"{turn.seconds(1):g}")


@kind("429-date", "too many requests; Retry-After is a date =SECONDS from now (1)", value="number")
def _429_date(turn: Turn) -> Reply:
    return _later(429, "Too many requests.", delivery.http_date(math.ceil(time.time() + turn.seconds(1))))


@kind("429-bare", "too many requests, no Retry-After")
def _429_bare(turn: Turn) -> Reply:
    return _later(429, "Too many requests.", None)


@kind("418", "banned; =SECONDS in Retry-After (120)", value="number")
def _418(turn: Turn) -> Reply:
    return _later(418, "Way too many requests; IP banned.", f"{turn.seconds(120):g}")


@kind("451", "blocked from this place, in JSON")
def _451(turn: Turn) -> Reply:
    return json_reply({"code": 0, "msg": RESTRICTED}, 451)


@kind("403-html", "blocked from this place, an HTML page")
def _403(turn: Turn) -> Reply:
    return Reply(CLOUDFRONT, 403, HTML)


@kind("500", "the upstream's own error, in JSON")
def _500(turn: Turn) -> Reply:
    return json_reply({"code": -1000, "msg": "An unknown error occurred while processing the request."}, 500)


@kind("502", "a proxy's error, an HTML page")
def _502(turn: Turn) -> Reply:
    return Reply(BAD_GATEWAY, 502, HTML)


@kind("503", "overloaded, an empty body")
def _503(turn: Turn) -> Reply:
    return Reply(b"", 503, "text/plain")


@kind("504", "a proxy's time-out, an HTML page")
def _504(turn: Turn) -> Reply:
    return Reply(BAD_GATEWAY.replace(b"502 Bad Gateway", b"504 Gateway Time-out"), 504, HTML)


@kind("html-200", "a maintenance page with status 200")
def _html(turn: Turn) -> Reply:
    return Reply(MAINTENANCE, 200, HTML)


@kind("json-error-200", "an error in JSON with status 200")
def _json_error(turn: Turn) -> Reply:
    return json_reply({"code": "50011", "msg": "Too Many Requests"})


@kind("empty", "status 200 and no body")
def _empty(turn: Turn) -> Reply:
    return Reply(b"")


@kind("missing", "the file or page is not there (404); with `when` 1-2: it comes late")
def _missing(turn: Turn) -> Reply:
    if turn.request.path.endswith((".zip", ".gz", ".CHECKSUM", ".csv")):
        return Reply(NO_SUCH_KEY, 404, "application/xml")
    return json_reply({"code": -1, "msg": "Not Found"}, 404)


# --- on the wire ---------------------------------------------------------------------------------


@kind("hang", "no answer, ever")
def _hang(turn: Turn) -> Outcome:
    async def send(reply: Reply, receive: Receive, send: Send) -> None:
        await delivery.silence(receive)

    return Outcome(Reply(b""), send)


@kind("stall", "half of the body, then silence")
def _stall(turn: Turn) -> Outcome:
    async def send(reply: Reply, receive: Receive, send: Send) -> None:
        await delivery.half(reply, send)
        await delivery.silence(receive)

    return Outcome(_halved(turn), send)


@kind("reset-before", "the connection is reset before the answer")
def _reset_before(turn: Turn) -> Outcome:
    async def send(reply: Reply, receive: Receive, send: Send) -> None:
        await delivery.reset(send)

    return Outcome(Reply(b""), send)


@kind("reset", "the connection is reset in the middle of the body")
def _reset(turn: Turn) -> Outcome:
    async def send(reply: Reply, receive: Receive, send: Send) -> None:
        await delivery.half(reply, send)
        await delivery.reset(send)

    return Outcome(_halved(turn), send)


@kind("slow", "=SECONDS before the answer (0.2), or =SECONDS,BYTES a second; joins other faults", value="pace")
def _slow(turn: Turn) -> Reply:
    return turn.reply()


def _halved(turn: Turn) -> Reply:
    reply = turn.reply()
    if len(reply.body) < 2:
        raise DoesNotApply("a body without a half")
    return reply


# --- the body as a whole -------------------------------------------------------------------------


@kind("truncated", "half of the body as if it were whole")
def _truncated(turn: Turn) -> Reply:
    reply = _halved(turn)
    return replace(reply, body=reply.body[: len(reply.body) // 2])


@kind("corrupt", "sixteen bytes in the middle are overwritten")
def _corrupt(turn: Turn) -> Reply:
    reply = turn.reply()
    if len(reply.body) < 48:
        raise DoesNotApply("a body without a middle")
    at = len(reply.body) // 2 - 8
    return replace(reply, body=reply.body[:at] + b"\xff" * 16 + reply.body[at + 16 :])


@kind("bomb", "3 GiB of zeros in a ZIP, a gzip, or as Content-Encoding")
def _bomb(turn: Turn) -> Outcome:
    reply = turn.reply()
    head, block, count, tail = _packed_zeros(reply.body[:2] == b"PK")
    is_file = reply.body[:2] in (b"PK", b"\x1f\x8b")
    bomb = replace(reply, headers=(*reply.headers, *(() if is_file else (("Content-Encoding", "gzip"),))))

    def pieces() -> Iterator[bytes]:
        yield head
        for _ in range(count):
            yield block
        yield tail

    async def send(reply: Reply, receive: Receive, send: Send) -> None:
        await delivery.in_pieces(reply, len(head) + count * len(block) + len(tail), pieces(), send)

    return Outcome(bomb, send)


def _packed_zeros(is_zip: bool) -> tuple[bytes, bytes, int, bytes]:
    """Head, one deflated MiB of zeros, how often it comes, tail: nobody ever holds the whole."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    # After a full flush the packer knows nothing of what was before: each block is the same.
    block = packer.compress(bytes(2**20)) + packer.flush(zlib.Z_FULL_FLUSH)
    end, count = zlib.compressobj(9, zlib.DEFLATED, -15).flush(), BOMB_BYTES // 2**20
    # The CRC is wrong; who comes to it has had the zeros.
    crc, size = bytes(4), BOMB_BYTES.to_bytes(4, "little")
    if not is_zip:
        return gzip.compress(b"")[:10], block, count, end + crc + size
    name, packed = b"data.csv", count * len(block) + len(end)
    common = b"\x14\0\0\0\x08\0\0\0\x21\0" + crc + packed.to_bytes(4, "little") + size + b"\x08\0"
    head = b"PK\x03\x04" + common + b"\0\0" + name
    entry = b"PK\x01\x02\x14\0" + common + bytes(16) + name
    directory = len(entry).to_bytes(4, "little") + (len(head) + packed).to_bytes(4, "little")
    return head, block, count, end + entry + b"PK\x05\x06\0\0\0\0\x01\0\x01\0" + directory + b"\0\0"


@kind("checksum", "a published checksum is another")
def _checksum(turn: Turn) -> Reply:
    reply = turn.reply()
    digest = re.search(rb"\b[0-9a-f]{32,64}\b", reply.body)
    if digest is None or not turn.request.path.upper().endswith(("CHECKSUM", ".SHA256", ".MD5")):
        raise DoesNotApply("not a checksum")
    turned = digest[0].translate(bytes.maketrans(b"0123456789abcdef", b"fedcba9876543210"))
    return replace(reply, body=reply.body.replace(digest[0], turned))


# --- rows ----------------------------------------------------------------------------------------


def _in_rows(turn: Turn, change: fault_rows.Change) -> Reply:
    """A file's checksum is that of the changed file: the upstream itself wrote it."""
    suffix = ".CHECKSUM"
    if not turn.request.path.endswith(suffix):
        return _changed(turn.reply(), change, turn.chance)
    checksum = turn.reply()
    file = turn.ask(replace(turn.request, path=turn.request.path.removesuffix(suffix)))
    changed = _changed(file, change, turn.chance).body
    told = re.search(rb"\b[0-9a-f]{32,64}\b", checksum.body)
    if told is None:
        raise DoesNotApply("not a checksum")
    digest = hashlib.new("md5" if len(told[0]) == 32 else "sha256", changed).hexdigest().encode()
    return replace(checksum, body=checksum.body.replace(told[0], digest))


def _changed(reply: Reply, change: fault_rows.Change, chance: random.Random) -> Reply:
    rows = fault_rows.opened(reply.body)
    change(rows, chance)
    body = rows.close(rows)
    # A bucket's tag is that of what it holds.
    tag = f'"{hashlib.md5(body).hexdigest()}"'
    headers = [(name, tag if name == "ETag" else value) for name, value in reply.headers]
    return replace(reply, body=body, headers=headers)


def _rows(name: str, says: str, change: fault_rows.Change, passes: bool = True) -> None:
    KINDS[name] = Kind(name, says, lambda turn: _in_rows(turn, change), passes)


_rows("duplicated", "one row comes twice", fault_rows.repeated(1))
_rows("triplicated", "one row comes three times", fault_rows.repeated(2))
_rows("unordered", "rows in another order", fault_rows.unordered)
_rows("missing-row", "one row is not there", fault_rows.missing, passes=False)
_rows("open-bar", "the bar that is not over, behind the last", fault_rows.open_bar)
_rows("seconds", "times in seconds", fault_rows.unit(10))
_rows("milliseconds", "times in milliseconds", fault_rows.unit(13))
_rows("microseconds", "times in microseconds", fault_rows.unit(16))
_rows("mixed-units", "every second row's times in microseconds", fault_rows.unit(16, is_mixed=True))
_rows("header", "a CSV's header comes, or goes", fault_rows.header)
_rows("columns", "one more column", fault_rows.columns)
_rows("nan", "an amount is NaN", fault_rows.number("NaN"))
_rows("infinity", "an amount is Infinity", fault_rows.number("Infinity"))
_rows("1e308", "an amount is 1e308", fault_rows.number("1e308"))
_rows("40-digits", "an amount has forty digits", fault_rows.number("1234567890" * 4))


@kind("negative", "an amount has the other sign")
def _negative(turn: Turn) -> Reply:
    if turn.request.host == "fred.stlouisfed.org" or "funding" in turn.request.path.lower():
        raise DoesNotApply("a rate below zero is nothing that anybody could notice")
    return _in_rows(turn, fault_rows.number("-"))


@kind("last-digit", "an amount of one row ends with another digit; =COLUMN from 0 (5)", passes=False, value="number")
def _last_digit(turn: Turn) -> Reply:
    return _in_rows(turn, fault_rows.last_digit(int(turn.seconds(5))))


@kind("replaced", "a file was replaced by one with a row less; its checksum too", passes=False)
def _replaced(turn: Turn) -> Reply:
    if not turn.request.path.removesuffix(".CHECKSUM").endswith((".zip", ".gz", ".csv")):
        raise DoesNotApply("not a file")
    return _in_rows(turn, fault_rows.missing)


# --- pages and clocks ----------------------------------------------------------------------------

TOKENS = ("next_page_token", "nextPageCursor", "NextContinuationToken", "NextMarker", "cursor", "last")
ASKED = ("next_page_token", "cursor", "continuation-token", "marker", "since")


@kind("repeated-token", "the next page's token is the one that was sent")
def _repeated_token(turn: Turn) -> Reply:
    sent = next((turn.request.query[name] for name in ASKED if turn.request.query.get(name)), None)
    if sent is None:
        raise DoesNotApply("no page token was sent")
    reply = turn.reply()
    quoted, token = json.dumps(sent).encode(), sent.encode()
    names = "|".join(TOKENS).encode()
    body, count = re.subn(rb'("(?:' + names + rb')":\s*)"[^"]*"', lambda found: found[1] + quoted, reply.body)
    body, more = re.subn(rb"(<(" + names + rb")>)[^<]*", lambda found: found[1] + token, body)
    if not count + more:
        raise DoesNotApply("the answer has no page token")
    return replace(reply, body=body)


CLOCKS = re.compile(
    rb'"(serverTime|server_time|unixtime|epoch|timeSecond|timeNano|ts)":\s*("?)(\d{10}(?:\d{3}){0,3})\b'
)


@kind("clock-skew", "the upstream's clock (Date, serverTime) is =SECONDS ahead (7200)", value="number")
def _clock_skew(turn: Turn) -> Reply:
    seconds, reply = int(turn.seconds(7200)), turn.reply()

    def later(found: re.Match[bytes]) -> bytes:
        units = 10 ** (len(found[3]) - 10)
        return b'"%b":%b%d' % (found[1], found[2], int(found[3]) + seconds * units)

    date = ("Date", delivery.http_date(int(time.time()) + seconds))
    return replace(reply, body=CLOCKS.sub(later, reply.body), headers=(*reply.headers, date))


# --- what is listed ------------------------------------------------------------------------------

NAMES = ("symbol", "instId", "id", "market")
BASES = ("baseAsset", "baseCcy", "baseCoin", "baseCurrency", "base_currency", "baseCurrencyName", "base")
DEAD = {
    "status": {"TRADING": "BREAK", "Trading": "Closed", "online": "delisted"},
    "state": {"live": "suspend", "NORMAL": "PAUSE"},
    "trade_status": {"tradable": "untradable"},
    "enableTrading": {True: False},
}


@dataclass
class _Listing:
    """The rows that list symbols, and which of them is meant."""

    rows: fault_rows.Rows
    name: str
    base: str
    chosen: dict[str, Any]
    other: dict[str, Any]

    def copy(self, symbol: str, base: str) -> dict[str, Any]:
        return self.chosen | {self.name: symbol, self.base: base}


def _is_alive(row: dict[str, Any]) -> bool:
    return all(row[key] in alive for key, alive in DEAD.items() if key in row)


def _listing(turn: Turn) -> _Listing:
    """Raises Unconcerned where the answer lists no symbols, DoesNotApply where it lacks the one that is meant."""
    try:
        rows = fault_rows.opened(turn.reply().body)
    except DoesNotApply:
        raise Unconcerned from None
    first = rows.rows[0] if isinstance(rows.rows[0], dict) else {}
    name, base = (next((key for key in keys if key in first), None) for keys in (NAMES, BASES))
    if name is None or base is None:
        raise Unconcerned
    alive = sorted((row for row in rows.rows if _is_alive(row)), key=lambda row: row[name])
    if turn.value:
        chosen = [row for row in rows.rows if row[name] == turn.value]
    else:
        chosen = turn.stable.sample(alive, 1) if alive else []
    others = [row for row in alive if row not in chosen]
    if not chosen or not others:
        raise DoesNotApply(f"{turn.value or 'a symbol that trades'} is not listed")
    return _Listing(rows, name, base, chosen[0], others[turn.stable.randrange(len(others))])


def _concerning_symbols(change: Callable[[_Listing, dict[str, str]], None]) -> Callable[[Turn], Reply]:
    """Changes a listing; what is later asked for an invented symbol is answered with the data of its model."""

    def act(turn: Turn) -> Reply:
        text = turn.request.path + "?" + "&".join(turn.request.query.values())
        known = next((alias for alias in sorted(turn.aliases, key=len, reverse=True) if alias in text), None)
        if known is not None:
            return _as_another(turn, known, turn.aliases[known])
        listing = _listing(turn)
        change(listing, turn.aliases)
        return replace(turn.reply(), body=listing.rows.close(listing.rows))

    return act


def _as_another(turn: Turn, alias: str, model: str) -> Reply:
    request = turn.request
    query = {key: value.replace(alias, model) for key, value in request.query.items()}
    reply = turn.ask(replace(request, path=request.path.replace(alias, model), query=query))
    is_text = reply.body[:1] in (b"{", b"[")
    body = reply.body.replace(json.dumps(model).encode(), json.dumps(alias).encode()) if is_text else reply.body
    return replace(reply, body=body)


def _twin(listing: _Listing, aliases: dict[str, str]) -> dict[str, Any]:
    symbol, base = listing.chosen[listing.name], listing.chosen[listing.base]
    twin = symbol.replace(base, base + "2", 1)
    aliases[twin] = symbol
    return listing.copy(twin, base + "2")


def _listed(listing: _Listing, aliases: dict[str, str]) -> None:
    listing.rows.rows.append(_twin(listing, aliases))


def _unlisted(listing: _Listing, aliases: dict[str, str]) -> None:
    listing.rows.rows.remove(listing.chosen)


def _renamed(listing: _Listing, aliases: dict[str, str]) -> None:
    rows = listing.rows.rows
    rows[rows.index(listing.chosen)] = _twin(listing, aliases)


def _delisted(listing: _Listing, aliases: dict[str, str]) -> None:
    for key, dead in DEAD.items():
        if key in listing.chosen:
            listing.chosen[key] = dead.get(listing.chosen[key], listing.chosen[key])


def _reused(listing: _Listing, aliases: dict[str, str]) -> None:
    aliases[listing.chosen[listing.name]] = listing.other[listing.name]


def _hostile(listing: _Listing, aliases: dict[str, str]) -> None:
    for name in HOSTILE:
        aliases[name] = listing.chosen[listing.name]
        listing.rows.rows.append(listing.copy(name, name))


for _name, _says, _change in (
    ("listed", "a symbol is new: a twin of =SYMBOL", _listed),
    ("unlisted", "=SYMBOL is no longer listed", _unlisted),
    ("renamed", "=SYMBOL has another name", _renamed),
    ("reused", "=SYMBOL now means another coin: its data are another symbol's", _reused),
    ("delisted", "=SYMBOL no longer trades", _delisted),
    ("hostile-symbols", "symbols with quotes, slashes, '..' and other scripts, twins of =SYMBOL", _hostile),
):
    KINDS[_name] = Kind(_name, _says, _concerning_symbols(_change), passes=False, value="text")
PASSING = tuple(name for name, each in KINDS.items() if each.passes)
