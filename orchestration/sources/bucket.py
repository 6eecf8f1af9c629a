"""Listings of public S3 buckets: ListObjects, version 1, as XML.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjects.html. A page holds up to 1,000 keys; NextMarker is
there only with a delimiter, else the last key is where the next page begins.
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
_CONTENTS = re.compile(rb"<Contents>(.*?)</Contents>", re.S)
_FOLDER = re.compile(rb"<CommonPrefixes><Prefix>(.*?)</Prefix></CommonPrefixes>", re.S)


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
    found = [Listed(_text(name)) for name in _FOLDER.findall(answer.content)]
    for entry in _CONTENTS.findall(answer.content):
        key, etag, size = _one(entry, b"Key"), _one(entry, b"ETag"), _one(entry, b"Size")
        if not key:
            raise SourceError(f"{answer.url}: an entry without a key: {entry[:120]!r}", content=answer.content)
        found.append(Listed(key, (etag or "").strip('"') or None, int(size) if size and size.isdecimal() else None))
    return sorted(found, key=lambda listed: listed.key)


def _one(xml: bytes, tag: bytes) -> str | None:
    found = re.search(rb"<" + tag + rb">(.*?)</" + tag + rb">", xml, re.S)
    return _text(found[1]) if found else None


def _text(raw: bytes) -> str:
    return unescape(raw.decode("utf-8", "replace"))
