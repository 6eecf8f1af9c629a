"""Binance's archive of USD-M futures, data.binance.vision: bars, metrics of every five minutes, depth of the book.

https://github.com/binance/binance-public-data: a zip of one CSV per symbol and day, on the next morning. Metrics are
kept as received (10 kB a day) and summed up when they are read; looks at the book (some 500 kB a day) are reduced to
their medians where they are fetched, and what is kept names every file by its SHA-256.

A listing says of every file its MD5, so the checksum beside it, a second request, is asked for only where they differ.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import date, datetime, timedelta
from functools import partial
from urllib.parse import quote

from orchestration.records import PERPETUAL_DEPTH, PERPETUAL_FLOWS, PERPETUAL_METRICS
from orchestration.sources import binance_vision
from orchestration.sources.binance_usdm_days import DayDepth, day_depth, parse_depth, parse_metrics, written
from orchestration.sources.binance_vision import BUCKET, HOST, LISTING, Tree, checked
from orchestration.sources.body import Absent, Body, SourceError, Window
from orchestration.sources.bucket import Listed, list_bucket
from orchestration.sources.exchange import Lacking, Series, Spare
from orchestration.sources.http import Http, anything
from orchestration.sources.reduction import Origin

NAME = "binance_usdm"
ROOT = "data/futures/um/"
BARS = Tree(ROOT, NAME, PERPETUAL_FLOWS.table)
METRICS_FIRST, DEPTH_FIRST = date(2020, 9, 1), date(2023, 1, 1)
NEWEST_DAYS = 35
"""asked for where a run does not name its first day: a file for every symbol and day is not cheap"""
DAYS_TOGETHER = NEWEST_DAYS
AWAITED = timedelta(days=2)
"""after the end of a day its files may still come"""
_MD5 = re.compile("[0-9a-f]{32}")


def context_of(symbol: str, window: Window, now: datetime) -> dict[str, str]:
    """What a body does not say itself: whose days were asked for, and the exchange's clock."""
    return {
        "symbol": symbol,
        "start": window.start.isoformat(),
        "end": window.end.isoformat(),
        "now": now.isoformat(),
    }


def fetch_metrics(http: Http, symbol: str, window: Window, now: datetime) -> Iterator[Body | Lacking]:
    """Yield the files of the days [start, end) that are there, each an answer of its own, and what lacks."""
    tree = Tree(ROOT, NAME, PERPETUAL_METRICS.table)
    for day, found in _days(http, "metrics", symbol, window, now):
        yield found if isinstance(found, Lacking) else _file(http, found, symbol, day, now, tree)


def fetch_depth(http: Http, symbol: str, window: Window, now: datetime) -> Iterator[Body | Lacking]:
    """Yield bodies of medians, each of days that follow each other, reduced from the files of the days [start, end)
    that are there, and what lacks."""
    tree = Tree(ROOT, NAME, PERPETUAL_DEPTH.table)
    run: list[tuple[Body, DayDepth]] = []
    for day, found in _days(http, "bookDepth", symbol, window, now):
        file = found if isinstance(found, Lacking) else _file(http, found, symbol, day, now, tree)
        if isinstance(file, Body):
            try:
                run.append((file, day_depth(file)))
                continue
            except SourceError as error:
                file = Lacking(_one(day), error)
        if run:
            yield _reduced(run, symbol, now)
            run = []
        yield file
    if run:
        yield _reduced(run, symbol, now)


def _reduced(run: Sequence[tuple[Body, DayDepth]], symbol: str, now: datetime) -> Body:
    """The body that stands for the files of some days; the same files give the same bytes."""
    files, days = zip(*run, strict=True)
    origins = [Origin(file.url, file.sha256, len(file.content), file.context.get("md5")) for file in files]
    window = Window(days[0].day, days[-1].day + timedelta(days=1))
    context = context_of(symbol, window, now) | {"files": json.dumps([asdict(o) for o in origins], sort_keys=True)}
    fetched_at = max(file.fetched_at for file in files)
    return Body(NAME, PERPETUAL_DEPTH.table, files[0].url, 200, fetched_at, written(days), context)


def _days(http: Http, kind: str, symbol: str, window: Window, now: datetime) -> Iterator[tuple[date, Listed | Lacking]]:
    """The days of `window` with their files, and those that lack one; before a symbol's first file nothing lacks."""
    listed = _listed(http, kind, symbol, window)
    first = min(listed, default=None)
    day = window.start
    while day < window.end:
        is_awaited = now < datetime.combine(day, datetime.min.time()) + timedelta(days=1) + AWAITED
        if day in listed:
            yield day, listed[day]
        elif is_awaited or (first and day > first):
            reason = "not_published_yet" if is_awaited else "file_missing"
            yield day, Lacking(_one(day), Absent(f"{NAME} {symbol} {kind} {day}: no file (yet)", reason))
        day += timedelta(days=1)


def _listed(http: Http, kind: str, symbol: str, window: Window) -> dict[date, Listed]:
    """Day → file. Raises SourceError where the bucket does not list."""
    stem = f"{ROOT}daily/{kind}/{symbol}/{symbol}-{kind}-"
    found: dict[date, Listed] = {}
    for listed in list_bucket(http, LISTING, BUCKET, stem, stem + window.start.isoformat()):
        name = re.fullmatch(r"(\d{4}-\d{2}-\d{2})\.zip", listed.key.removeprefix(stem))
        try:
            day = date.fromisoformat(name[1]) if name else None
        except ValueError:
            continue
        if day and day >= window.end:
            break
        if day:
            found[day] = listed
    return found


def _file(http: Http, listed: Listed, symbol: str, day: date, now: datetime, tree: Tree) -> Body | Lacking:
    """The zip as received, when it is what its listing says, else what its checksum says; one that is neither, or is
    gone, lacks alone. Raises SourceError where nothing is answered."""
    try:
        answer = http.get(HOST, f"/{quote(listed.key)}", wrong=anything)
    except SourceError as error:
        if error.status != 404:
            raise
        return Lacking(_one(day), Absent(str(error), "file_missing", 404))
    context, told = context_of(symbol, _one(day), now), listed.etag or ""
    if _MD5.fullmatch(told) and hashlib.md5(answer.content).hexdigest() == told:
        context |= {"form": "zip", "md5": told}
        return Body(tree.upstream, tree.dataset, answer.url, answer.status, answer.fetched_at, answer.content, context)
    try:
        return checked(http, listed.key, context, tree)
    except SourceError as error:
        return Lacking(_one(day), error)


def _one(day: date) -> Window:
    return Window(day, day + timedelta(days=1))


def _no_symbols(http: Http) -> Iterator[Body]:
    """Nobody is followed whom the API does not list."""
    yield from ()


SPARE = Spare(HOST, _no_symbols, binance_vision.names, partial(binance_vision.fetch, tree=BARS), binance_vision.end_of)
METRICS = Series(
    PERPETUAL_METRICS.table,
    HOST,
    fetch_metrics,
    parse_metrics,
    METRICS_FIRST,
    newest_days=NEWEST_DAYS,
    days_together=DAYS_TOGETHER,
)
DEPTH = Series(
    PERPETUAL_DEPTH.table,
    HOST,
    fetch_depth,
    parse_depth,
    DEPTH_FIRST,
    newest_days=NEWEST_DAYS,
    days_together=DAYS_TOGETHER,
)
