"""The brief in a browser: it asks nobody, draws everything, can be used by everybody, and believes no name.

`make browser` installs what this needs. Screenshots are left in test-artefacts/.
"""

import os
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from orchestration import publish
from orchestration.brief import javascript, page
from orchestration.brief.snapshot import Snapshot
from tests import recorded
from tests.commandline import ROOT

pytestmark = pytest.mark.recorded

AXE = ROOT / "tests" / "browser" / "node_modules" / "axe-core" / "axe.min.js"
ARTEFACTS = ROOT / "test-artefacts"
WIDE, NARROW = 1280, 390
ALIKE = [
    "tbody tr:nth-child(n+4)",
    ".register ~ .register",
    ".dictionary details ~ details",
    "section ~ section .plot > *",
]
HOSTILE = {
    "SOL": "<img src=x onerror=alert(1)>",
    "XRP": "\"'><b id=injected>x</b>",
    "DOGE": "\u202eEGOD",
    "ADA": "</script><script>alert(2)</script>",
    "PEPE": "'-alert(3)-'{{ 7 * 7 }}${alert(4)}",
}
"""By what an asset is called in a snapshot whose names are made up to do harm."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if not found or not AXE.exists():
        reason = f"no {'axe-core' if found else 'chromium'} for the tests of the brief: make browser installs it"
        if os.environ.get("CI", "").lower() in ("1", "true"):
            pytest.fail(reason)
        pytest.skip(reason)
    ARTEFACTS.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        # Containers give chromium neither a sandbox nor much shared memory.
        options = ["--no-sandbox", "--disable-dev-shm-usage"]
        chromium = playwright.chromium.launch(executable_path=found, args=options)
        yield chromium
        chromium.close()


class Seen:
    """A page that is open, and what it did that it should not."""

    def __init__(self, opened: Page, file: Path):
        self.page = opened
        self.asked: list[str] = []
        self.errors: list[str] = []
        self.dialogs: list[str] = []

        def refuse(route) -> None:
            if route.request.url.partition("#")[0] == file.as_uri():
                route.continue_()
            else:
                self.asked.append(route.request.url)
                route.abort()

        def close(dialog) -> None:
            self.dialogs.append(dialog.message)
            dialog.dismiss()

        opened.route("**/*", refuse)
        opened.on("console", lambda said: self.errors.append(said.text) if said.type == "error" else None)
        opened.on("pageerror", lambda error: self.errors.append(str(error)))
        opened.on("dialog", close)
        opened.goto(file.as_uri())
        opened.evaluate("window.altflowReady")

    def count(self, selector: str) -> int:
        return self.page.locator(selector).count()

    def shot(self, name: str) -> None:
        self.page.screenshot(path=ARTEFACTS / f"{name}.png", animations="disabled")

    def overflow(self) -> list[str]:
        """What is wider than the screen and does not scroll by itself."""
        return self.page.evaluate(
            """() => {
              const width = document.documentElement.clientWidth;
              if (document.documentElement.scrollWidth <= width) return [];
              return [...document.querySelectorAll("body *")].filter((each) =>
                each.getBoundingClientRect().right > width + 1 && !each.closest(".scroll, pre, .data, svg, .skip"))
                .slice(0, 10).map((each) => `${each.tagName}.${each.className} in ${each.closest("[id]")?.id}`);
            }"""
        )

    def judged_by_axe(self, *rules: str) -> list[str]:
        """Findings that keep somebody from reading: rule, element and why. `rules`: only those. Takes out of the page
        what is made like its neighbour; left out of axe's own search alone, it would cost half a minute."""
        self.page.evaluate(
            "(alike) => alike.forEach((one) => document.querySelectorAll(one).forEach((each) => each.remove()))", ALIKE
        )
        if not self.page.evaluate("'axe' in window"):
            self.page.evaluate(AXE.read_text())
        found = self.page.evaluate(
            """(rules) => axe.run(document, {resultTypes: ["violations"], ...(rules.length ? {runOnly: rules} : {})})
              .then((result) => result.violations)""",
            rules,
        )
        return [
            f"{rule['id']} ({rule['impact']}): {node['target'][0]}: {node['failureSummary']}"
            for rule in found
            if rule["impact"] in ("serious", "critical")
            for node in rule["nodes"][:3]
        ]


@contextmanager
def opened(browser: Browser, file: Path, width: int, theme: str = "light") -> Iterator[Seen]:
    height = 900 if width == WIDE else 844
    context: Any = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if theme == "dark" else "light",
        reduced_motion="reduce",
    )
    try:
        yield Seen(context.new_page(), file)
    finally:
        context.close()


@pytest.fixture(scope="module")
def brief(market: Path) -> Path:
    return recorded.run(market) / "brief" / "index.html"


@pytest.fixture(scope="module")
def wide(browser: Browser, brief: Path) -> Iterator[Seen]:
    with opened(browser, brief, WIDE) as seen:
        yield seen


@pytest.fixture(scope="module")
def hostile(market: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The brief of the same snapshot with names that would do harm, called synthetic."""
    data = recorded.run(market)
    file = tmp_path_factory.mktemp("hostile") / "index.html"
    with duckdb.connect() as con:
        con.execute(f"ATTACH '{data / 'published' / 'marts.duckdb'}' AS published (READ_ONLY)")
        con.execute(
            "CREATE TABLE names AS SELECT unnest($1) AS old, unnest($2) AS new", [[*HOSTILE], [*HOSTILE.values()]]
        )
        con.execute("CREATE MACRO renamed(text) AS coalesce((SELECT new FROM names WHERE old = text), text)")
        columns = con.execute(
            "SELECT table_name, column_name FROM duckdb_columns() WHERE database_name = 'published' "
            "AND data_type = 'VARCHAR' AND column_name IN ('base_asset', 'symbol', 'exchange', 'stablecoin')"
        ).fetchall()
        tables = con.execute("SELECT table_name FROM duckdb_tables() WHERE database_name = 'published'").fetchall()
        for (table,) in tables:
            replaced = [f"renamed({column}) AS {column}" for name, column in columns if name == table]
            if table == "claims":
                replaced += [
                    f"{column} || '</script><svg onload=alert(5)>' AS {column}" for column in ("sentence", "evidence")
                ]
            if table == "run_info":
                replaced += ["'sandbox' AS source", "true AS synthetic"]
            changed = f"REPLACE ({', '.join(replaced)})" if replaced else ""
            con.execute(f"CREATE VIEW {table} AS SELECT * {changed} FROM published.main.{table}")
        con.execute(publish.MACROS.read_text())
        html, _ = page.render(Snapshot(con), javascript.vega(javascript.BUILT, data / "brief"))
    file.write_text(html, encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def deceived(browser: Browser, hostile: Path) -> Iterator[Seen]:
    """On a telephone, in the dark."""
    with opened(browser, hostile, NARROW, "dark") as seen:
        yield seen


# --- it stands alone and draws everything


@pytest.mark.parametrize("which", ["wide", "deceived"])
def test_it_asks_nobody_says_no_error_and_draws_every_chart_within_the_screen(which, request):
    seen: Seen = request.getfixturevalue(which)
    assert seen.count(".chart") >= 10
    assert seen.count('.chart[data-rendered="true"] .plot svg') == seen.count('.chart:not([data-rendered="empty"])')
    assert seen.overflow() == []
    seen.shot(which)
    assert seen.errors == [] and seen.asked == []


def test_every_claim_shows_its_query_and_hides_it_again(wide: Seen):
    """By one script: a hundred clicks from outside take a hundred round trips."""
    wrong = wide.page.evaluate(
        """() => [...document.querySelectorAll("[id^=claim-], .chart")].flatMap((claim) => {
          const button = claim.querySelector(".show-sql");
          const panel = button && document.getElementById(button.getAttribute("aria-controls"));
          if (!panel || !claim.contains(panel) || !panel.matches(".sql")) return [`${claim.id}: no panel`];
          const state = () => `${button.getAttribute("aria-expanded")} ${panel.checkVisibility()}`;
          const closed = panel.closest("details:not([open])");
          if (closed) closed.open = true;
          const states = [state()];
          button.click(); states.push(state());
          const sql = panel.querySelector("code").textContent.trim();
          button.click(); states.push(state());
          if (states.join() !== "false false,true true,false false") return [`${claim.id}: ${states}`];
          return /select|from/i.test(sql) ? [] : [`${claim.id}: no query`];
        })"""
    )
    assert wrong == []
    assert wide.count("[id^=claim-] .show-sql") >= 60


def test_the_query_is_reached_by_keyboard(wide: Seen):
    button = wide.page.locator("[id^=claim-] .show-sql").first
    button.focus()
    wide.page.keyboard.press("Enter")
    assert button.get_attribute("aria-expanded") == "true"
    wide.shot("query")
    wide.page.keyboard.press("Enter")
    assert button.get_attribute("aria-expanded") == "false"


def test_tables_sort_by_number_both_ways_with_the_unknown_last(wide: Seen):
    tables = wide.page.evaluate(
        """() => [...document.querySelectorAll("table.sortable")].map((table) => {
          const [body] = table.tBodies, heads = [...table.tHead.rows[0].cells];
          const at = heads.findIndex((_, i) => body.rows[0].cells[i].dataset.value !== undefined);
          const sorted = () => {
            heads[at].querySelector("button").click();
            return [heads[at].getAttribute("aria-sort"), [...body.rows].map((row) => row.cells[at].dataset.value)];
          };
          return {id: table.id, runs: [sorted(), sorted()]};
        })"""
    )
    assert tables
    for table in tables:
        for order, values in table["runs"]:
            known = [float(value) for value in values if value]
            assert known == sorted(known, reverse=order == "descending"), table["id"]
            assert not any(values[len(known) :]), table["id"]
        assert {order for order, _ in table["runs"]} == {"ascending", "descending"}


def test_the_filter_leaves_what_it_names(wide: Seen):
    field = wide.page.locator("#recovery-filter")
    rows = f"#{field.get_attribute('data-filters')} tbody tr"
    shown = (
        f"[...document.querySelectorAll('{rows}')].filter((row) => row.checkVisibility()).map((row) => row.innerText)"
    )
    every = wide.page.evaluate(shown)
    field.fill("sol")
    left = wide.page.evaluate(shown)
    assert left and left == [row for row in every if "sol" in row.lower()] != every
    field.fill("")
    assert wide.page.evaluate(shown) == every


# --- it believes no name, and says what is made up

ELEMENTS = """() => [...document.querySelectorAll("body *")].map((each) =>
  each.closest(".plot, .dictionary, .synthetic, .data, #vg-tooltip-element") ? "" : each.tagName).filter(Boolean)"""


def test_names_that_would_do_harm_are_text(deceived: Seen, wide: Seen):
    deceived.page.evaluate("document.querySelectorAll('.show-data, .show-sql').forEach((button) => button.click())")
    # The tooltip of a bar, which Vega fills, has the name too.
    box = deceived.page.locator(".plot svg", has_text="onerror").locator(".mark-rect path").nth(2)
    box.scroll_into_view_if_needed()
    box.hover(force=True)
    deceived.page.wait_for_selector("#vg-tooltip-element.visible")
    deceived.shot("hostile")
    assert deceived.dialogs == [] and deceived.asked == [] and deceived.errors == []
    text = deceived.page.evaluate("document.body.textContent")
    assert "<img src=x onerror=alert(1)>" in text and "</script><svg onload=alert(5)>" in text
    assert deceived.count("img, #injected, svg[onload], [onerror]") == 0
    assert Counter(deceived.page.evaluate(ELEMENTS)) == Counter(wide.page.evaluate(ELEMENTS))


def test_a_name_that_turns_the_text_round_turns_only_itself(deceived: Seen):
    alone = deceived.page.evaluate(
        """() => { const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), loose = [];
          while (walker.nextNode()) { const node = walker.currentNode;
            if (node.data.includes("\\u202e") && !node.parentElement.closest("bdi, script, svg, code"))
              loose.push(node.parentElement.outerHTML.slice(0, 200)); }
          return loose; }"""
    )
    assert alone == []


def test_every_screen_of_a_synthetic_brief_says_so(deceived: Seen):
    assert "SYNTHETIC" in deceived.page.title()
    unsaid = deceived.page.evaluate(
        """() => { const banner = document.querySelector(".synthetic"), unsaid = [];
          for (let y = 0; y < document.documentElement.scrollHeight; y += innerHeight / 2) {
            scrollTo({top: y, behavior: "instant"});
            const box = banner.getBoundingClientRect(), on = document.elementFromPoint(box.left + 20, box.top + 8);
            if (box.top < 0 || box.bottom > innerHeight || !banner.contains(on)) unsaid.push(scrollY);
          }
          return unsaid; }"""
    )
    assert unsaid == []
    deceived.shot("synthetic")


# --- everybody can use it; last, for it takes the page apart


def test_everybody_can_use_it_in_light_and_dark(wide: Seen):
    assert wide.judged_by_axe() == []
    before = wide.page.evaluate("getComputedStyle(document.body).backgroundColor")
    wide.page.click("#theme")
    wide.page.evaluate("window.altflowReady")
    after = wide.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert before != after and wide.page.get_attribute("#theme", "aria-pressed") == "true"
    wide.shot("dark")
    assert wide.judged_by_axe("color-contrast") == [], "what is left may differ by theme"
    wide.page.click("#theme")
    assert wide.page.evaluate("getComputedStyle(document.body).backgroundColor") == before


def test_what_readers_did_left_no_error(wide: Seen):
    assert wide.errors == [] and wide.asked == []
