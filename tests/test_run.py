"""`altflow run` on the recorded market, from the wire to what analysts read, against an independent computation."""

import json
import shutil
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from tests import recorded
from tests.commandline import altflow, differences

pytestmark = pytest.mark.recorded

HEADLINE = "rolling_365d.ex_btc_eth.usd_pegged.all"
RELATIVE = Decimal("1e-9")
ROWS = 419_518


@pytest.fixture(scope="module")
def data(market: Path) -> Path:
    return recorded.run(market)


@pytest.fixture(scope="module")
def expected(market: Path) -> dict:
    dates = json.loads((market / "EXPECTED.json").read_text())["dates"]
    return {day: groups for day, groups in dates.items() if day <= recorded.LAST_DATE.isoformat()}


def published(data: Path, sql: str) -> list[tuple]:
    with duckdb.connect(str(data / "published" / "marts.duckdb"), read_only=True) as con:
        return con.execute(sql).fetchall()


def assert_close(found: Decimal, expected: str, gross: str) -> None:
    """Equal to 1e-9 of the gross volume of the same window."""
    assert abs(found - Decimal(expected)) <= RELATIVE * Decimal(gross)


def test_the_headline_equals_the_independent_computation(data, expected):
    assert len(expected) == 25
    rows = published(
        data,
        "SELECT utc_date::VARCHAR, net_taker_usd, volume_usd, window_net_taker_usd, window_volume_usd "
        f"FROM daily_altcoin_flow WHERE definition_id = '{HEADLINE}'",
    )
    found = {day: values for day, *values in rows}
    for day, groups in expected.items():
        alt = groups["ALT"]
        net, volume, window_net, window_volume = found[day]
        assert_close(net, alt["net_usd"], alt["gross_usd"])
        assert_close(volume, alt["gross_usd"], alt["gross_usd"])
        assert_close(window_net, alt["net_365d_usd"], alt["gross_365d_usd"])
        assert_close(window_volume, alt["gross_365d_usd"], alt["gross_365d_usd"])


@pytest.mark.parametrize("group", ["ALT", "BTC", "ETH"])
def test_the_control_equals_the_independent_computation(data, expected, group):
    rows = published(
        data,
        "SELECT utc_date::VARCHAR, net_taker_usd, volume_usd, rolling_365d_net_taker_usd, rolling_365d_volume_usd "
        f"FROM daily_control_flow WHERE flow_group = '{group}' AND quotes = 'usd_pegged'",
    )
    found = {day: values for day, *values in rows}
    for day, groups in expected.items():
        figures = groups[group]
        net, volume, rolling_net, rolling_volume = found[day]
        assert_close(net, figures["net_usd"], figures["gross_usd"])
        assert_close(volume, figures["gross_usd"], figures["gross_usd"])
        assert_close(rolling_net, figures["net_365d_usd"], figures["gross_365d_usd"])
        assert_close(rolling_volume, figures["gross_365d_usd"], figures["gross_365d_usd"])


def test_every_recorded_row_is_loaded_or_in_quarantine_with_its_reason(data):
    with duckdb.connect(str(data / "warehouse.duckdb"), read_only=True) as con:
        loaded = con.execute("SELECT count(*) FROM raw.spot_flows").fetchall()[0][0]
        refused = con.execute("SELECT row_key, reason FROM raw.quarantine WHERE table_name = 'spot_flows'").fetchall()
    assert [key for key, _ in refused] == ["binance AUDUSDT 2020-11-13"]
    assert "R4" in refused[0][1]
    assert loaded + len(refused) == ROWS


def test_every_body_that_a_row_cites_is_traced_to_its_url(data):
    lost = published(data, "SELECT count(*) FROM daily_symbol_flows ANTI JOIN source_files USING (body_sha256)")
    urls = published(data, "SELECT count(*) FROM source_files WHERE url NOT LIKE 'https://%' OR status <> 200")
    assert (lost, urls) == ([(0,)], [(0,)])


def test_the_end_of_the_run_says_headline_control_and_what_is_missing(data):
    said = (data.parent / "output.txt").read_text()
    assert "headline 2025-06-14" in said and "-$23.98 B" in said and "-1.13 %" in said
    assert "BTC: -$17.35 B (-2.07 %)" in said and "ETH: -$4.16 B (-0.86 %)" in said
    assert "missing: nothing that was asked for" in said
    assert "SYNTHETIC" not in said


def test_analysts_ask_by_sql_and_status_while_nobody_opens_the_warehouse(data):
    query = f"SELECT window_net_taker_usd FROM daily_altcoin_flow WHERE definition_id = '{HEADLINE}' ORDER BY utc_date"
    asked = altflow("sql", "--source", "recorded", "--csv", query, data=data)
    assert asked.returncode == 0
    assert asked.stdout.splitlines()[0] == "window_net_taker_usd"
    assert asked.stdout.splitlines()[-1].startswith("-23982060663.4992")
    as_json = altflow("sql", "--source", "recorded", "--json", "select 1 as one, null as nothing", data=data)
    assert json.loads(as_json.stdout) == [{"one": 1, "nothing": None}]
    wrong = altflow("sql", "--source", "recorded", "selec", data=data)
    assert wrong.returncode == 1 and "syntax error" in wrong.stderr
    status = altflow("status", "--source", "recorded", data=data)
    assert status.returncode == 0
    assert "2025-06-14" in status.stdout and "binance" in status.stdout and "SYNTHETIC" not in status.stdout


def test_a_folder_belongs_to_one_source(data):
    refused = altflow("run", "--source", "sandbox", data=data)
    assert refused.returncode == 1
    assert "belongs to source recorded" in refused.stderr and "ALTFLOW_DATA_DIR" in refused.stderr


def test_every_archived_body_of_the_run_is_whole(data):
    done = altflow("doctor", "--verify-archive", data=data, settings={"SOURCE": "recorded"})
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.strip().splitlines()[-1].startswith("ok    every body is whole: ")


@pytest.mark.chaos
def test_rebuilt_from_the_archive_alone_the_marts_are_the_same(data: Path, market: Path, tmp_path: Path):
    copy = tmp_path / "data"
    shutil.copytree(data / "archive", copy / "archive")
    done = altflow("rebuild", "--source", "recorded", "--market", str(market), data=copy)
    assert done.returncode == 0, done.stderr[-3000:]
    assert differences(data / "published" / "marts.duckdb", copy / "published" / "marts.duckdb") == []
    assert not (copy / "rebuild").exists()
