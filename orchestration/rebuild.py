"""The raw tables made anew from the archive alone: no upstream is asked.

The archived bodies go through the same parsers, the same checks and the same transactions as when they
were fetched, in the same order and the same batches, so that the tables end up the same: history,
quarantine and the index of bodies too. What the archive cannot know starts anew: load ids, times of
loading, gaps and what was published.
"""

from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path

from orchestration.archive import Archive, Entry
from orchestration.expectations.validator import Validator
from orchestration.load import Fetched, Loaded, Loader
from orchestration.settings import Settings
from orchestration.sources.body import Window
from orchestration.warehouse import Gap, Shrunk, Warehouse


class RebuildError(Exception):
    """Nothing was rebuilt; the message says why and what to do."""


Progress = Callable[[int, int], None]
"""called with the bytes of the archive that are loaded, and all of them"""


def rebuild(
    archive: Archive,
    target: Path,
    settings: Settings,
    validator: Validator,
    run_id: str,
    code_version: str,
    progress: Progress = lambda done, total: None,
) -> list[Loaded]:
    """Fills a new warehouse at `target` and returns what every batch did. `run_id` names the run that is
    noted at the end, for dbt to build on; rows keep the runs that fetched them.

    Raises RebuildError where `target` exists, the archive is empty or lacks cited bodies, ArchiveError where it is
    damaged."""
    if target.exists():
        raise RebuildError(f"{target} exists; rebuild into a new file, then put that in its place")
    try:
        return _replay(archive, Warehouse(target), settings, validator, run_id, code_version, progress)
    except BaseException:
        for path in (target, target.with_name(f"{target.name}.wal")):
            path.unlink(missing_ok=True)
        raise


def _replay(
    archive: Archive,
    warehouse: Warehouse,
    settings: Settings,
    validator: Validator,
    run_id: str,
    code_version: str,
    progress: Progress,
) -> list[Loaded]:
    lacking = [each for each in archive.pruned() if each.cited_count]
    if lacking:
        raise RebuildError(
            f"{sum(each.cited_count for each in lacking):,} bodies that rows were read from were pruned, e.g. with "
            f"{lacking[0].pack} on {lacking[0].pruned_at:%Y-%m-%d}: the archive alone does not make these tables any "
            "more; keep the warehouse and its backups"
        )
    warehouse.prepare(settings)
    loader = Loader(warehouse, validator)
    done: list[Loaded] = []
    days: list[Window] = []
    total, reached = sum((archive.root / pack).stat().st_size for pack in archive.packs()), 0
    for fetched_by, entries in _batches(archive):
        reached += sum(entry.length for entry in entries)
        progress(reached, total)
        answers = _answers(entries)
        items = [_fetched(pages) for pages in answers]
        loaded = Loaded(entries[0].body.dataset)
        done.append(loaded)
        if not items:
            continue
        part = loader.read(items)
        for item in items:
            if item.error:
                # It was understood when it was fetched: the parser has become stricter since.
                raise RebuildError(f"{entries[0].pack}: {item.error}; rebuild with the altflow that fetched it")
        try:
            loader.commit([part], [entry for pages in answers for entry in pages], fetched_by, loaded)
        except Shrunk as error:
            # Refused then, refused now; then it was a gap of that run.
            gaps = [Gap(i.upstream, i.dataset, i.scope, i.window, "failed", str(error)) for i in items]
            loaded.gaps += gaps
            warehouse.note_gaps(fetched_by, gaps)
        days += [item.window for item in items if loaded.dataset == "spot_flows"]
    if not done:
        raise RebuildError(f"no body in {archive.root}: nothing to rebuild from")
    first = min((window.start for window in days), default=settings.start)
    last = max((window.end for window in days), default=settings.start)
    warehouse.begin_run(run_id, settings, Window(first, last), code_version)
    progress(total, total)
    return done


def _batches(archive: Archive) -> Iterator[tuple[str, list[Entry]]]:
    """What went into one transaction, in the order of the transactions, with the run that fetched it."""
    for (pack, _), entries in groupby(archive.entries(), key=lambda entry: (entry.pack, entry.asked.batch)):
        yield Path(pack).stem, list(entries)


def _answers(entries: list[Entry]) -> list[list[Entry]]:
    """The pages of every whole answer of a batch. One whose last pages are torn off was never loaded: it
    would look like fewer rows."""
    answers: list[list[Entry]] = []
    for entry in entries:
        if entry.asked.page == 0:
            answers.append([])
        answers[-1].append(entry)
    return [pages for pages in answers if len(pages) == pages[0].asked.pages]


def _fetched(pages: list[Entry]) -> Fetched:
    body, asked = pages[0].body, pages[0].asked
    return Fetched(body.upstream, body.dataset, asked.scope, asked.window, [entry.body for entry in pages])
