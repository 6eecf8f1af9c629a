"""`altflow status --sizes`: how much room a data folder takes, by what. Nothing is opened and no lock is needed."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from orchestration import parquet
from orchestration.archive import Archive
from orchestration.settings import Settings

WAREHOUSE = "warehouse and index of bodies"


@dataclass(frozen=True)
class Size:
    """`what` is a part of the folder; `byte_count` is what its files hold."""

    what: str
    file_count: int
    byte_count: int


def show(settings: Settings, as_json: bool) -> int:
    found = list(sizes(settings))
    if as_json:
        print(json.dumps([asdict(each) for each in found], indent=1))
        return 0
    print(settings.data_dir)
    print(f"{'':<40}{'files':>8}{'MB':>12}")
    for each in found:
        print(f"{each.what:<40}{each.file_count:>8,}{each.byte_count / 1e6:>12,.1f}")
    return 0


def sizes(settings: Settings) -> Iterator[Size]:
    """The archive by upstream, then everything else, then all. What was pruned is told and counts as nothing."""
    data, archive = settings.data_dir, settings.archive_dir
    for upstream in sorted(path for path in archive.glob("*") if path.is_dir()):
        yield _size(f"archive of {upstream.name}", upstream.rglob("*.pack"))
    pruned = list(Archive(archive).pruned())
    if pruned:
        yield Size(f"pruned, {sum(p.byte_count for p in pruned) / 1e6:,.1f} MB before", len(pruned), 0)
    yield _size(WAREHOUSE, data.glob("warehouse.duckdb*"))
    yield _size("warehouses of before", data.glob("warehouse.*Z.duckdb*"))
    yield _size("published file", settings.published_dir.glob("marts.duckdb"))
    yield _size("published Parquet", parquet.files(settings.published_dir / "parquet"))
    yield _size("briefs", (data / "brief").rglob("*"))
    yield _size("Dagster's runs", settings.dagster_home.rglob("*"))
    # Parquet is behind a symlink, which nobody follows here: each file counts once.
    yield _size("all", data.rglob("*"))


def _size(what: str, paths: "Iterator[Path]") -> Size:
    found = [path.stat().st_size for path in paths if path.is_file() and not path.is_symlink()]
    return Size(what, len(found), sum(found))
