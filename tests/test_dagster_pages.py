"""What Dagster's UI shows: layers as groups, what a row is, how fresh, the headline, the rows that a check found."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

import dagster as dg
import pytest

from orchestration import definitions
from orchestration.defs.published import _shown
from orchestration.expectations.report import Failure, Report
from orchestration.headline import sparkline
from orchestration.marts import Headline
from orchestration.settings import Settings


@pytest.fixture(scope="module")
def specs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dg.AssetSpec]:
    settings = Settings(source="sandbox", data_dir=tmp_path_factory.mktemp("data"))
    built = definitions.build(lambda: settings)
    return {spec.key.to_user_string(): spec for spec in built.resolve_all_asset_specs()}


def test_groups_are_the_layers(specs):
    layers = {"raw", "seeds", "staging", "intermediate", "marts", "quality", "published"}
    assert {spec.group_name for spec in specs.values()} == layers
    # Two seeds are published as they are.
    in_layer = {key: key.partition("/")[0] for key, spec in specs.items() if spec.group_name != "seeds"}
    assert [key for key, layer in in_layer.items() if specs[key].group_name != layer] == []


def test_every_table_says_what_a_row_is(specs):
    tables = {key: spec for key, spec in specs.items() if spec.group_name != "published"}
    undescribed = [
        key for key, spec in tables.items() if not (spec.description or "").startswith(("One row", "At most"))
    ]
    assert undescribed == []
    assert specs["marts/daily_symbol_flows"].metadata["grain"] == "exchange, symbol, utc_date"
    without = [key for key in tables if key.startswith("marts/") and "grain" not in tables[key].metadata]
    assert without == ["marts/run_info"], "it has one row"


def test_lateness_is_watched_where_it_is_felt(specs):
    watched = {key for key, spec in specs.items() if spec.freshness_policy}
    assert {"published/marts", "raw/spot_flows/binance"} <= watched


def head(**changes) -> Headline:
    made = Headline(date(2026, 3, 1), Decimal("-24.5e9"), Decimal("2e12"), -0.0123, None, 275, 2, [None, -1.0, -2.0])
    return replace(made, **changes)


def test_the_snapshot_shows_its_headline_and_numbers_that_are_known():
    shown = _shown(head(), is_synthetic=False)
    text = shown["headline"].value
    assert "**-$24.50 B** of $2.00 T traded (-1.23 %), 275 symbols on 2 exchanges. Against BTC: no data" in text
    assert "data:image/svg+xml;base64," in text and "SYNTHETIC" not in text
    assert shown["headline_net_usd"] == -24.5e9 and "headline_against_btc_ratio" not in shown
    assert _shown(head(), is_synthetic=True)["headline"].value.startswith("**SYNTHETIC**")
    assert _shown(None, is_synthetic=False) == {"headline": "no data"}


def test_a_line_has_gaps_where_nothing_is_known_and_zero_in_sight():
    drawn = sparkline([1.0, None, -1.0, 1.0], width=304, height=104)
    assert 'd="M2 52.0H302"' in drawn
    assert 'd="M2.0 2.0M202.0 102.0L302.0 2.0"' in drawn
    assert sparkline([None, None]) == "" and sparkline([5.0]) != ""


def test_failing_rows_are_a_table_and_names_in_it_are_text():
    rows = [{"symbol": "A|B<img src=x onerror=alert(1)>", "volume": 1.5}, {"symbol": "[c](javascript:d)", "more": None}]
    failure = Failure("R4", "expect", "volume", "too much", "critical", 2, True, [0, 1], rows)
    whole = Failure("R5", "expect", "", "no rows", "critical", 0, False)
    table = Report("suite", False, 9, [failure, whole], 0.1).failing_rows
    assert table.splitlines() == [
        "**R4 volume**: too much",
        "",
        "| symbol | volume | more |",
        "| --- | --- | --- |",
        "| A\\|B&lt;img src=x onerror=alert(1)> | 1.5 |  |",
        "| \\[c\\](javascript:d) |  |  |",
    ]
    assert Report("suite", True, 9, [], 0.1).failing_rows == ""
