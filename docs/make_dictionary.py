"""Writes docs/dictionary.md: every published table and column in the words of the dbt project.

`make dictionary` runs it; a test says when it has to be run.
"""

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "docs" / "dictionary.md"
MODELS = ROOT / "dbt_project" / "models" / "marts"
SEEDS = ROOT / "dbt_project" / "seeds"
MACROS = ROOT / "orchestration" / "analyst_macros.sql"
HEAD = """<!-- made by `make dictionary`: change the descriptions in dbt_project, not this file -->
# Data dictionary

Every table of `published/marts.duckdb`, first its grain. The same words stand in the file itself: `.describe TABLE`
at the prompt of `altflow sql`, `from duckdb_columns()`. Endings of names tell units: `_usd` dollars, `_base` and
`_quote` amounts of that asset, `_ratio` 0 to 1 or -1 to 1, `_count`, `_days`, `_at` a UTC time, `_date` a UTC day.
`NULL` is not reported; 0 is a reported zero. Amounts are taker-signed: a buy is a trade whose aggressor bought. How to
ask: [analysts.md](analysts.md); what to read with care: [querying.md](querying.md).
"""


def text() -> str:
    """The whole document."""
    tables = [table for path in sorted(MODELS.glob("*.yml")) for table in read(path)["models"]]
    for path in sorted(SEEDS.glob("*.yml")):
        tables += [seed for seed in read(path)["seeds"] if seed.get("config", {}).get("schema") == "marts"]
    tables.sort(key=lambda table: table["name"])
    parts = [HEAD, "## Tables\n", *(f"- [{table['name']}](#{table['name']})" for table in tables), ""]
    for table in tables:
        parts.append(_section(table))
    parts.append(
        "## Macros\n\nTable macros of the published file: `from cumulative_flow(365, 'ex_btc_eth', 'all', 'all')`.\n"
    )
    signatures = re.findall(r"create or replace macro (\w+)\((.*?)\) as table", MACROS.read_text())
    comments = dict(re.findall(r"comment on macro table (\w+) is\s+'((?:[^']|'')*)'", MACROS.read_text()))
    for name, arguments in signatures:
        parts.append(f"- `{name}({arguments})`: {comments[name].replace(chr(39) * 2, chr(39))}")
    return "\n".join(parts) + "\n"


def read(path: Path) -> dict:
    # The loader in C: there are fifty files.
    return yaml.load(path.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def _section(table: dict) -> str:
    config = table.get("config", {})
    lines = [f"### {table['name']}", "", " ".join(table["description"].split()), ""]
    lines += ["| column | type | meaning |", "| --- | --- | --- |"]
    kinds = config.get("column_types", {})
    for column in table.get("columns", []):
        kind = column.get("data_type") or kinds.get(column["name"], "")
        meaning = " ".join(column.get("description", "").split()).replace("|", "\\|").replace("<", "&lt;")
        lines.append(f"| `{column['name']}` | {kind} | {meaning} |")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    TARGET.write_text(text())
    print(f"{TARGET.relative_to(ROOT)}: {len(text().splitlines()):,} lines")
