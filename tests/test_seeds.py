"""Every rule for the lines of a seed lets the seed pass and finds the line that breaks it."""

import csv
from pathlib import Path
from typing import Any

import duckdb
import jinja2
import pyarrow as pa
import pytest
import yaml

PROJECT = Path(__file__).parent.parent / "dbt_project"
TEST = (PROJECT / "macros" / "test_seed_lines.sql").read_text()


def rules_of(path: Path) -> dict[str, Any]:
    (seed,) = yaml.safe_load(path.read_text())["seeds"]
    (rules,) = [each["seed_lines"]["arguments"] for each in seed["data_tests"] if "seed_lines" in each]
    return rules | {"types": seed["config"]["column_types"]}


SEEDS = {path.stem: rules_of(path) for path in sorted((PROJECT / "seeds").glob("*.yml"))}
BROKEN = [
    (seed, column, value)
    for seed, rules in SEEDS.items()
    for column, value in [
        *((column, None) for column in rules["grain"] + rules.get("filled", []) if column in rules["types"]),
        *((column, "something else") for column in rules.get("one_of", {})),
    ]
]


def failing(seed: str, lines: list[dict]) -> list[tuple]:
    rules = SEEDS[seed]
    body = TEST.partition("{% test")[2].partition("%}")[2].rpartition("{%")[0]
    template = jinja2.Template(body, extensions=["jinja2.ext.do"])
    sql = template.render({"model": "seed", "filled": [], "one_of": {}} | rules)
    with duckdb.connect() as con:
        con.execute(f"CREATE TABLE seed ({', '.join(f'{name} {kind}' for name, kind in rules['types'].items())})")
        told = {name: pa.array([line[name] or None for line in lines], pa.string()) for name in rules["types"]}
        con.register("told", pa.table(told))
        con.execute("INSERT INTO seed FROM told")
        return con.execute(sql).fetchall()


def lines_of(seed: str) -> list[dict]:
    with (PROJECT / "seeds" / f"{seed}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("seed", SEEDS)
def test_the_seed_passes_and_a_line_told_twice_does_not(seed: str):
    lines = lines_of(seed)
    assert lines and not failing(seed, lines)
    assert len(failing(seed, [*lines, lines[-1]])) == 2


@pytest.mark.parametrize(("seed", "column", "value"), BROKEN)
def test_a_missing_or_unknown_value_is_found(seed: str, column: str, value: str | None):
    *lines, last = lines_of(seed)
    assert len(failing(seed, [*lines, last | {column: value}])) == 1
