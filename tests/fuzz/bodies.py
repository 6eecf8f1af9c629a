"""Bodies that no upstream should send: mutations of recorded ones, and the worst of their kind made on purpose.

Everything is drawn from one `random.Random`, so that a number names a body.
"""

import functools
import gzip
import io
import json
import random
import struct
import zipfile
import zlib
from collections.abc import Callable, Sequence
from typing import Any

Made = dict[str, Callable[[], bytes]]
"""by name; some take long to make"""
MOST_BYTES = 1 << 18
"""of a mutated body"""

TEXTS = (
    "", " ", "\x00", "﻿", "NaN", "nan", "Infinity", "-inf", "null", "None", "true", ".", "-", "+", "e", "1e",
    "0x10", "0", "-0", "-1", "+1", "1.", ".5", "1e308", "1e309", "-1e308", "1e-400", "1e99999999",
    "1e-25000000", "1" * 40, "9" * 26, "9" * 5000, "0." + "1" * 40, "1_000", "1,5", " 1", "1 ", "١٢٣", "１", "½",
    "1772323200", "1772323200000", "1772323200000000", "253402300800", "-62135596801", "9223372036854775807",
    "9223372036854775808", "18446744073709551616", "2026-03-01", "2024-02-30", "9999-12-31", "0001-01-01",
    "10000-01-01", "2026-03-01T24:00:00Z", "2026-03-01T23:59:60Z", "+2026-03-01T00:00:00+00:00",
    "../../../etc/passwd", "..", "a/b", "a\\b", "-", "_", "/", "X-", "-X", "'; drop table raw.spot_flows; --",
    '"', "'", "\n", "\r\n", ",", "BTC-USDT", "\ud800", "\udfff", "💥", "ß", "x" * 5000, "<b>", "&lt;", "%2e%2e",
    "{}", "[]",
)  # fmt: skip
NUMBERS = (
    0, 1, -1, 1.5, -0.0, 1e308, -1e308, 5e-324, float("nan"), float("inf"), float("-inf"), 2**31, 2**53 + 1,
    2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 10**40, 1772323200, 1772323200000, 1772323200000000,
    253402300800000, -62135596800001, 10**18, 10**4200,
)  # fmt: skip
TOKENS = (
    b"\x00", b"\xff", b"\xef\xbb\xbf", b"\xc3", b"\xed\xa0\x80", b"NaN", b"Infinity", b"-Infinity", b"1e308",
    b"1e400", b"1" * 40, b"1e-400", b"1e-99999999999", b"null", b"true", b"[", b"]", b"{", b"}", b"[]", b"{}",
    b'""', b'"', b",", b":", b"\\", b"\\u0000", b"\\ud800", b"\\udfff\\ud800", b"\n", b"\r", b"\r\n", b"\t",
    b"<", b">", b"&", b"&#x110000;", b"&#0;", b"&bomb;", b"<!DOCTYPE x>", b"]]>", b"<![CDATA[", b"<html>", b"-",
    b".", b"e", b"PK\x03\x04", b"PK\x05\x06", b"\x1f\x8b", b"../", b"'", b";",
)  # fmt: skip


def deep(depth: int) -> bytes:
    """A list in a list in a list …"""
    return b"[" * depth + b"]" * depth


def deep_objects(depth: int) -> bytes:
    return b'{"a":' * depth + b"1" + b"}" * depth


HOSTILE: dict[str, bytes] = {
    "empty": b"",
    "space": b" \n",
    "zero": b"\x00",
    "zeros": bytes(4096),
    "byte order mark": b"\xef\xbb\xbf",
    "mark and list": b"\xef\xbb\xbf[]",
    "UTF-16": '[{"a": 1}]'.encode("utf-16"),
    "UTF-32": '{"a": 1}'.encode("utf-32"),
    "not UTF-8": b'{"data": "\xff\xfe\xc3"}',
    "page": b"<!DOCTYPE html><html><head><title>403</title></head><body>blocked</body></html>",
    "object": b"{}",
    "list": b"[]",
    "lists": b"[[]]",
    "objects": b"[{}]",
    "null": b"null",
    "nulls": b"[null,null]",
    "number": b"0",
    "not a number": b"NaN",
    "text": b'"text"',
    "true": b"true",
    "long number": b"[" + b"1" * 5000 + b"]",
    "half a character": b'["\\ud800"]',
    "open list": b"[" * 200_000,
    "deep list": deep(100_000),
    "deep object": deep_objects(50_000),
    **{f"{depth} deep": deep(depth) for depth in (90, 300, 900, 960, 980, 990)},
    **{f"{depth} objects deep": deep_objects(depth) for depth in (300, 980)},
    "error": b'{"code":-1003,"msg":"Too much request weight used"}',
    "billion laughs": b'<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "ha">'
    + b"".join(b'<!ENTITY %c "%s">' % (98 + i, b"&%c;" % (97 + i) * 10) for i in range(9))
    + b"]><ListBucketResult ><Contents><Key>&j;</Key></Contents></ListBucketResult>",
    "external entity": b'<?xml version="1.0"?><!DOCTYPE l [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
    b"<ListBucketResult ><Contents><Key>&x;</Key></Contents></ListBucketResult>",
}


def large(seed: bytes, size: int = 1 << 20) -> Made:
    """What a recorded JSON body would be with a list of about a megabyte in it, of its own rows or of nothing.

    Nothing for other bodies, and where there is no list of rows."""
    try:
        whole = json.loads(seed)
    except (ValueError, RecursionError):
        return {}
    places: list[tuple[int, list, list]] = []

    def look(value: Any, depth: int) -> None:
        if isinstance(value, list) and value and isinstance(value[0], list | dict):
            places.append((depth, value, list(value)))
        for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            look(each, depth + 1)

    look(whole, 0)
    if not places:
        return {}
    _, rows, own = min(places, key=lambda place: place[0])

    def filled(cells: list) -> bytes:
        rows[:] = cells * (size // (len(json.dumps(cells, separators=(",", ":"))) - 1))
        return json.dumps(whole, separators=(",", ":")).encode()

    fillers = {"its own rows": own, "objects": [{}], "lists": [[]], "nulls": [None], "numbers": [1.5], "texts": ["a"]}
    return {f"a megabyte of {name}": functools.partial(filled, cells) for name, cells in fillers.items()}


# --- packed files


@functools.cache
def _zeros(megabytes: int, fill: bytes = b"\x00") -> bytes:
    """A raw deflate stream that unpacks to so many megabytes, a thousand times smaller."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = packer.compress(fill * ((1 << 20) // len(fill))) + packer.flush(zlib.Z_FULL_FLUSH)
    return block * megabytes + b"\x03\x00"


def gzip_bomb(megabytes: int = 1024, fill: bytes = b"\x00") -> bytes:
    """gzip in members of 16 MiB, as good as one."""
    member = gzip.compress(fill * ((16 << 20) // len(fill)), mtime=0)
    return member * (megabytes // 16)


def zip_of(name: str, content: bytes, method: int = zipfile.ZIP_DEFLATED, **lies: int) -> bytes:
    """A zip with one member. `lies`: what its headers say instead: size, packed, crc, flags, method."""
    packed = content
    if method == zipfile.ZIP_DEFLATED:
        packer = zlib.compressobj(6, zlib.DEFLATED, -15)
        packed = packer.compress(content) + packer.flush()
    return _zip(name, packed, len(content), zlib.crc32(content), method, **lies)


def zip_bomb(name: str, megabytes: int = 1024, fill: bytes = b"\x00", **lies: int) -> bytes:
    return _zip(name, _zeros(megabytes, fill), megabytes << 20, 0, zipfile.ZIP_DEFLATED, **lies)


def _zip(name: str, packed_bytes: bytes, length: int, checksum: int, how: int, count: int = 1, **lies: int) -> bytes:
    told = {"size": length, "packed": len(packed_bytes), "crc": checksum, "flags": 0x800, "method": how} | lies
    raw = name.encode("utf-8", "replace")
    same = struct.pack(
        "<HHHHHIIIHH", 20, told["flags"] & 0xFFFF, told["method"] & 0xFFFF, 0, 33, told["crc"] & 0xFFFFFFFF,
        told["packed"] & 0xFFFFFFFF, told["size"] & 0xFFFFFFFF, len(raw), 0,
    )  # fmt: skip
    local = b"PK\x03\x04" + same + raw + packed_bytes
    entry = b"PK\x01\x02" + struct.pack("<H", 20) + same + struct.pack("<HHHII", 0, 0, 0, 0, 0) + raw
    end = struct.pack("<HHHHIIH", 0, 0, min(count, 65_535), min(count, 65_535), len(entry) * count, len(local), 0)
    return local + entry * count + b"PK\x05\x06" + end


def zips(name: str) -> Made:
    """Hostile zips whose member should be called `name`."""
    row = b"1,1,1,1,1,1,1,1,1,1,1,1\n"
    return {
        "zip of nothing": lambda: b"PK\x05\x06" + bytes(18),
        "zip bomb": lambda: zip_bomb(name),
        "zip bomb that says 10 bytes": lambda: zip_bomb(name, size=10),
        "zip bomb of lines": lambda: zip_bomb(name, 64, b"\n"),
        "zip bomb of rows": lambda: zip_bomb(name, 64, row),
        "zip that says 4 GB": lambda: zip_of(name, row, size=0xFFFFFFFE),
        "zip with a path": lambda: zip_of(f"../../{name}", row),
        "zip from the root": lambda: zip_of(f"/etc/{name}", row),
        "zip with another name": lambda: zip_of("other.csv", row),
        "zip with a zero in its name": lambda: zip_of(f"{name}\x00.csv", row),
        "zip of many": lambda: _zip(name, b"", 0, 0, 0, count=60_000),
        "zip that is encrypted": lambda: zip_of(name, row, flags=1),
        "zip with strong encryption": lambda: zip_of(name, row, flags=0x41),
        "zip with a patch": lambda: zip_of(name, row, flags=0x20),
        "zip packed in another way": lambda: zip_of(name, row, method=99),
        "zip with bzip2": lambda: _zip(name, b"BZh9", 4, 0, zipfile.ZIP_BZIP2),
        "zip with LZMA": lambda: _zip(name, b"\x09\x04\x05\x00\x5d\xff\xff\xff\xff", 4, 0, zipfile.ZIP_LZMA),
        "zip with another checksum": lambda: zip_of(name, row, crc=1),
        "zip that ends early": lambda: zip_of(name, row, packed=1 << 20),
        "zip cut": lambda: zip_of(name, row)[:-10],
        "zip of rows": lambda: zip_of(name, row * 10),
    }


def gzips() -> Made:
    return {
        "gzip bomb": lambda: gzip_bomb(),
        "gzip bomb of lines": lambda: gzip_bomb(64, b"\n"),
        "gzip bomb of rows": lambda: gzip_bomb(64, b"1,1,1,1,1,1\n,,,\n"),
        "gzip bomb of no trades": lambda: gzip_bomb(128, b"a,\n"),
        "gzip cut": lambda: gzip.compress(b"1,2,3\n" * 1000)[:-20],
        "gzip head": lambda: b"\x1f\x8b",
        "gzip and more": lambda: gzip.compress(b"1,2,3\n") + b"more",
    }


# --- mutations


def mutated(choose: random.Random, seed: bytes, others: Sequence[bytes] = ()) -> bytes:
    """One to four changes of a recorded body, packed again where it was packed."""
    if seed[:2] == b"\x1f\x8b" and choose.random() < 0.8:
        return _changed(choose, gzip.compress(mutated(choose, gzip.decompress(seed), others), 1, mtime=0), 0.1, others)
    if seed[:2] == b"PK" and choose.random() < 0.8:
        with zipfile.ZipFile(io.BytesIO(seed)) as archive:
            (name,) = archive.namelist()
            content = mutated(choose, archive.read(name), others)
        lies = {}
        if choose.random() < 0.2:
            lies[choose.choice(("size", "packed", "crc", "flags", "method"))] = choose.choice((0, 1, 9, 65_535, 2**31))
        return _changed(choose, zip_of(name, content, **lies), 0.1, others)
    for _ in range(choose.choice((1, 1, 1, 2, 2, 3, 4))):
        structural = _STRUCTURAL.get(seed.lstrip()[:1], _cells)
        change = structural if choose.random() < 0.7 else _bytes
        seed = change(choose, seed, others)[:MOST_BYTES]
    return seed


def _changed(choose: random.Random, content: bytes, chance: float, others: Sequence[bytes]) -> bytes:
    return _bytes(choose, content, others) if choose.random() < chance else content


def _span(choose: random.Random, length: int) -> tuple[int, int]:
    start = choose.randrange(length + 1)
    return start, min(length, start + choose.choice((1, 1, 2, 4, 8, 16, 64, 256, 4096)))


def _bytes(choose: random.Random, content: bytes, others: Sequence[bytes]) -> bytes:
    (start, end), how = _span(choose, len(content)), choose.randrange(8)
    if how == 0 and content:
        at = min(start, len(content) - 1)
        return content[:at] + bytes([content[at] ^ 1 << choose.randrange(8)]) + content[at + 1 :]
    if how == 1:
        return content[:start]
    if how == 2:
        return content[:start] + content[end:]
    if how == 3:
        return content[:end] + content[start:end] * choose.choice((1, 2, 50)) + content[end:]
    if how == 4:
        first, second = sorted((_span(choose, len(content)), (start, end)))
        if first[1] <= second[0]:
            parts = content[slice(*second)], content[first[1] : second[0]], content[slice(*first)]
            return content[: first[0]] + b"".join(parts) + content[second[1] :]
    if how == 5 and others:
        other = choose.choice(others)
        return content[:start] + other[slice(*_span(choose, len(other)))] + content[end:]
    if how == 6:
        return choose.choice((b"\xef\xbb\xbf", b"\x00", b"\n", b" ", b"<", b"{")) + content
    return content[:start] + choose.choice(TOKENS) + content[end if choose.random() < 0.5 else start :]


def _value(choose: random.Random) -> Any:
    how = choose.randrange(10)
    if how < 4:
        return choose.choice(TEXTS)
    if how < 7:
        return choose.choice(NUMBERS)
    if how == 7:
        return choose.choice((None, True, False, [], {}, [[]], [{}], {"": None}))
    if how == 8:
        return json.loads(deep(choose.choice((2, 20, 90, 200))))
    return [choose.choice(TEXTS) for _ in range(choose.randrange(5))]


def _json(choose: random.Random, content: bytes, others: Sequence[bytes]) -> bytes:
    """A value changed, lost, doubled, swapped or moved to where another stood."""
    try:
        whole = json.loads(content)
    except (ValueError, RecursionError):
        return _bytes(choose, content, others)
    root: Any = [whole]
    places: list[tuple[Any, Any]] = []
    at = root
    while isinstance(at, list | dict) and at:
        key = choose.randrange(len(at)) if isinstance(at, list) else choose.choice(list(at))
        places.append((at, key))
        at = at[key]
    parent, key = choose.choice(places)
    how = choose.randrange(8)
    if how < 4:
        parent[key] = _value(choose)
    elif how == 4:
        del parent[key]
    elif how == 5 and isinstance(parent, list):
        parent[key:key] = [parent[key]] * choose.choice((1, 2, 30))
    elif how == 6:
        other, place = choose.choice(places)
        parent[key], other[place] = other[place], parent[key]
        if any(outer is parent[key] for outer, _ in places):
            return content
    elif isinstance(parent, dict):
        parent[choose.choice(TEXTS)] = parent.pop(key)
    else:
        parent[key] = choose.choice((str, lambda v: [v], lambda v: {"a": v}))(parent[key])
    written = root[0] if root else None
    space = (", ", ": ") if choose.random() < 0.2 else (",", ":")
    try:
        text = json.dumps(written, separators=space, ensure_ascii=choose.random() < 0.5)
    except (ValueError, RecursionError):
        return content
    return text.encode("utf-8", "surrogatepass")


def _cells(choose: random.Random, content: bytes, others: Sequence[bytes]) -> bytes:
    """Lines of cells: one changed, lost, doubled or swapped."""
    lines = content.split(b"\n")
    at = choose.randrange(len(lines))
    cells = lines[at].split(b",")
    cell = choose.randrange(len(cells))
    how = choose.randrange(8)
    if how < 3:
        cells[cell] = choose.choice(TEXTS).encode("utf-8", "surrogatepass")
    elif how == 3:
        del cells[cell]
    elif how == 4:
        cells[cell:cell] = [cells[choose.randrange(len(cells))]]
    elif how == 5:
        other = choose.randrange(len(cells))
        cells[cell], cells[other] = cells[other], cells[cell]
    elif how == 6:
        lines[at:at] = [lines[choose.randrange(len(lines))]] * choose.choice((1, 1, 3, 50))
        return b"\n".join(lines)
    else:
        del lines[at]
        return b"\n".join(lines)
    lines[at] = b",".join(cells)
    return b"\n".join(lines)


def _tags(choose: random.Random, content: bytes, others: Sequence[bytes]) -> bytes:
    parts = content.split(b"<")
    at = choose.randrange(len(parts))
    how = choose.randrange(4)
    if how == 0:
        parts[at] = parts[at].partition(b">")[0] + b">" + choose.choice(TEXTS).encode("utf-8", "surrogatepass")
    elif how == 1:
        del parts[at]
    elif how == 2:
        parts[at:at] = [parts[choose.randrange(len(parts))]] * choose.choice((1, 2, 40))
    else:
        parts[at] = choose.choice(TOKENS) + parts[at]
    return b"<".join(parts)


_STRUCTURAL: dict[bytes, Callable[[random.Random, bytes, Sequence[bytes]], bytes]] = {
    b"[": _json,
    b"{": _json,
    b"<": _tags,
}


def small(content: bytes) -> bytes:
    """A recorded body with its first and last rows only: what is short is changed where it matters."""
    if content[:1] in (b"[", b"{"):
        return json.dumps(_short(json.loads(content)), separators=(",", ":"), ensure_ascii=False).encode()
    lines = content.split(b"\n")
    return b"\n".join(lines if len(lines) < 12 else lines[:10])


def _short(value: Any) -> Any:
    """Rows stay whole, there are fewer of them."""
    if not isinstance(value, dict | list) or not value:
        return value
    kept = list(value.items()) if isinstance(value, dict) else list(enumerate(value))
    if len(kept) > 6 and all(isinstance(each, dict | list) for _, each in kept):
        kept = [*kept[:3], *kept[-2:]]
    short = [(key, _short(each)) for key, each in kept]
    return dict(short) if isinstance(value, dict) else [each for _, each in short]
