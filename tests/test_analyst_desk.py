"""The analyst's desk on the recorded market: numbers traced to their bodies, pages that are true, a notebook."""

import json
import os
import re
import shutil
from datetime import date
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from docs import make_answers, make_dictionary
from orchestration.trace import NoRow, TraceError, tables, trace
from tests import recorded
from tests.commandline import ROOT, altflow

HEADLINE = "definition_id = 'rolling_365d.ex_btc_eth.all.all'"
DAY = date(2025, 6, 14)
FOUND = [
    ("daily_asset_flows", "net_taker_usd", "base_asset = 'SOL'"),
    ("daily_control_flow", "rolling_365d_net_taker_usd", "flow_group = 'BTC' and quotes = 'all'"),
    ("daily_dominance", "covered_usd", "definition_id = 'spot_volume'"),
    ("daily_dominance", "covered_btc_share_ratio", "definition_id = 'cap_all'"),
    ("daily_stablecoin_supply", "circulating_usd", "symbol = 'USDT'"),
    ("daily_stablecoin_ratio", "ssr", None),
    ("daily_macro", "value", "series_id = 'DFF'"),
    ("daily_dex_liquidity", "cex_volume_usd", None),
    ("coverage_daily", "present_count", None),
    ("daily_illiquidity_breadth", "median_amihud_ratio", None),
]


@pytest.fixture(scope="module")
def data(market: Path) -> Path:
    return recorded.run(market)


@pytest.fixture(scope="module")
def con(data: Path):
    with duckdb.connect(str(data / "published" / "marts.duckdb"), read_only=True) as con:
        yield con


# --- from a number to its bodies


def test_the_headline_is_the_sum_of_its_symbol_days_to_the_last_digit(con):
    found = trace(con, "daily_altcoin_flow", DAY, "window_net_taker_usd", HEADLINE)
    (made,) = found.numbers
    assert isinstance(made.published, Decimal) and made.recomputed == made.published and found.is_proved
    assert found.others is not None and len(found.largest) == 10
    assert sum(part.value for part in found.largest) + found.others.value == made.published
    rows = found.others.key["row_count"] + 10
    (step,) = found.steps
    assert (step.table, step.row_count, step.body_count) == ("daily_symbol_flows", rows, len(found.bodies))
    assert (step.first_date, step.last_date) == (date(2024, 6, 15), DAY)
    assert all(body.sources for body in found.bodies), "every body has its address"


@pytest.mark.parametrize(("table", "column", "where"), FOUND)
def test_numbers_of_every_kind_lead_to_bodies(con, table: str, column: str, where: str | None):
    found = trace(con, table, DAY, column, where)
    assert len(found.numbers) == 1 and found.numbers[0].published is not None
    assert found.is_proved is not False and found.bodies and all(body.sources for body in found.bodies)


def test_a_number_ends_at_the_row_as_received(data: Path):
    where = "symbol = 'SOLUSDT'"
    done = altflow("trace", "daily_symbol_flows", str(DAY), "--where", where, "--open", "--json", data=data,
                   settings={"SOURCE": "recorded"})  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    (body,) = told["bodies"]
    assert body["archive"]["is_intact"] and body["sources"][0]["url"].startswith("https://")
    (row,) = body["archive"]["rows"]
    cells = json.loads(row["text"])
    assert 2 * Decimal(cells[10]) - Decimal(cells[7]) == Decimal(told["numbers"][0]["published"])


def test_a_damaged_archive_is_told_and_is_exit_1(data: Path, tmp_path: Path):
    other = tmp_path / "data"
    other.mkdir()
    (other / "published").symlink_to(data / "published")
    shutil.copytree(data / "archive" / "fred", other / "archive" / "fred")
    (pack,) = (other / "archive" / "fred").glob("*/*.pack")
    content = bytearray(pack.read_bytes())
    content[-20] ^= 1
    pack.write_bytes(content)
    done = altflow("trace", "daily_macro", "2025-06-01", "--open", data=other, settings={"SOURCE": "recorded"})
    assert done.returncode == 1 and "restore the pack from a backup" in done.stdout


def test_questions_without_an_answer_say_what_to_ask(con):
    with pytest.raises(TraceError, match="closest: daily_altcoin_flow"):
        trace(con, "daily_altcoin_flows", DAY)
    with pytest.raises(TraceError, match="closest: net_taker_usd"):
        trace(con, "daily_asset_flows", DAY, "net_takers_usd")
    with pytest.raises(TraceError, match="has no day"):
        trace(con, "survival_curves", DAY)
    with pytest.raises(TraceError, match="nosuch"):
        trace(con, "daily_asset_flows", DAY, where="nosuch = 1")
    with pytest.raises(NoRow, match="nearest days with one: 2025-06-14"):
        trace(con, "daily_asset_flows", date(2031, 1, 1))


def test_a_null_says_why(con):
    found = trace(con, "daily_altcoin_flow", date(2020, 6, 1), "cumulative_net_taker_usd", HEADLINE)
    said = "\n".join(found.why_null)
    assert (
        "the window is valid" in str(found.meaning)
        and "window_coverage_ratio" in said
        and "the run begins on 2020-01-01" in said
    )


def test_routes_follow_the_lineage_of_dbt(con):
    """A route may only name what the model is built from, directly or through others."""
    manifest = json.loads((ROOT / "dbt_project" / "target" / "manifest.json").read_text())
    parents = {
        node["name"]: {name.rsplit(".", 1)[-1] for name in node["depends_on"]["nodes"]}
        for node in manifest["nodes"].values()
        if node["resource_type"] == "model"
    }

    def ancestors(name: str) -> set[str]:
        found, todo = set(), [name]
        while todo:
            for parent in parents.get(todo.pop(), set()) - found:
                found.add(parent)
                todo.append(parent)
        return found

    # Prices, windows and groups are summed in `intermediate` from the same rows as these marts.
    same_rows = {
        "daily_symbol_flows": "int_spot_flows_converted",
        "daily_asset_flows": "int_spot_flows_converted",
        "daily_control_flow": "int_control_days_summed",
        "daily_macro": "int_macro_vintages_dated",
        "source_spans": None,
    }
    # What was published before is no model's: publishing notes it.
    routes = con.execute(
        "SELECT DISTINCT table_name, source_name FROM trace_routes WHERE table_name != 'published_headlines'"
    ).fetchall()
    columns = tables(con)
    for table, source in routes:
        above = ancestors(table)
        assert source == table or source in above or same_rows.get(source, source) in (None, *above), (table, source)
    named = con.execute("SELECT table_name, column_name FROM trace_routes WHERE column_name != '*'").fetchall()
    assert not [(table, column) for table, column in named if column not in columns[table]]


def test_every_mart_with_a_day_has_a_way_down(con):
    routed = {row[0] for row in con.execute("SELECT DISTINCT table_name FROM trace_routes").fetchall()}
    seeds = {"external_readings", "market_phases"}
    without_numbers = {"claims", "run_info", "source_files", "source_spans", "trace_routes", "survival_curves"}
    # Messages and verdicts: what was measured stands in the tables that they name.
    without_numbers |= {"alerts", "data_quality_results"}
    ends = {table for table, columns in tables(con).items() if "body_sha256" in columns}
    assert set(tables(con)) == routed | ends | seeds | without_numbers


@pytest.mark.chaos
def test_every_sum_that_is_declared_comes_out_as_published(con):
    """Minutes: every column of every mart, on its newest day of the covered year and on one in the middle."""
    declared = con.execute(
        "SELECT DISTINCT table_name, day_column, column_name FROM trace_routes WHERE expression IS NOT NULL"
    ).fetchall()
    wrong, proved = [], 0
    for table, day_column, column in declared:
        days = con.execute(
            f"SELECT max({day_column}) FILTER ({day_column} <= DATE '2025-06-14'), quantile_disc({day_column}, 0.6) "
            f'FROM "{table}" WHERE "{column}" IS NOT NULL'
        ).fetchall()[0]
        for day in {day for day in days if day}:
            where = "panel = 'all' AND trust = 'all'" if table == "daily_altcoin_flow" else None
            found = trace(con, table, day, column, where)
            proved += sum(bool(made.is_equal) for made in found.numbers)
            wrong += [(table, column, made) for made in found.numbers if made.is_equal is False]
    assert wrong == [] and proved > 3_000


# --- pages that say what is


def test_the_answers_of_the_page_are_those_of_the_data(con):
    page = (ROOT / "docs" / "analysts.md").read_text()
    assert len(make_answers.QUESTION.findall(page)) == 10
    answered = make_answers.answered(page, con)
    assert answered == page, "python docs/make_answers.py DATA_DIR writes the page anew"


def test_the_python_of_the_page_runs(data: Path):
    page = (ROOT / "docs" / "analysts.md").read_text()
    examples = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert len(examples) == 3
    for example in examples:
        exec(compile(example.replace("data/recorded", str(data)), "docs/analysts.md", "exec"), {})


def test_the_queries_of_the_other_page_run(con):
    queries = re.findall(r"```sql\n(.*?)```", (ROOT / "docs" / "querying.md").read_text(), re.DOTALL)
    assert len(queries) >= 4
    for query in queries:
        # On a first run nothing was restated yet.
        assert con.execute(query).fetchall() or "from revisions" in query, query


def test_the_dictionary_is_up_to_date_and_names_every_table(con):
    page = make_dictionary.TARGET.read_text()
    assert page == make_dictionary.text(), "make dictionary writes it anew"
    assert set(re.findall(r"^### (\w+)$", page, re.MULTILINE)) == set(tables(con))


def test_no_published_column_is_without_a_description():
    for path in make_dictionary.MODELS.glob("*.yml"):
        for model in make_dictionary.read(path)["models"]:
            assert not [column["name"] for column in model["columns"] if not column.get("description")], path.name


# --- the notebook


def test_the_notebook_runs_and_says_what_is_synthetic(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from notebooks.first_look import app

    monkeypatch.setenv("ALTFLOW_DATA_DIR", str(data))
    _, real = app.run()
    assert len(real["control"]) > 300 and len(real["sellers"]) == 15 and len(real["claims"]) == 55
    assert real["lines"].to_dict()["encoding"] and not real["synthetic"]

    made_up = tmp_path / "published" / "marts.duckdb"
    made_up.parent.mkdir()
    with duckdb.connect(str(made_up)) as con:
        con.execute(f"ATTACH '{data}/published/marts.duckdb' AS real (READ_ONLY)")
        con.execute("CREATE TABLE run_info AS SELECT * REPLACE (true AS synthetic) FROM real.run_info")
        for table in ("daily_control_flow", "claims", "coverage_daily"):
            con.execute(f"CREATE TABLE {table} AS FROM real.{table} LIMIT 1000")
        con.execute("CREATE TABLE daily_asset_flows AS FROM real.daily_asset_flows LIMIT 1000")
        macro = (ROOT / "orchestration" / "analyst_macros.sql").read_text()
        con.execute(re.findall(r"create or replace macro top_sellers.*?;", macro, re.DOTALL)[0])
    monkeypatch.setenv("ALTFLOW_DATA_DIR", str(tmp_path))
    shown, defined = app.run()
    assert defined["synthetic"] and os.environ["ALTFLOW_DATA_DIR"] == str(tmp_path)
    assert "SYNTHETIC" in "".join(str(getattr(output, "text", "")) for output in shown)
    assert all("SYNTHETIC" in str(defined[chart].title) for chart in ("lines", "bars"))
