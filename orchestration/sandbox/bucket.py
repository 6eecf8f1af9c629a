"""An S3 bucket that anybody may read: its objects, and ListObjects (version 1) as XML.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjects.html. A bucket is a `Tree`: what stands in a folder,
and how a file is made. Nothing is made before it is asked for.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import islice
from typing import Protocol
from xml.sax.saxutils import escape

from .recent import Recent
from .wire import Reply, Request, absent

XML = "application/xml"
PAGE = 1000
KEPT_BYTES, KNOWN_SIZES = 16_000_000, 50_000
QUOTE = {'"': "&quot;"}
CHECKSUM = ".CHECKSUM"
CONTENT_TYPES = {".zip": "application/zip", ".gz": "application/gzip"}


@dataclass(frozen=True)
class File:
    """One object: when it was put there (UTC), and its bytes, which are the same at every call."""

    modified: datetime
    read: Callable[[], bytes] = field(repr=False)


class Tree(Protocol):
    def names(self, folder: str) -> Iterable[str]:
        """What stands right in `folder` ("" or ending in a slash), in any order; folders end in a slash, none is
        empty."""
        ...

    def file(self, key: str) -> File | None: ...


class Bucket:
    """`checksum` (sha256 or md5) puts a .CHECKSUM beside every file, in the form of `sha256sum`."""

    def __init__(self, name: str, tree: Tree, checksum: str | None = None) -> None:
        self.name, self.tree, self.checksum = name, tree, checksum
        self._recent = Recent(KEPT_BYTES)
        self._known = lru_cache(maxsize=KNOWN_SIZES)(self._measure)

    def _made(self, key: str) -> bytes:
        """Who lists a folder of small files downloads them next: they are still there."""

        def make() -> tuple[bytes, int]:
            body = self._make(key)
            return body, len(body)

        return self._recent.get(key, make)

    def _make(self, key: str) -> bytes:
        of = key.removesuffix(CHECKSUM)
        if of != key:
            digest = hashlib.new(self.checksum or "", self._made(of)).hexdigest()
            return f"{digest}  {of.rpartition('/')[2]}\n".encode()
        file = self.tree.file(key)
        assert file is not None, f"{key} is listed but not there"
        return file.read()

    def _measure(self, key: str) -> tuple[int, str]:
        """Size and ETag."""
        body = self._made(key)
        return len(body), f'"{hashlib.md5(body).hexdigest()}"'

    def _modified(self, key: str) -> datetime | None:
        """None: there is no such object."""
        of = key.removesuffix(CHECKSUM)
        file = self.tree.file(of) if of == key or self.checksum else None
        # Recorded: the checksum is a second older than its file.
        return file and file.modified - timedelta(seconds=of != key)

    def get(self, key: str) -> Reply:
        modified = self._modified(key)
        if modified is None:
            return no_such_key(key)
        body = self._made(key)
        headers = (("ETag", self._known(key)[1]), ("Last-Modified", modified.strftime("%a, %d %b %Y %H:%M:%S GMT")))
        suffix = "." + key.rpartition(".")[2]
        return Reply(body, 200, CONTENT_TYPES.get(suffix, "binary/octet-stream"), headers)

    def list(self, request: Request) -> Reply:
        """A page of up to 1,000 keys after `marker`. NextMarker is only there with a delimiter, as S3 has it."""
        query = request.query
        prefix, marker, delimiter = (query.get(name, "") for name in ("prefix", "marker", "delimiter"))
        asked = query.get("max-keys", str(PAGE))
        if "list-type" in query or delimiter not in ("", "/"):
            return absent(request, "ListObjects version 1, delimiter / or none")
        if not asked.isdecimal():
            return error(400, "InvalidArgument", "Provided max-keys not an integer or within integer range")
        size = min(int(asked), PAGE)
        folder = prefix[: prefix.rfind("/") + 1]
        found = list(islice(self._after(marker, folder, prefix, bool(delimiter)), size + 1))
        page, is_truncated = found[:size], len(found) > size > 0
        parts = [f"<Name>{escape(self.name)}</Name><Prefix>{escape(prefix)}</Prefix><Marker>{escape(marker)}</Marker>"]
        if is_truncated and delimiter:
            parts.append(f"<NextMarker>{escape(page[-1])}</NextMarker>")
        parts.append(f"<MaxKeys>{asked}</MaxKeys>")
        if delimiter:
            parts.append(f"<Delimiter>{delimiter}</Delimiter>")
        parts.append(f"<IsTruncated>{str(is_truncated).lower()}</IsTruncated>")
        parts += [self._contents(key) for key in page if not key.endswith("/")]
        parts += [
            f"<CommonPrefixes><Prefix>{escape(key)}</Prefix></CommonPrefixes>" for key in page if key.endswith("/")
        ]
        body = (
            '<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        )
        return Reply((body + "".join(parts) + "</ListBucketResult>").encode(), 200, XML)

    def _after(self, marker: str, folder: str, prefix: str, is_folded: bool) -> Iterator[str]:
        """Keys below `folder` that begin with `prefix`, in the order of their bytes; folders instead where folded."""
        names = list(self.tree.names(folder))
        if self.checksum:
            names += [name + CHECKSUM for name in names if not name.endswith("/")]
        for key in sorted(folder + name for name in names):
            if not key.startswith(prefix):
                continue
            if key.endswith("/") and not is_folded:
                if key > marker or marker.startswith(key):
                    yield from self._after(marker, key, prefix, is_folded)
            elif key > marker:
                yield key

    def _contents(self, key: str) -> str:
        modified, (size, tag) = self._modified(key), self._known(key)
        return (
            f"<Contents><Key>{escape(key)}</Key><LastModified>{modified:%Y-%m-%dT%H:%M:%S}.000Z</LastModified>"
            f"<ETag>{escape(tag, QUOTE)}</ETag><Size>{size}</Size>"
            "<StorageClass>STANDARD</StorageClass></Contents>"
        )


def error(status: int, code: str, message: str, detail: str = "") -> Reply:
    inner = f"<Code>{code}</Code><Message>{message}</Message>{detail}"
    ids = "<RequestId>SANDBOX000000000</RequestId><HostId>c2FuZGJveA==</HostId>"
    return Reply(f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>{inner}{ids}</Error>'.encode(), status, XML)


def no_such_key(key: str) -> Reply:
    return error(404, "NoSuchKey", "The specified key does not exist.", f"<Key>{escape(key)}</Key>")
