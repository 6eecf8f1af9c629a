"""`altflow prune`: removes old packs of the archive, and says which; no run does it by itself."""

import argparse
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from orchestration import settings as settings_module
from orchestration.archive import Archive
from orchestration.commands import FAILED, USAGE
from orchestration.warehouse import Lock, Warehouse, WarehouseError


@dataclass(frozen=True)
class Old:
    """A pack whose bodies are all old enough; `cited_count`: how many of them rows were read from."""

    pack: str
    byte_count: int
    body_count: int
    cited_count: int


def main(args: argparse.Namespace) -> int:
    settings = settings_module.load_for_reading(args.source)
    days = args.keep_days or settings.keep_days
    if not days:
        print("altflow prune: all bodies are kept; say how long with --keep-days or ALTFLOW_KEEP_DAYS", file=sys.stderr)
        return USAGE
    if not settings.warehouse_path.exists():
        print(f"altflow prune: no warehouse in {settings.data_dir} to tell which bodies are cited", file=sys.stderr)
        return FAILED
    with Lock(settings.lock_path):
        try:
            now = datetime.now(UTC).replace(tzinfo=None)
            archive, cited = Archive(settings.archive_dir), Warehouse(settings.warehouse_path).cited_bodies()
            old = old_packs(archive, cited, now - timedelta(days=days))
            chosen = [pack for pack in old if args.cited or not pack.cited_count]
            for pack in chosen:
                if not args.dry_run:
                    archive.prune(pack.pack, cited.get(pack.pack, ()), now)
                size = f"{pack.byte_count / 1e6:,.1f} MB"
                print(f"{pack.pack}: {pack.body_count:,} bodies, {size}, {pack.cited_count:,} cited")
        except (WarehouseError, OSError) as error:
            print(f"altflow prune: {error}", file=sys.stderr)
            return FAILED
    done = "would be pruned" if args.dry_run else "pruned"
    print(f"{len(chosen):,} packs {done}, {sum(pack.byte_count for pack in chosen) / 1e6:,.1f} MB")
    kept = [pack for pack in old if pack not in chosen]
    if kept:
        print(
            f"{len(kept):,} packs of the same age kept, {sum(pack.byte_count for pack in kept) / 1e6:,.1f} MB: rows "
            "were read from them (--cited removes them, too: these rows stay and cannot be traced or rebuilt any more)"
        )
    return 0


def old_packs(archive: Archive, cited: Mapping[str, set[str]], before: datetime) -> list[Old]:
    """The packs all of whose bodies were fetched before `before`."""
    found = []
    for pack in archive.packs():
        cards = [card for card, _ in archive.cards(pack)]
        if cards and max(datetime.fromisoformat(card["fetched_at"]) for card in cards) < before:
            size = (archive.root / pack).stat().st_size
            found.append(Old(pack, size, len(cards), len(cited.get(pack, ()))))
    return found
