"""`altflow status`: what counts as late, and what is said of what is not there."""

from datetime import date
from pathlib import Path

import pytest

from orchestration import freshness
from orchestration.commands.sizes import sizes
from orchestration.commands.status import _absent, _dataset
from orchestration.settings import Settings


@pytest.mark.parametrize(
    ("exchange", "newest", "state"),
    [
        ("binance", date(2026, 3, 9), "ok"),
        ("binance", date(2026, 3, 7), "warn"),
        ("binance", date(2026, 3, 6), "FAIL"),
        # Files of OKX come three days later, those of Gate when the month is over.
        ("okx", date(2026, 3, 5), "ok"),
        ("okx", date(2026, 3, 2), "FAIL"),
        ("gate", date(2026, 2, 28), "ok"),
        ("gate", date(2026, 1, 31), "FAIL"),
        (None, date(2026, 3, 6), "FAIL"),
        ("an exchange that was", None, "no data"),
    ],
)
def test_a_day_is_late_when_it_could_be_there(exchange: str | None, newest: date | None, state: str):
    assert freshness.state(exchange, newest, date(2026, 3, 10)) == state


def test_what_is_not_there_is_told_by_exchange():
    okx = {"upstream": "okx", "dataset": "spot_flows"}
    said = [
        okx | {"reason": "file_missing", "count": 1, "start": "2026-01-24", "end": "2026-01-25"},
        okx | {"reason": "not_published_yet", "count": 2, "start": "2026-03-07", "end": "2026-03-10"},
        {"upstream": "binance_usdm", "dataset": "open_interest", "reason": "out_of_reach", "count": 3}
        | {"start": "2026-01-01", "end": "2026-02-01"},
    ]
    assert _absent(said) == {
        "okx": ["file missing: 1 day", "not published yet: 3 days"],
        "binance_usdm": ["open_interest out of reach: 31 days"],
    }


@pytest.mark.parametrize(
    ("frequency", "newest", "late_days"),
    [
        (None, date(2026, 3, 7), 3),
        # M2 of January is published at the end of February: in the middle of April that of February is late.
        ("monthly", date(2026, 1, 1), 0),
        ("monthly", date(2025, 12, 1), 10),
        ("weekly", date(2026, 2, 25), 0),
        # Saturday's and Sunday's value of the funds rate come on Monday.
        ("daily", date(2026, 3, 6), 0),
        ("daily", date(2026, 3, 1), 5),
    ],
)
def test_a_series_is_late_by_its_own_calendar(frequency: str | None, newest: date, late_days: int):
    found = _dataset(("M2SL", "fred", frequency, newest, 1), date(2026, 3, 10))
    assert found.late_days == late_days


def test_a_file_of_ones_own_is_never_late():
    assert _dataset(("imported_caps", "import", None, date(2020, 1, 1), 1), date(2026, 3, 10)).state == ""


def test_room_is_told_by_upstream_and_adds_up(tmp_path: Path):
    data = tmp_path / "data"
    files = {
        "archive/binance/2026-03/run-1.pack": 50,
        "archive/binance/2026-03/run-2.pack": 7,
        "archive/okx/2026-03/run-1.pack": 5,
        "warehouse.duckdb": 100,
        "warehouse.20260301T000000Z.duckdb": 90,
        "published/marts.duckdb": 30,
        "published/parquet.run/claims.parquet": 20,
    }
    for name, size in files.items():
        (data / name).parent.mkdir(parents=True, exist_ok=True)
        (data / name).write_bytes(bytes(size))
    (data / "published" / "parquet").symlink_to("parquet.run")
    found = {size.what: (size.file_count, size.byte_count) for size in sizes(Settings("sandbox", data))}
    assert found["archive of binance"] == (2, 57) and found["archive of okx"] == (1, 5)
    assert found["warehouse and index of bodies"] == (1, 100) and found["warehouses of before"] == (1, 90)
    assert found["published file"] == (1, 30) and found["published Parquet"] == (1, 20)
    assert found["all"] == (7, sum(files.values()))
