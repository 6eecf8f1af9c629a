"""An API that reaches back a day and no further: closed days are put together from runs less than a day apart."""

import json
import threading
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from orchestration.asking import open_days
from orchestration.asking.context import FOREVER, Asking, Known, Listing
from orchestration.asking.pages import ask_pages
from orchestration.load import Fetched
from orchestration.plan import Symbol
from orchestration.sources import bitstamp
from orchestration.sources.body import Absent, Window
from orchestration.sources.http import Answer
from orchestration.sources.reduction import origins

EPOCH = datetime(1970, 1, 1)
DAY = date(2026, 3, 1)


def at(hour: float, day: date = DAY) -> datetime:
    return datetime(day.year, day.month, day.day) + timedelta(hours=hour)


# One trade every half hour from the day's first second on, for three days; id, time, size: buys and sells in turn.
TRADES = [(1000 + n, at(n / 2), n + 1) for n in range(144)]


class Bitstamp:
    """Stands for `Http`: the last 24 hours before `now`, newest first."""

    def __init__(self, now: datetime):
        self.now = now

    def get(self, host: Any, path: str, params: Any = None, weight: float = 1, wrong: Any = None) -> Answer:
        if "transactions" not in path:
            return self._said(host, path, self._clock())
        rows = [
            {
                "tid": str(i),
                "date": str(int((when - EPOCH).total_seconds())),
                "price": "10",
                "amount": str(size),
                "type": str(i % 2),
            }
            for i, when, size in TRADES
            if self.now - timedelta(days=1) <= when <= self.now
        ]
        return self._said(host, path, rows[::-1])

    def _clock(self) -> dict:
        return {"server_time": int((self.now - EPOCH).total_seconds())}

    def _said(self, host: Any, path: str, content: object) -> Answer:
        return Answer(f"https://{host.hosts[0]}{path}", 200, json.dumps(content).encode(), self.now)


def run(folder: Path, now: datetime, answered_to: date | None = None, monkeypatch=None) -> list[Fetched]:
    """One run at `now`, whose closed days end with yesterday; what it put."""
    put: list[Fetched] = []
    window = Window(DAY, now.date())
    http: Any = Bitstamp(now)
    nobody: Any = None
    asking = Asking(http, window, put.append, lambda *_: None, threading.Event(), folder, nobody, folder)
    known = Known(answered={"btcusd": [Window(DAY - timedelta(days=1), answered_to)]} if answered_to else {})
    listing = Listing(Fetched("bitstamp", "spot_symbols", "", FOREVER), [Symbol("btcusd", True)], now, window)
    ask_pages(asking, "bitstamp", bitstamp.EXCHANGE, known, listing)
    return put


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """The source asks its upstream's clock after each page; here it is the same."""
    monkeypatch.setattr(bitstamp, "_clock", lambda http: http.now)


def only_row(put: list[Fetched]) -> dict[str, Any]:
    (item,) = put
    assert item.error is None, item.error
    content = item.bodies[0].data
    (row,) = content["rows"]
    return dict(zip(content["columns"], row, strict=True))


def of_day(day: date) -> tuple[int, Decimal, Decimal]:
    """Count, both sides and bought by takers (type 0) of one day, in the quote asset."""
    sizes = [(size, i % 2 == 0) for i, when, size in TRADES if when.date() == day]
    return len(sizes), Decimal(10 * sum(s for s, _ in sizes)), Decimal(10 * sum(s for s, buy in sizes if buy))


def told(row: dict[str, Any]) -> tuple[int, Decimal, Decimal]:
    return row["trade_count"], Decimal(row["volume_quote"]), Decimal(row["taker_buy_quote"])


def test_a_day_is_what_the_run_before_saw_and_what_came_since(tmp_path: Path):
    assert run(tmp_path, at(10.5), answered_to=DAY) == [], "nothing is closed yet"
    put = run(tmp_path, at(24.5), answered_to=DAY)
    row = only_row(put)
    assert told(row) == of_day(DAY) == (48, Decimal(11760), Decimal(5760))
    files = origins(put[0].bodies[0].context)
    assert len(files) == 2, "both answers are named"
    # And the day after goes on from there.
    assert run(tmp_path, at(34), answered_to=DAY + timedelta(days=1)) == []
    second = run(tmp_path, at(48.5), answered_to=DAY + timedelta(days=1))
    assert told(only_row(second)) == of_day(DAY + timedelta(days=1))


def test_a_run_that_was_not_stored_loses_nothing(tmp_path: Path):
    """Its answer never reached the warehouse: the next one gives it again."""
    run(tmp_path, at(10.5), answered_to=DAY)
    first = only_row(run(tmp_path, at(24.5), answered_to=DAY))
    again = only_row(run(tmp_path, at(34), answered_to=DAY))
    assert told(first) == told(again) == of_day(DAY)


def test_many_runs_a_day_count_no_trade_twice(tmp_path: Path):
    for hour in (1, 1, 3.25, 10.5, 10.5, 17, 23.9):
        run(tmp_path, at(hour), answered_to=DAY)
    assert told(only_row(run(tmp_path, at(24.1), answered_to=DAY))) == of_day(DAY)


def test_a_day_between_runs_too_far_apart_is_out_of_reach_and_the_next_is_not(tmp_path: Path):
    run(tmp_path, at(10.5), answered_to=DAY)
    (lost,) = run(tmp_path, at(36), answered_to=DAY)
    assert isinstance(lost.error, Absent) and lost.error.reason == "out_of_reach" and not lost.bodies
    found = run(tmp_path, at(50), answered_to=DAY + timedelta(days=1))
    assert told(only_row(found)) == of_day(DAY + timedelta(days=1))


def test_a_file_that_cannot_be_read_costs_a_day_and_no_more(tmp_path: Path):
    run(tmp_path, at(10.5), answered_to=DAY)
    (tmp_path / "bitstamp.json").write_text('{"btcusd": {"2026-03-01"')
    (lost,) = run(tmp_path, at(24.5), answered_to=DAY)
    assert isinstance(lost.error, Absent)
    assert told(only_row(run(tmp_path, at(48.25), answered_to=DAY + timedelta(days=1))))[0] == 48


def test_what_is_kept_is_read_as_it_was_written(tmp_path: Path):
    run(tmp_path, at(10.5), answered_to=DAY)
    path = tmp_path / "bitstamp.json"
    kept = open_days.load(path)
    open_days.save(tmp_path / "again.json", kept)
    assert open_days.load(tmp_path / "again.json") == kept and kept["btcusd"][DAY].total is not None
