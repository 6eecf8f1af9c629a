"""`altflow doctor --verify-archive`: whether every body is there and whole, and how large the archive is."""

import argparse
import sys
from collections.abc import Sequence

from orchestration import archive_check
from orchestration import settings as settings_module
from orchestration.archive import Archive
from orchestration.archive_check import Pack
from orchestration.commands import FAILED
from orchestration.commands.progress_bar import ProgressBar
from orchestration.warehouse import Lock, Warehouse

TO_DO = "restore the pack from a backup; what only it held can be asked for again, but not be traced"


def main(args: argparse.Namespace) -> int:
    """Exit code 1 where a body is broken or missing."""
    settings = settings_module.load_for_reading(args.source or ("recorded" if args.market else None))
    if not settings.warehouse_path.exists():
        print(f"altflow doctor: no warehouse in {settings.data_dir}: run `altflow run` first", file=sys.stderr)
        return FAILED
    with Lock(settings.lock_path):
        index = Warehouse(settings.warehouse_path).read("FROM raw.source_files")
        with ProgressBar(quiet=False) as progress:
            packs = archive_check.check(Archive(settings.archive_dir), index, progress)
    print(f"archive {settings.archive_dir}")
    for line in (*sizes(packs), *findings(packs)):
        print(line)
    return 0 if all(pack.is_whole for pack in packs) else FAILED


def sizes(packs: Sequence[Pack]) -> list[str]:
    """A line per upstream and month, and one for all."""
    totals: dict[tuple[str, str], list[int]] = {}
    for pack in packs:
        for key in (pack.folder, ("all", "")):
            total = totals.setdefault(key, [0, 0, 0])
            for place, count in enumerate((pack.body_count, pack.byte_count, pack.unpacked_count)):
                total[place] += count
    lines = [f"{'upstream':<24}{'month':<9}{'bodies':>10}{'MB packed':>12}{'MB unpacked':>13}"]
    for (upstream, month), (bodies, packed, unpacked) in sorted(
        totals.items(), key=lambda each: (each[0][0] == "all", each)
    ):
        lines.append(f"{upstream:<24}{month:<9}{bodies:>10,}{packed / 1e6:>12,.1f}{unpacked / 1e6:>13,.1f}")
    return lines


def findings(packs: Sequence[Pack]) -> list[str]:
    """What is wrong, by pack, with what to do; one line where nothing is."""
    lines = []
    for pack in packs:
        if pack.missing_count:
            lines.append(f"FAIL  {pack.name}: {pack.missing_count:,} bodies missing; {TO_DO}")
        if pack.broken:
            lines.append(f"FAIL  {pack.name}: {len(pack.broken):,} bodies broken, e.g. {pack.broken[0]}; {TO_DO}")
        elif pack.damage:
            lines.append(f"FAIL  {pack.name}: damaged: {pack.damage}")
        if pack.pruned and pack.pruned_count:
            cited = (
                f"{pack.pruned.cited_count:,} of them were cited by rows"
                if pack.pruned.cited_count
                else "no row cited them"
            )
            lines.append(f"note  {pack.name}: {pack.pruned_count:,} bodies {pack.pruned.refusal()}; {cited}")
        if pack.orphan_count:
            why = "a run was killed before it committed them, or their answer was refused"
            lines.append(f"note  {pack.name}: {pack.orphan_count:,} bodies that no row cites; {why}; nothing to do")
    if all(pack.is_whole for pack in packs):
        there = [pack for pack in packs if not pack.pruned]
        lines.append(f"ok    every body is whole: {sum(pack.body_count for pack in there):,} in {len(there):,} packs")
    return lines
