"""Listings of public S3 buckets: ListObjects, version 1, as XML.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjects.html. A page holds up to 1,000 keys; NextMarker is
there only with a delimiter, else the last key is where the next page begins.

Elements are found by their names, in one pass and by no XML parser: a document type is passed over, and no entity but
those of HTML and numbers means anything.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from html import unescape
from typing import TypeVar

from orchestration.sources.body import SourceError
from orchestration.sources.http import Answer, Host, Http, is_xml

Found = TypeVar("Found")
MOST_PAGES = 10_000
_ROOT = re.compile(rb"<ListBucketResult[ >]")

_SIZE = re.compile(r"[0-9]{1,18}")


@dataclass(frozen=True)
class Listed:
    """An object (`etag` without quotes, size in bytes) or, with neither, a folder: its name ends in a slash."""

    key: str
    etag: str | None = None
    byte_count: int | None = None


def list_bucket(
    http: Http, host: Host, path: str, prefix: str, marker: str = "", is_folded: bool = False
) -> Iterator[Listed]:
    """Every object whose key begins with `prefix` and comes after `marker`, in the order of keys; folded: what
    stands right in that folder. Raises SourceError where a page is no listing or repeats."""
    for _ in range(MOST_PAGES):
        query = {
            "prefix": prefix,
            **({"delimiter": "/"} if is_folded else {}),
            **({"marker": marker} if marker else {}),
        }
        answer = http.get(host, path, query, wrong=is_xml)
        listed = parse_listing(answer)
        yield from listed
        if _one(answer.content, b"IsTruncated") != "true":
            return
        following = _one(answer.content, b"NextMarker") or (listed[-1].key if listed else "")
        if following <= marker:
            raise SourceError(f"{answer.url}: the next page begins at {following!r}, not after {marker!r}")
        marker = following
    raise SourceError(f"{host.name} {path} {prefix}: more than {MOST_PAGES} pages; the listing does not end")


def list_each(connections: int, list_one: Callable[[str], Iterable[Found]], folders: Iterable[str]) -> Iterator[Found]:
    """What `list_one` finds in every folder, in their order; `connections` are asked at a time.

    A folder that fails does not stop the others: at the end one SourceError says which did. Nothing more is asked
    once nobody reads on."""
    failed: list[tuple[str, SourceError]] = []

    def one(folder: str) -> list[Found]:
        try:
            return list(list_one(folder))
        except SourceError as error:
            failed.append((folder, error))
            return []

    pool = ThreadPoolExecutor(connections)
    try:
        for found in pool.map(one, folders):
            yield from found
    finally:
        pool.shutdown(cancel_futures=True)
    if failed:
        names = ", ".join(folder for folder, _ in failed[:5]) + (", …" if len(failed) > 5 else "")
        error = failed[0][1]
        raise SourceError(f"{len(failed)} folders were not listed ({names}): {error}", error.reason, error.status)


def parse_listing(answer: Answer) -> list[Listed]:
    """Raises SourceError where the body is no listing."""
    if not _ROOT.search(answer.content[:500]):
        raise SourceError(f"{answer.url}: {answer.content[:120]!r} instead of a listing", content=answer.content)
    found = [Listed(key) for each in _each(answer, b"CommonPrefixes") if (key := _one(each, b"Prefix"))]
    for entry in _each(answer, b"Contents"):
        key, etag, size = _one(entry, b"Key"), _one(entry, b"ETag"), _one(entry, b"Size")
        if not key:
            raise SourceError(f"{answer.url}: an entry without a key: {entry[:120]!r}", content=answer.content)
        byte_count = int(size) if size and _SIZE.fullmatch(size) else None
        found.append(Listed(key, (etag or "").strip('"') or None, byte_count))
    return sorted(found, key=lambda listed: listed.key)


def _each(answer: Answer, tag: bytes) -> Iterator[bytes]:
    """What stands inside of each element, in one pass. Raises SourceError where one does not end."""
    for part in answer.content.split(b"<" + tag + b">")[1:]:
        inside, end, _ = part.partition(b"</" + tag + b">")
        if not end:
            raise SourceError(f"{answer.url}: a listing that is cut: {part[:120]!r}", content=answer.content)
        yield inside


def _one(xml: bytes, tag: bytes) -> str | None:
    _, begin, rest = xml.partition(b"<" + tag + b">")
    found, end, _ = rest.partition(b"</" + tag + b">")
    return _text(found) if begin and end else None


def _text(raw: bytes) -> str:
    return unescape(raw.decode("utf-8", "replace"))
