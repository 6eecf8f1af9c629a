"""Exchanges that are followed later than others, histories that become longer: what is asked for, from which day on."""

import json
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from pathlib import Path

import duckdb
import pytest

from orchestration import status
from orchestration.builder import Builder
from orchestration.expectations.validator import Validator
from orchestration.run import Companions, Upstreams, open_run
from orchestration.settings import Settings
from tests.commandline import altflow
from tests.test_faults import sandbox

START, MIDDLE, LATER, NOW = (date(2023, 2, day) for day in (2, 4, 6, 9))
MARKET = ("--size", "12", "--now", NOW.isoformat(), "--weight-limit", "0")


# --- where a run begins --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("noted", "begins"),
    [
        ({}, None),
        ({"incomplete_from": "2023-02-08"}, None),
        ({"binance": "2023-02-08", "okx": "2023-02-05"}, date(2023, 2, 5)),
        ({"binance": "2023-02-08", "okx": None}, date(2023, 2, 8)),
        ({"binance": None, "okx": None}, START),
        ({"binance": "2023-02-08"}, START),
        ({"binance": "2023-02-08", "okx": "2023-02-07", "bybit": "2023-02-03"}, date(2023, 2, 7)),
    ],
    ids=[
        "first run",
        "older altflow",
        "least",
        "only pages",
        "only pages at all",
        "new exchange",
        "no longer followed",
    ],
)
def test_a_run_begins_where_something_is_lacking(tmp_path: Path, noted: dict, begins: date | None):
    settings = Settings("sandbox", tmp_path, start=START, exchanges=("binance", "okx"))
    is_known = noted and "incomplete_from" not in noted
    status.note(
        settings, **{"exchanges_incomplete_from": noted, "history_from": START.isoformat()} if is_known else noted
    )
    assert status.incomplete_from(settings) == begins


def test_an_archive_that_an_older_altflow_began_late_stays_so(tmp_path: Path):
    """Else the first run after an upgrade would fetch a hundred gigabytes that nobody asked for."""
    settings = Settings("sandbox", tmp_path, start=START, exchanges=("okx",))
    assert status.asked_to_the_end(settings) == set()
    status.note(settings, incomplete_from="2023-02-08")
    assert "okx" in status.asked_to_the_end(settings)
    status.note(settings, exchanges_incomplete_from={"binance": "2023-02-08"})
    assert status.asked_to_the_end(settings) == {"binance"}


def test_a_run_begins_anew_where_history_is_to_be_longer(tmp_path: Path):
    days, reached, longer = {"binance": "2023-02-08"}, date(2023, 2, 8), date(2022, 12, 31)
    for start, begins in ((START, reached), (longer, longer), (LATER, reached)):
        settings = Settings("sandbox", tmp_path, start=start, exchanges=("binance",))
        status.note(settings, exchanges_incomplete_from=days, history_from=START.isoformat())
        assert status.incomplete_from(settings) == begins


# --- what an archive is asked for ----------------------------------------------------------------


@pytest.fixture(scope="module")
def validator() -> Iterator[Validator]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Validator, "close", lambda self: None)
        yield Validator.start()


def load(
    settings: Settings,
    validator: Validator,
    start: date | None = None,
    streams: Sequence[str] = ("spot_symbols", "spot_flows"),
    **options,
) -> list[dict]:
    companions = Companions(validator, Upstreams(settings.upstreams), Builder(settings))
    run_id, tables = f"run {start} {streams} {options}", {"spot_symbols", "spot_flows"}
    with open_run(settings, run_id, tables, start, NOW, companions=companions, **options) as run:
        for stream in streams:
            run.ingest.load(stream)
        return run.warehouse.gaps(run_id)


def first_day(settings: Settings) -> date:
    with duckdb.connect(str(settings.warehouse_path), read_only=True) as con:
        return con.execute("SELECT min(utc_date) FROM raw.spot_flows").fetchall()[0][0]


def test_an_archive_is_asked_from_the_first_day_that_was_asked_of_it(tmp_path: Path, validator: Validator):
    with sandbox(*MARKET) as url:
        settings = Settings("sandbox", tmp_path, start=START, exchanges=("kucoin",), upstreams=url)
        assert load(settings, validator, LATER, is_start_named=True) == []
        assert first_day(settings) == LATER
        assert status.incomplete_from(settings) in (NOW, NOW - timedelta(days=1))
        # Somebody else's gaps, or a new exchange, make the window longer, but not what this one is asked for.
        assert load(settings, validator) == []
        assert first_day(settings) == LATER
        # Months that somebody chose.
        assert load(settings, validator, MIDDLE, goes_back=True) == []
        assert first_day(settings) == MIDDLE
        # A first run that is stopped may leave later days stored, and notes nothing: what it lacks is asked for.
        (tmp_path / "published" / "status.json").unlink()
        load(settings, validator, MIDDLE, streams=("spot_symbols",))
        assert status.incomplete_from(settings) == START
        assert load(settings, validator) == []
        assert first_day(settings) == START


def test_an_archive_that_did_not_answer_lacks_all_days(tmp_path: Path, validator: Validator):
    with sandbox(*MARKET, "--faults", "kucoin:500") as url:
        settings = Settings("sandbox", tmp_path, start=START, exchanges=("kucoin", "binance"), upstreams=url)
        assert {gap["upstream"] for gap in load(settings, validator)} == {"kucoin"}
        assert status.incomplete_from(settings) == START


# --- the command ---------------------------------------------------------------------------------


@pytest.mark.chaos
def test_an_exchange_that_is_named_later_is_asked_for_its_history(tmp_path: Path):
    data = tmp_path / "data"
    end = (NOW - timedelta(days=1)).isoformat()
    with sandbox(*MARKET) as url:
        told = {"UPSTREAMS": url, "START": START.isoformat()}
        for exchanges in ("binance", "binance kucoin binance_us"):
            done = altflow(
                "run", "--source", "sandbox", "--end", end, data=data, settings=told | {"EXCHANGES": exchanges}
            )
            assert done.returncode == 0, done.stdout + done.stderr
    with duckdb.connect(str(data / "published" / "marts.duckdb"), read_only=True) as con:
        found = con.execute("SELECT exchange, min(utc_date) FROM daily_symbol_flows GROUP BY 1").fetchall()
    assert dict(found) == {"binance": START, "kucoin": START, "binance_us": START}
    assert json.loads((data / "published" / "status.json").read_text())["gaps"] == []
