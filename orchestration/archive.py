"""Bodies as received, kept for ever: one append-only pack per run and upstream.

A pack is a sequence of zstd frames, two for each body: a skippable frame with the body's card (JSON:
sha256, url, status, time, context) and the body itself. `zstd -dc x.pack` prints the bodies; the
cards make a pack readable without the warehouse, so that the raw tables can be rebuilt from the
archive alone.
"""

import contextlib
import json
import os
import struct
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa

from orchestration.sources.body import Body, Window

_SKIPPABLE = 0x184D2A50
_HEAD = struct.Struct("<II")
_DAMAGED = (ValueError, LookupError, TypeError, OSError, OverflowError, MemoryError, RecursionError, pa.ArrowException)
"""What reading a damaged card or frame raises."""


class ArchiveError(Exception):
    """A body that is not what its card says; the message names pack and offset."""


class BodyPruned(ArchiveError):
    """A body that was removed on purpose; the message says when."""


@dataclass(frozen=True)
class Pruned:
    """A pack that was removed on purpose. `pack`: the name that it had; `bodies`: SHA-256 of what it held;
    `cited_count`: how many of them stored rows were read from; times are naive UTC."""

    pack: str
    pruned_at: datetime
    byte_count: int
    bodies: frozenset[str]
    cited_count: int

    def refusal(self) -> BodyPruned:
        return BodyPruned(f"pruned on {self.pruned_at:%Y-%m-%d} by `altflow prune`, with its pack {self.pack}")


@dataclass(frozen=True)
class Asked:
    """What a body answers, and with which others it was loaded: enough to load it again.

    `page` of `pages` bodies that answer for `scope` and `window`; `batch`: number, within the run, of the
    transaction that they went into."""

    scope: str
    window: Window
    page: int
    pages: int
    batch: int


@dataclass(frozen=True)
class Entry:
    """Where a body lies: `offset` and `length` (bytes) of its zstd frame in `pack` (relative path)."""

    body: Body
    asked: Asked
    pack: str
    offset: int
    length: int

    def row(self) -> dict:
        """One row of raw.source_files."""
        body = self.body
        return {
            "body_sha256": body.sha256,
            "upstream": body.upstream,
            "dataset": body.dataset,
            "url": body.url,
            "status": body.status,
            "fetched_at": body.fetched_at,
            "byte_count": len(body.content),
            "pack": self.pack,
            "pack_offset": self.offset,
            "pack_length": self.length,
            "context": json.dumps(dict(body.context), sort_keys=True),
        }


class Archive:
    """The packs below one folder. Not safe for two writers: the warehouse's lock sees to that."""

    def __init__(self, root: Path):
        self.root = root
        self._codec = pa.Codec("zstd", compression_level=3)
        self._open: dict[Path, BinaryIO] = {}

    def append(self, body: Body, asked: Asked, run_id: str) -> Entry:
        """Writes the body; it is safe on disk after `sync`."""
        name = f"{body.upstream}/{body.fetched_at:%Y-%m}/{run_id}.pack"
        path = self.root / name
        file = self._open.get(path)
        if file is None:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = self._open[path] = open(path, "ab")  # noqa: SIM115 - kept open until close()
        frame = self._codec.compress(body.content, asbytes=True)
        card = json.dumps(
            {
                "sha256": body.sha256,
                "bytes": len(body.content),
                "length": len(frame),
                "upstream": body.upstream,
                "dataset": body.dataset,
                "url": body.url,
                "status": body.status,
                "fetched_at": body.fetched_at.isoformat(),
                "context": dict(body.context),
                "scope": asked.scope,
                "window": [asked.window.start.isoformat(), asked.window.end.isoformat()],
                "page": asked.page,
                "pages": asked.pages,
                "batch": asked.batch,
            },
            sort_keys=True,
        ).encode()
        start = file.tell()
        file.write(_HEAD.pack(_SKIPPABLE, len(card)) + card + frame)
        return Entry(body, asked, name, start + _HEAD.size + len(card), len(frame))

    def sync(self) -> None:
        """After this, every appended body survives a power cut."""
        for path, file in self._open.items():
            file.flush()
            os.fsync(file.fileno())
            for created in (path.parent, path.parent.parent, self.root):
                folder = os.open(created, os.O_RDONLY)
                os.fsync(folder)
                os.close(folder)

    def close(self) -> None:
        for file in self._open.values():
            file.close()
        self._open.clear()

    def read(self, pack: str, offset: int, length: int, byte_count: int, sha256: str) -> bytes:
        """One body, checked against its hash. Raises ArchiveError where pack and index disagree."""
        path = self.root / pack
        try:
            with open(path, "rb") as file:
                file.seek(offset)
                content = self._codec.decompress(file.read(length), decompressed_size=byte_count, asbytes=True)
        except (OSError, pa.ArrowException) as error:
            raise ArchiveError(f"{path} at {offset}: unreadable ({error}); restore the pack from a backup") from None
        from hashlib import sha256 as digest

        if digest(content).hexdigest() != sha256:
            raise ArchiveError(f"{path} at {offset}: not the body {sha256}; restore the pack from a backup")
        return content

    def located(self, upstream: str, fetched_at: datetime) -> dict[str, tuple[str, int, int, int]]:
        """By SHA-256, where the bodies lie that were fetched from `upstream` in that month: pack, offset, length and
        byte count, as `read` takes them. Only cards are read, no body; a torn or damaged end is left out."""
        found: dict[str, tuple[str, int, int, int]] = {}
        for path in sorted((self.root / upstream / f"{fetched_at:%Y-%m}").glob("*.pack")):
            name = str(path.relative_to(self.root))
            for card, start in self.cards(name):
                found.setdefault(card["sha256"], (name, start, card["length"], card["bytes"]))
        return found

    def cards(self, pack: str) -> Iterator[tuple[dict, int]]:
        """The card of each whole body of a pack, and where the body starts. No body is read; what follows damage or a
        torn end is left out."""
        path = self.root / pack
        size = path.stat().st_size
        with open(path, "rb") as file, contextlib.suppress(ValueError, KeyError):
            while len(head := file.read(_HEAD.size)) == _HEAD.size:
                magic, length = _HEAD.unpack(head)
                if magic != _SKIPPABLE:
                    return
                card = json.loads(file.read(length))
                start = file.tell()
                if start + card["length"] > size:
                    return
                yield card, start
                file.seek(start + card["length"])

    def prune(self, pack: str, cited: Collection[str], now: datetime) -> None:
        """Removes a pack and leaves a note of what it held, so that nobody takes it for lost. `cited`: bodies that
        stored rows were read from."""
        path = self.root / pack
        held = sorted({card["sha256"] for card, _ in self.cards(pack)})
        note = {
            "pruned_at": now.isoformat(timespec="seconds"),
            "bytes": path.stat().st_size,
            "cited": len(set(held) & set(cited)),
            "bodies": held,
        }
        aside, final = path.with_suffix(".pruned.part"), path.with_suffix(".pruned")
        with open(aside, "w") as file:
            json.dump(note, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, final)
        path.unlink()

    def pruned(self) -> Iterator[Pruned]:
        """What was removed on purpose and is not there."""
        for path in sorted(self.root.glob("*/*/*.pruned")):
            pack = path.with_suffix(".pack")
            if not pack.exists():
                told = json.loads(path.read_text())
                at, bodies = datetime.fromisoformat(told["pruned_at"]), frozenset(told["bodies"])
                yield Pruned(pack.relative_to(self.root).as_posix(), at, told["bytes"], bodies, told["cited"])

    def entries(self) -> Iterator[Entry]:
        """Every whole body of every pack: packs in the order of their first fetch, bodies as appended; a
        torn last body (a killed run) is left out. Raises ArchiveError for damage anywhere else."""
        runs = ((_first_fetched(path), path) for path in self.root.glob("*/*/*.pack"))
        for _, path in sorted((fetched, path) for fetched, path in runs if fetched):
            yield from self._scan(path)

    def packs(self) -> list[str]:
        """Names of all packs, relative to the root."""
        return sorted(path.relative_to(self.root).as_posix() for path in self.root.glob("*/*/*.pack"))

    def bodies_of(self, pack: str) -> Iterator[Entry]:
        """Like `entries`, of one pack."""
        return self._scan(self.root / pack)

    def _scan(self, path: Path) -> Iterator[Entry]:
        data = path.read_bytes()
        name = str(path.relative_to(self.root))
        at = 0
        while at < len(data):
            try:
                card, start = _card(data, at)
                if card is None:
                    return
                end = start + card["length"]
                content = self._codec.decompress(data[start:end], decompressed_size=card["bytes"], asbytes=True)
                body = Body(
                    card["upstream"],
                    card["dataset"],
                    card["url"],
                    card["status"],
                    datetime.fromisoformat(card["fetched_at"]),
                    content,
                    card["context"],
                )
                window = Window(*map(date.fromisoformat, card["window"]))
                asked = Asked(card["scope"], window, card["page"], card["pages"], card["batch"])
                entry, told = Entry(body, asked, name, start, end - start), card["sha256"]
            except _DAMAGED as error:
                said = str(error)[:120]
                why = said if type(error) is ValueError else f"unreadable ({type(error).__name__}: {said})"
                raise ArchiveError(f"{path} at {at}: {why}; restore the pack from a backup") from None
            if body.sha256 != told:
                raise ArchiveError(f"{path} at {start}: not the body {told}; restore the pack from a backup")
            yield entry
            at = end


def _card(data: bytes, at: int) -> tuple[dict | None, int]:
    """The card at `at` and where its body starts; None for a torn end (a power cut leaves zeros there).
    Raises ValueError where something else stands."""
    head = data[at : at + _HEAD.size]
    if len(head) < _HEAD.size or not (any(head) or any(data[at:])):
        return None, at
    magic, length = _HEAD.unpack_from(data, at)
    start = at + _HEAD.size + length
    if magic != _SKIPPABLE:
        raise ValueError("no card where one should be")
    if start > len(data):
        return None, at
    card = json.loads(data[at + _HEAD.size : start])
    if card["length"] < 0 or card["bytes"] < 0:
        raise ValueError("a body of less than nothing")
    return (card, start) if start + card["length"] <= len(data) else (None, at)


def _first_fetched(path: Path) -> datetime | None:
    with open(path, "rb") as file:
        head = file.read(_HEAD.size)
        if len(head) < _HEAD.size:
            return None
        try:
            return datetime.fromisoformat(json.loads(file.read(_HEAD.unpack(head)[1]))["fetched_at"])
        except _DAMAGED:
            return datetime.min  # damaged: to be met, and named, by whoever reads the pack
