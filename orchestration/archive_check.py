"""Every body of the archive against its SHA-256 and against the index, pack by pack."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from orchestration.archive import Archive, ArchiveError, Pruned


@dataclass
class Pack:
    """What was found in one pack. `name`: below the archive's folder, `<upstream>/<yyyy-mm>/<run id>.pack`.

    `broken`: why bodies that the index names cannot be read; `missing_count`: bodies that the index names and that are
    not there; `orphan_count`: whole bodies that the index does not name; sizes in bytes."""

    name: str
    byte_count: int = 0
    body_count: int = 0
    unpacked_count: int = 0
    broken: list[str] = field(default_factory=list)
    missing_count: int = 0
    pruned_count: int = 0
    pruned: Pruned | None = None
    orphan_count: int = 0
    damage: str | None = None
    """where the pack itself can be read no further"""

    @property
    def is_whole(self) -> bool:
        return not (self.broken or self.missing_count or self.damage)

    @property
    def folder(self) -> tuple[str, str]:
        """Upstream and month."""
        upstream, month, _ = self.name.split("/")
        return upstream, month


def check(archive: Archive, index: pa.Table, progress: Callable[[str, int, int], None]) -> list[Pack]:
    """Reads every body once. `index`: rows of raw.source_files. A body that several packs hold is named once by the
    index; the others repeat it and are no orphans."""
    named: dict[str, list[dict]] = {}
    for row in index.select(["body_sha256", "byte_count", "pack", "pack_offset", "pack_length"]).to_pylist():
        named.setdefault(row["pack"], []).append(row)
    known = set(index["body_sha256"].to_pylist())
    names = sorted(named.keys() | set(archive.packs()))
    pruned = {each.pack: each for each in archive.pruned()}
    found = []
    for done, name in enumerate(names, 1):
        found.append(_pack(archive, name, named.get(name, ()), known, pruned.get(name)))
        progress("packs", done, len(names))
    return found


def _pack(archive: Archive, name: str, rows: Sequence[dict], known: set[str], pruned: Pruned | None) -> Pack:
    pack, path = Pack(name, pruned=pruned), archive.root / name
    if pruned:
        pack.pruned_count = sum(row["body_sha256"] in pruned.bodies for row in rows)
        pack.missing_count = len(rows) - pack.pruned_count
        return pack
    if not path.is_file():
        pack.missing_count = len(rows)
        return pack
    pack.byte_count = path.stat().st_size
    seen: dict[int, str] = {}
    try:
        for entry in archive.bodies_of(name):
            seen[entry.offset] = entry.body.sha256
            pack.body_count += 1
            pack.unpacked_count += len(entry.body.content)
            pack.orphan_count += entry.body.sha256 not in known
    except (ArchiveError, OSError) as error:
        pack.damage = str(error)
    for row in rows:
        if seen.get(row["pack_offset"]) == row["body_sha256"]:
            continue
        if row["pack_offset"] + row["pack_length"] > pack.byte_count:
            pack.missing_count += 1
            continue
        try:
            # It lies behind what is damaged, where no card leads to it.
            archive.read(name, row["pack_offset"], row["pack_length"], row["byte_count"], row["body_sha256"])
            pack.body_count += 1
            pack.unpacked_count += row["byte_count"]
        except ArchiveError as error:
            pack.broken.append(str(error))
    return pack
