"""Archives of trades: which files, each fetched and reduced once, one body per scope and days."""

import hashlib
import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

from orchestration import plan
from orchestration.asking.context import Asking, Known, Listing
from orchestration.load import Fetched
from orchestration.plan_files import LATE_DAYS, Absence, FileJob, file_jobs, restated
from orchestration.reduce import Reduced, Task
from orchestration.sources.body import Absent, Body, SourceError, Window
from orchestration.sources.exchange import Exchange, TradeFiles
from orchestration.sources.http import anything
from orchestration.sources.reduction import Origin, Row, reduction
from orchestration.sources.trades import TradeFile
from orchestration.trade_sums import SIZES, DaySum, merged


def planned(
    asking: Asking, flows: TradeFiles, known: Known, listing: Listing
) -> tuple[list[FileJob], list[Absence], SourceError | None]:
    """Lists the archive and says what to fetch and what is absent; and what kept it from being listed whole."""
    first = max(listing.window.start, flows.first or date.min, known.asked_from or date.min)
    window = Window(min(first, listing.window.end), listing.window.end)
    alive = {symbol.name: symbol.is_trading for symbol in listing.symbols}
    by_scope: dict[str, list[TradeFile]] = {}
    error: SourceError | None = None
    try:
        for file in flows.list_files(asking.http, [symbol.name for symbol in listing.symbols], window, listing.now):
            by_scope.setdefault(file.symbol or "*", []).append(file)
    except SourceError as failed:
        error = failed
    reached = max((answer.end for windows in known.answered.values() for answer in windows), default=None)
    since = window.end - timedelta(days=plan.repull_days(reached, window.end))
    jobs: list[FileJob] = []
    absences: list[Absence] = []
    for scope in by_scope if "*" in by_scope else sorted({*by_scope, *(s for s in alive if alive[s])}):
        files = _tagged(asking, flows, by_scope.get(scope, []), known, since)
        again = restated(files, known.etags, since)
        answered = known.answered.get(scope, [])
        answered = [part for w in answered for part in plan.missing(w, again)] if again else answered
        found, absent = file_jobs(
            scope, window, answered, files, listing.now, flows.due, alive.get(scope, scope == "*"),
            known.given_up.get(scope, ()), flows.has_silent_days, flows.is_listed,
        )  # fmt: skip
        jobs += found
        # What was not listed is not known to be absent.
        absences += absent if error is None else []
    return jobs, absences, error


def _tagged(asking: Asking, flows: TradeFiles, files: list[TradeFile], known: Known, since: date) -> list[TradeFile]:
    """Files whose tag no listing tells, and that may have been restated since they were read, with their tag of now."""
    tagged = []
    for file in files:
        read = next((url for url in (file.url, *file.also) if url in known.etags), None)
        if file.etag is None and read and file.end.date() >= since:
            # That it is gone, or cannot be asked, is no restatement.
            with suppress(SourceError):
                file = replace(file, url=read, etag=asking.http.etag(flows.host, _path(read)))
        tagged.append(file)
    return tagged


@dataclass(frozen=True)
class _Read:
    """A file that was fetched and reduced."""

    reduced: Reduced
    url: str
    etag: str | None
    fetched_at: datetime


class _Files:
    """Fetches and reduces every file once, however many jobs need it."""

    def __init__(self, asking: Asking, name: str, flows: TradeFiles):
        self._asking = asking
        self._name = name
        self._flows = flows
        self._lock = threading.Lock()
        self._read: dict[str, Future[_Read]] = {}
        self._numbers = 0

    def read(self, file: TradeFile) -> _Read:
        """Raises SourceError; Absent where there is no such file."""
        with self._lock:
            future = self._read.get(file.url)
            is_mine = future is None
            if future is None:
                future = self._read[file.url] = Future()
                self._numbers += 1
            number = self._numbers
        if is_mine:
            try:
                future.set_result(self._fetched(file, number))
            except BaseException as error:
                future.set_exception(error)
        return future.result()

    def forget(self, files: Sequence[TradeFile]) -> None:
        with self._lock:
            for file in files:
                self._read.pop(file.url, None)

    def _fetched(self, file: TradeFile, number: int) -> _Read:
        told: SourceError | None = None
        for url in (file.url, *file.also):
            try:
                return self._one(file, url, number)
            except SourceError as error:
                if error.status != 404:
                    raise
                told = error
        assert told is not None
        raise Absent(f"{self._name} {file.url}: not there (HTTP 404)", "file_missing", 404) from None

    def _one(self, file: TradeFile, url: str, number: int) -> _Read:
        covers = (file.start, file.end)
        layout, symbol = self._flows.layout, file.symbol
        name = f"{self._name} {url.rpartition('/')[2]}"
        if self._asking.mirror:
            if {"", ".", ".."} & set(url.removeprefix("https://").split("/")):
                raise SourceError(f"{name}: {url} leads out of ALTFLOW_TRADE_ARCHIVE; not read")
            place = f"{self._asking.mirror.rstrip('/')}/{url.removeprefix('https://')}"
            reduced = self._asking.pool.submit(Task(place, name, layout, symbol, covers)).result()
            return _Read(reduced, url, file.etag, datetime.now(UTC).replace(tzinfo=None))
        self._asking.spool.mkdir(parents=True, exist_ok=True)
        path = self._asking.spool / f"{self._name}-{number}"
        try:
            got = self._asking.http.download(self._flows.host, _path(url), path)
            if file.checksum_url and not self._is_whole(file.checksum_url, path):
                # The file may have been replaced between the two: both once more.
                got = self._asking.http.download(self._flows.host, _path(url), path)
                if not self._is_whole(file.checksum_url, path):
                    raise SourceError(
                        f"{name}: not the file that {file.checksum_url} tells of; it is asked again later"
                    )
            task = Task(str(path), name, layout, symbol, covers, got.sha256)
            return _Read(self._asking.pool.submit(task).result(), url, got.etag or file.etag, got.fetched_at)
        finally:
            path.unlink(missing_ok=True)

    def _is_whole(self, checksum_url: str, path: Path) -> bool:
        """Whether the checksum beside a file is its own: MD5 or SHA-256, in the form of `sha256sum`."""
        text = self._asking.http.get(self._flows.host, _path(checksum_url), wrong=anything).content
        told = text.split()[0].decode("ascii", "replace").lower() if text.split() else ""
        with open(path, "rb") as file:
            return hashlib.file_digest(file, {32: "md5", 64: "sha256"}.get(len(told), "sha256")).hexdigest() == told


def ask_files(asking: Asking, name: str, exchange: Exchange, known: Known, listing: Listing) -> list[Window]:
    """Puts one answer per job, and what is absent. Returns the days that are not published yet."""
    flows = exchange.flows
    assert isinstance(flows, TradeFiles)
    jobs, absences, error = planned(asking, flows, known, listing)
    if error:
        asking.lack(name, "spot_flows", "every symbol", listing.window, error)
    if listing.error and not jobs:
        asking.lack(name, "spot_flows", "every symbol", listing.window, listing.error)
    for absence in absences:
        asking.lack(name, "spot_flows", absence.scope, absence.window, Absent(absence.message, absence.reason))
    unpublished = _unpublished(absences)
    files = _Files(asking, name, flows)
    uses = _last_uses(jobs)
    asking.progress(name, 0, len(jobs))
    done = 0

    def ask(number: int) -> None:
        nonlocal done
        if asking.stop.is_set():
            return
        job = jobs[number]
        item = _answer(asking, name, exchange, files, job, listing.now, flows)
        if item.error and item.error.reason == "not_published_yet":
            unpublished.append(job.window)
        asking.put(item)
        files.forget([file for file in job.files if uses[file.url] <= number])
        done += 1
        asking.progress(name, done, len(jobs))

    with ThreadPoolExecutor(flows.host.connections, thread_name_prefix=name) as pool:
        list(pool.map(ask, range(len(jobs))))
    return unpublished


def unpublished_days(asking: Asking, exchange: Exchange, known: Known, listing: Listing) -> list[Window]:
    """The days that are not published yet, for a run that asks for no files. Raises SourceError where the archive
    cannot be listed."""
    assert isinstance(exchange.flows, TradeFiles)
    _, absences, error = planned(asking, exchange.flows, known, listing)
    if error:
        raise error
    return _unpublished(absences)


def _unpublished(absences: Sequence[Absence]) -> list[Window]:
    return [absence.window for absence in absences if absence.reason == "not_published_yet"]


def _last_uses(jobs: Sequence[FileJob]) -> dict[str, int]:
    return {file.url: number for number, job in enumerate(jobs) for file in job.files}


def _answer(
    asking: Asking, name: str, exchange: Exchange, files: _Files, job: FileJob, now: datetime, flows: TradeFiles
) -> Fetched:
    item = Fetched(name, "spot_flows", job.scope, job.window)
    try:
        item.bodies.append(_body(name, exchange, job, now, [files.read(file) for file in job.files]))
    except Absent as error:
        # A day file that nobody lists is not there; what other days have is asked again by the next run.
        late = now < flows.due(job.window.end - timedelta(days=1)) + timedelta(days=LATE_DAYS)
        item.error = Absent(str(error), "not_published_yet" if late else "file_missing", 404)
    except SourceError as error:
        item.error = error
    return item


def _body(name: str, exchange: Exchange, job: FileJob, now: datetime, read: Sequence[_Read]) -> Body:
    days = merged([one.reduced.sums for one in read])
    assert exchange.pair_of is not None
    rows = [
        row_of(symbol, day, total)
        for (symbol, day), total in days.items()
        if job.window.start <= day < job.window.end and exchange.pair_of(symbol)
    ]
    refused = [
        (text, why, day)
        for one in read
        for text, why, day in one.reduced.refused.rows
        if day is None or job.window.start <= day < job.window.end
    ]
    return reduction(
        name,
        job.scope,
        job.window,
        now,
        max(one.fetched_at for one in read),
        rows,
        [Origin(one.url, one.reduced.sha256, one.reduced.byte_count, one.etag) for one in read],
        refused,
        len(refused) + sum(one.reduced.refused.count - len(one.reduced.refused.rows) for one in read),
        sum(one.reduced.repeated_count for one in read),
    )


def row_of(symbol: str, day: date, total: DaySum) -> Row:
    """A day's sums as a row: sizes by bucket, where the sums hold `of that size and more`."""
    assert total.first and total.last and total.low is not None and total.high is not None
    at_least = [(total.all, total.buys), *zip(total.sized, total.sized_buys, strict=True)]
    sized = []
    for i, (both, bought) in enumerate(at_least):
        more, more_bought = at_least[i + 1] if i < len(SIZES) else (None, None)
        sized.append(
            (
                both.count - (more.count if more else 0),
                both.quote - more.quote if more else both.quote,
                bought.quote - more_bought.quote if more_bought else bought.quote,
            )
        )
    return Row(
        symbol,
        day,
        total.all.count,
        (total.first[2], total.high, total.low, total.last[2]),
        (total.all.base, total.all.quote, total.buys.base, total.buys.quote),
        sized,
        total.screens,
    )


def _path(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path
