"""The daily brief: what it says is what its queries return, it loads nothing, and nothing in the data harms it."""

import base64
import hashlib
import json
import math
import os
import re
import shutil
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import dagster as dg
import duckdb
import html5lib
import pytest

from orchestration.brief import javascript, numbers, page
from orchestration.brief.snapshot import Snapshot
from orchestration.defs.brief import daily_brief
from orchestration.settings import Settings
from tests import recorded
from tests.commandline import altflow

Element = ElementTree.Element
SCALES = {"T": 1e12, "B": 1e9, "M": 1e6, "k": 1e3}
RUN_INFO = (
    "CREATE TABLE run_info AS SELECT 'r' AS run_id, 'sandbox' AS source, true AS synthetic, "
    "DATE '2026-01-01' AS first_date, DATE '2026-01-01' AS last_date, 'c' AS code_version, "
    "TIMESTAMP '2026-01-02' AS published_at"
)
HOSTILE = [
    "<img src=x onerror=alert(1)>",
    "</script><script>alert(1)</script>",
    "\"'><svg onload=alert(1)>",
    "\u202eevil\u202c",
    "{{ 7 * 7 }}{utc_date}",
]


@pytest.fixture(scope="module")
def data(market: Path) -> Path:
    return recorded.run(market)


@pytest.fixture(scope="module")
def html(data: Path) -> str:
    return (data / "brief" / "index.html").read_text()


@pytest.fixture(scope="module")
def tree(html: str) -> Element:
    return html5lib.parse(html, namespaceHTMLElements=False)


@pytest.fixture(scope="module")
def snapshot(data: Path) -> Iterator[Snapshot]:
    with duckdb.connect(str(data / "published" / "marts.duckdb"), read_only=True) as con:
        yield Snapshot(con)


def by_class(tree: Element, name: str) -> list[Element]:
    return [element for element in tree.iter() if name in element.get("class", "").split()]


def by_id(tree: Element, name: str) -> Element:
    return next(element for element in tree.iter() if element.get("id") == name)


def text_of(element: Element) -> str:
    return "".join(element.itertext())


def sql_of(part: Element) -> str:
    panel = by_class(part, "sql")[0]
    return text_of(next(panel.iter("code")))


def charts_of(tree: Element) -> dict:
    return json.loads(text_of(by_id(tree, "chart-data")))


def render(con: duckdb.DuckDBPyConnection) -> tuple[str, Element]:
    html, _ = page.render(Snapshot(con), "")
    return html, html5lib.parse(html, namespaceHTMLElements=False)


# --- what it says


@pytest.mark.recorded
def test_every_number_is_what_its_query_returns(tree, snapshot):
    """The query is the one printed; the number is read as a reader reads it."""
    sentences = [part for part in by_class(tree, "claim") if "register" not in part.get("class", "").split()]
    assert len(sentences) > 25
    seen = 0
    for sentence in sentences:
        row, why = snapshot.row(sql_of(sentence))
        assert not why, f"{sentence.get('id')}: {why}"
        for said in sentence.iter("data"):
            seen += 1
            assert_says(said, row[said.get("data-column", "")], sentence.get("id"))
    assert seen > 80


@pytest.mark.recorded
def test_every_claim_is_its_row(tree, snapshot):
    names, rows, _ = snapshot.rows("select * from claims")
    claims = {row[0]: dict(zip(names, row, strict=True)) for row in rows}
    shown = by_class(tree, "register")
    assert len(shown) == len(claims) == 55
    for part in shown:
        claim = claims[part.get("id", "").removeprefix("claim-")]
        assert sql_of(part).strip() == claim["sql"].strip()
        assert part.get("data-verdict-of") == claim["verdict"]
        assert claim["evidence"] in text_of(part) and claim["sentence"] in text_of(part)
        for said in part.iter("data"):
            assert_says(said, claim[said.get("data-column", "")], part.get("id"))


def assert_says(said: Element, value: object, where: str | None) -> None:
    assert said.get("value") == numbers.plain(value), where
    form, shown = said.get("data-format", ""), text_of(said)
    if isinstance(value, (date, datetime)):
        assert shown == value.isoformat(), where
    elif isinstance(value, (int, float, Decimal)) and form != "text":
        exact = float(value)
        if form.endswith("_size"):
            exact = abs(exact)
        if form == "p" and shown.startswith("<"):
            assert exact < 0.001
            return
        found, step = as_read(shown, form)
        assert abs(found - exact) <= step * 0.5000001 + 1e-12 * abs(exact), f"{where}: {shown} is not {value}"


def as_read(shown: str, form: str) -> tuple[float, float]:
    """The number that a reader takes from `−$23.98 B`, and what its last digit stands for."""
    matched = re.fullmatch(r"([+−]?)\$?([\d,]+(?:\.(\d+))?(?:e([+-]\d+))?)(?:\s(T|B|M|k|%|points|exchanges?))?", shown)
    assert matched, shown
    sign, digits, decimals, _, unit = matched.groups()
    scale = SCALES.get(unit or "", 0.01 if unit in ("%", "points") else 1)
    number = float(digits.replace(",", "")) * (-1 if sign == "−" else 1)
    if form == "number" and abs(number) < 1000:
        # Four digits, of which zeros at the end are not written.
        return number, 10.0 ** (math.floor(math.log10(abs(number) or 1e-9)) - 3)
    return number * scale, scale * 10.0 ** -len(decimals or "")


@pytest.mark.recorded
def test_every_query_of_the_page_runs_on_the_published_file(tree, snapshot):
    parts = [*by_class(tree, "claim"), *tree.iter("figure"), *by_class(tree, "block")]
    assert len(parts) > 120
    for part in parts:
        sql = sql_of(part)
        if "register" in part.get("class", "").split():
            continue  # run anew by test_claims
        _, _, why = snapshot.rows(sql)
        lacking = re.search(r"Table with name (\w+) does not exist", why)
        assert not why or (lacking and not snapshot.has(lacking[1])), f"{part.get('id')}: {why}"


@pytest.mark.recorded
def test_what_is_drawn_is_what_its_query_returns(tree, snapshot):
    drawn = charts_of(tree)
    assert len(drawn) >= 30
    for figure in tree.iter("figure"):
        chart_id = figure.get("data-chart", "")
        names, rows, _ = snapshot.rows(sql_of(figure))
        if chart_id not in drawn:
            assert "no data" in text_of(figure)
            continue
        for i, name in enumerate(names):
            column = drawn[chart_id]["columns"][name]
            expected = [row[i] for row in rows]
            if isinstance(column, dict):
                days = column.get("days") or [column["first"] + k * column["step"] for k in range(column["count"])]
                assert [date(1970, 1, 1) + timedelta(day) for day in days] == expected, chart_id
            else:
                assert len(column) == len(expected), chart_id
                for found, value in zip(column, expected, strict=True):
                    if isinstance(value, (int, float, Decimal)) and not isinstance(value, bool):
                        assert math.isclose(found, float(value), rel_tol=5.1e-5), (chart_id, name)
                    else:
                        assert found == value, (chart_id, name)


@pytest.mark.recorded
def test_the_headline_stands_with_its_control_and_its_null(tree):
    lead = text_of(by_id(tree, "lead"))
    for said in ("$23.98\xa0B", "−1.13\xa0%", "Bitcoin −2.07\xa0%", "Ether −0.86\xa0%", "fixed panel", "p 0.0", "not"):
        assert said in lead, said
    headline = text_of(by_id(tree, "claim-headline"))
    assert "takers sold $23.98\xa0B more of altcoins than they bought on 1\xa0exchange" in headline
    assert "not computed" in text_of(by_id(tree, "claim-band"))


@pytest.mark.recorded
def test_a_day_that_cannot_be_quoted_says_so_beside_the_last_that_can_and_its_band(data):
    with duckdb.connect() as con:
        con.execute(f"ATTACH '{data}/published/marts.duckdb' AS pub (READ_ONLY)")
        _mirror(con, except_for={"daily_altcoin_flow"})
        con.execute(
            "CREATE VIEW daily_altcoin_flow AS SELECT * REPLACE (CASE WHEN utc_date <= DATE '2025-06-05' THEN "
            "cumulative_net_taker_usd END AS cumulative_net_taker_usd, cumulative_net_taker_usd - 5e9 AS band_low_usd, "
            "cumulative_net_taker_usd + 5e9 AS band_high_usd) FROM pub.daily_altcoin_flow"
        )
        _, tree = render(con)
    said = text_of(by_id(tree, "claim-headline"))
    assert "The newest day, 2025-06-14, cannot be quoted" in said
    assert "in the 365 days to 2025-06-05 takers sold $24.51\xa0B more" in said
    assert "−$29.51\xa0B to −$19.51\xa0B" in text_of(by_id(tree, "claim-band"))
    assert {"low_usd", "high_usd"} <= charts_of(tree)["headline"]["columns"].keys()


# --- what it is


@pytest.mark.recorded
def test_nothing_is_loaded_from_anywhere(html, tree):
    for element in tree.iter():
        assert element.tag not in ("iframe", "object", "embed", "base", "img", "audio", "video", "form"), element.tag
        for name in ("src", "srcset", "action", "poster", "background", "ping", "{http://www.w3.org/1999/xlink}href"):
            assert element.get(name) is None, f"{element.tag} {name}"
        link = element.get("href")
        assert link is None or re.fullmatch(r"#[\w-]+|data:,|\d{4}-\d\d-\d\d\.html", link), link
        assert not [name for name in element.attrib if name.startswith("on")]
    style = text_of(next(tree.iter("style")))
    assert "url(" not in style and "@import" not in style
    script = (page.HERE / "page.js").read_text()
    assert not re.search(r"https?://|\bfetch\(|XMLHttpRequest|import\(|WebSocket|sendBeacon|\beval\(|innerHTML", script)
    assert len(html.encode()) <= 3_000_000


@pytest.mark.recorded
def test_only_its_own_scripts_may_run(tree):
    policy = next(each.get("content") or "" for each in tree.iter("meta") if each.get("http-equiv"))
    assert policy.startswith("default-src 'none'") and "unsafe" not in policy
    scripts = [element for element in tree.iter("script") if element.get("type") is None]
    assert len(scripts) == 3
    for element in [*scripts, next(tree.iter("style"))]:
        digest = base64.b64encode(hashlib.sha256(text_of(element).encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy


@pytest.mark.recorded
def test_every_part_can_be_reached_and_is_named(tree):
    ids = [element.get("id") for element in tree.iter() if element.get("id")]
    assert len(ids) == len(set(ids))
    for element in tree.iter():
        for name in ("aria-controls", "aria-labelledby", "for"):
            assert element.get(name) is None or element.get(name) in ids, element.attrib
        if element.tag == "a" and element.get("href", "").startswith("#"):
            assert element.get("href", "")[1:] in ids
    for part in [*by_class(tree, "claim"), *tree.iter("figure")]:
        (button,) = [each for each in by_class(part, "show-sql") if each.get("aria-expanded") == "false"]
        assert button.tag == "button" and by_id(part, button.get("aria-controls", "")) in by_class(part, "sql")
    levels = [int(element.tag[1]) for element in tree.iter() if element.tag in ("h1", "h2", "h3", "h4")]
    body = levels[levels.index(1) :]
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in zip(body, body[1:], strict=False))
    for plot in by_class(tree, "plot"):
        assert len(plot.get("aria-label", "")) > 40


@pytest.mark.recorded
def test_specifications_are_valid_vega_lite(tree):
    from altair.vegalite.v6.schema.core import load_schema
    from jsonschema import Draft7Validator

    validator = Draft7Validator(load_schema())
    for chart_id, drawn in charts_of(tree).items():
        spec = drawn["chart"]["spec"]
        assert validator.is_valid(spec), chart_id


@pytest.mark.recorded
def test_it_is_written_once_for_a_publish_and_kept_by_day(data, tmp_path):
    settings = Settings("recorded", data)
    assert not page.build(settings)
    day = data / "brief" / f"{recorded.LAST_DATE}.html"
    assert day.samefile(page.index(settings))
    (tmp_path / "published").mkdir()
    for name in ("marts.duckdb", "manifest.json"):
        os.link(data / "published" / name, tmp_path / "published" / name)
    shutil.copytree(data / "brief", tmp_path / "brief")
    copied = Settings("recorded", tmp_path)
    page.index(copied).write_text("of another day")
    (tmp_path / "brief" / "2025-06-13.html").write_text("the day before")
    assert page.build(copied) and not page.build(copied)
    assert '<a href="2025-06-13.html">' in page.index(copied).read_text()
    assert not list((tmp_path / "brief").glob(".*"))


@pytest.mark.recorded
def test_the_command_tells_where_it_is(data, tmp_path):
    done = altflow("brief", "--source", "recorded", data=data)
    assert (done.returncode, done.stdout.strip()) == (0, str(data / "brief" / "index.html"))
    done = altflow("brief", data=tmp_path)
    assert done.returncode == 1 and "run `altflow run` first" in done.stderr


@pytest.mark.recorded
def test_the_run_says_where_it_is(data):
    assert f"brief:   {data / 'brief' / 'index.html'}" in (data.parent / "output.txt").read_text()


# --- what must not harm it


def _mirror(con: duckdb.DuckDBPyConnection, except_for: set[str] = frozenset()) -> None:  # pyright: ignore
    for (name,) in con.execute("SELECT table_name FROM duckdb_tables() WHERE database_name = 'pub'").fetchall():
        if name not in except_for:
            con.execute(f'CREATE VIEW "{name}" AS FROM pub."{name}"')


@pytest.mark.recorded
def test_hostile_names_are_text(data):
    names = ", ".join("'" + name.replace("'", "''") + "'" for name in HOSTILE)
    hostile = f"([{names}])[1 + (hash(base_asset) % {len(HOSTILE)})::INT] || base_asset AS base_asset"
    with duckdb.connect() as con:
        con.execute(f"ATTACH '{data}/published/marts.duckdb' AS pub (READ_ONLY)")
        _mirror(con, except_for={"daily_asset_flows", "daily_selective_recovery", "market_phases", "claims"})
        for table in ("daily_asset_flows", "daily_selective_recovery"):
            con.execute(f"CREATE VIEW {table} AS SELECT * REPLACE ({hostile}) FROM pub.{table}")
        con.execute(
            f"CREATE VIEW market_phases AS SELECT * REPLACE (([{names}])[1] || phase AS phase) FROM pub.market_phases"
        )
        con.execute(
            f"CREATE VIEW claims AS SELECT * REPLACE (([{names}])[2] || evidence AS evidence, "
            f"([{names}])[1] || sentence AS sentence) FROM pub.claims"
        )
        html, tree = render(con)
    assert len([element for element in tree.iter("script")]) == 5
    assert not [element for element in tree.iter() if element.tag == "img" or "onerror" in element.attrib]
    assert not [element for element in tree.iter("svg")]
    assert "\u202e" not in html and "‹U+202E›evil" in html
    drawn = charts_of(tree)["assets"]["columns"]["label"]
    assert any(name.startswith("<img src=x") for name in drawn)
    assert any("{{ 7 * 7 }}" in text_of(row) for row in by_id(tree, "table-recovery").iter("tr"))
    assert "<img src=x onerror=alert(1)>Altcoins" in text_of(by_id(tree, "claim-C1"))


@pytest.mark.recorded
@pytest.mark.parametrize("days", [0, 1])
def test_empty_tables_and_a_first_day_are_no_data(data, days):
    with duckdb.connect() as con:
        con.execute(f"ATTACH '{data}/published/marts.duckdb' AS pub (READ_ONLY)")
        dated = con.execute(
            "SELECT table_name, max((column_name = 'utc_date')::INT) FROM duckdb_columns() "
            "WHERE database_name = 'pub' AND schema_name = 'main' GROUP BY 1"
        ).fetchall()
        for name, has_days in dated:
            kept = "WHERE utc_date = DATE '2020-01-01'" if days and has_days else "LIMIT 0"
            con.execute(f'CREATE TABLE "{name}" AS FROM pub."{name}" {kept}')
        con.execute("INSERT INTO run_info SELECT * REPLACE (first_date AS last_date) FROM pub.run_info")
        _, tree = render(con)
    assert not re.search(r"\b(None|nan|NaT)\b", text_of(by_id(tree, "main")))
    if days:
        assert "No 365-day figure can be quoted yet" in text_of(by_id(tree, "claim-headline"))
        return
    assert {each.get("data-rendered") for each in tree.iter("figure")} == {"empty"}
    assert "No flow of altcoins is stored yet." in text_of(by_id(tree, "claim-headline"))


def test_a_snapshot_without_its_tables_is_no_data_and_synthetic_says_so():
    with duckdb.connect() as con:
        con.execute(RUN_INFO)
        _, tree = render(con)
    assert text_of(next(tree.iter("title"))).startswith("SYNTHETIC")
    assert text_of(next(tree.iter("h1"))).startswith("SYNTHETIC")
    assert "SYNTHETIC" in text_of(by_class(tree, "synthetic")[0])
    assert len(list(tree.iter("section"))) == 16
    assert {each.get("data-rendered") for each in tree.iter("figure")} == {"empty"}


def test_that_it_fails_unpublishes_nothing(tmp_path):
    (tmp_path / "brief").write_text("a file where the folder should be")
    published = tmp_path / "published"
    published.mkdir()
    with duckdb.connect(str(published / "marts.duckdb")) as con:
        con.execute(RUN_INFO)
    run = SimpleNamespace(settings=Settings("sandbox", tmp_path), progress=lambda what, done, total: None)
    result = dg.materialize(
        [daily_brief()], resources={"run": dg.ResourceDefinition.hardcoded_resource(run)}, raise_on_error=False
    )
    assert result.success
    (check,) = result.get_asset_check_evaluations()
    assert not check.passed and check.severity == dg.AssetCheckSeverity.WARN and not check.blocking
    assert "brief" in str(check.metadata["reason"].value)
    assert not result.get_asset_materialization_events()


# --- its parts


@pytest.mark.parametrize(
    ("form", "value", "shown"),
    [
        ("usd", Decimal("-209312345678.9"), "−$209.3 B"),
        ("usd", -23982060663.49, "−$23.98 B"),
        ("usd", 999_999_999, "$1.00 B"),
        ("usd", 0, "$0"),
        ("usd_plus", 4_980_000_000, "+$4.98 B"),
        ("percent", -0.0113, "−1.13 %"),
        ("percent", -0.000001, "0.00 %"),
        ("percent_plus", 0.0423, "+4.23 %"),
        ("points", -0.0187, "−1.87 points"),
        ("count", 419_518, "419,518"),
        ("exchanges", 1, "1 exchange"),
        ("p", 0.0, "< 0.001"),
        ("number", float("nan"), "no data"),
    ],
)
def test_numbers_are_written_as_readers_write_them(form, value, shown):
    written = html5lib.parseFragment(str(numbers.show(value, form)), namespaceHTMLElements=False)
    assert text_of(written).replace("\xa0", " ") == shown


def test_of_months_that_are_over_the_last_brief_stays(tmp_path):
    for day in ("2026-01-03", "2026-01-30", "2026-02-01", "2026-02-27", "2026-03-01", "2026-03-09"):
        (tmp_path / f"{day}.html").touch()
    page._thin_out(tmp_path, date(2026, 3, 9))
    kept = [path.stem for path in sorted(tmp_path.glob("*.html"))]
    assert kept == ["2026-01-30", "2026-02-27", "2026-03-01", "2026-03-09"]


def test_a_script_that_is_not_what_its_name_says_is_made_anew(tmp_path):
    made = javascript.vega(javascript.BUILT, tmp_path)
    digest = hashlib.sha256(made.encode()).hexdigest()[:32]
    kept = tmp_path / f"vega.{version('vl-convert-python')}.{digest}.js"
    kept.write_text("alert(1)")
    assert javascript.vega(tmp_path) == made == kept.read_text()
    assert "vegaEmbed" in made and "</script" not in made
