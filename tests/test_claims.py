"""The claim register: what a file must say, and what the claims find on the recorded market."""

import re
from pathlib import Path

import duckdb
import pytest

from orchestration.claims import COLUMNS, FOLDER, VERDICTS, Claim, ClaimError, evaluate, read_claim, read_claims
from tests import recorded

HEAD = "-- sentence: Somebody says so.\n-- unit: usd\n-- rule: supported where so.\n"
ROW = (
    "select null as utc_date, 1 as value, null as control_value, null as p_value, 'partly' as verdict, 'x' as evidence"
)
# Figures of METRICS.md, as the evidence prints them.
QUOTED = {
    "C4": ["-24.51 billion dollars on 2025-06-05", "-1.80 % of volume on 2023-09-11"],
    "C5": ["longest run of negative months 33, Bitcoin 21, Ether 7", "negative for 1265 days"],
    "C6": ["pairs against dollar coins alone +0.65, t = 2.5", "less negative on 57 %"],
    "C10": ["return on flow 0.43 on the same day, correlation 0.04"],
    "C12": ["(82.4 % by ticker"],
    "C13": ["on 2024-12-31 by ticker 17.6 % and 77 % of 165"],
    "C17": ["34 of 100 with 50 coins", "82 on 2024-12-05, 38 on 2025-01-13"],
    "C18": ["HHI 0.0454"],
    "C24": ["correlated 0.78 with the oscillator"],
    "C26": ["31.7 million in 2024"],
    "C28": ["recycling index 0.59, random signs 0.83"],
}


def claim(sql: str) -> Claim:
    return read_claim("07_mine.sql", f"{HEAD}{sql}\n")


def judged(sql: str) -> dict:
    with duckdb.connect() as con:
        return evaluate(con, [claim(sql)]).to_pylist()[0]


# --- the files


def test_a_file_is_read_with_its_head_and_without_its_semicolon():
    head = "-- sentence: Somebody\n--   says so.\n-- unit: usd\n-- rule: a\n--   b\n"
    read = read_claim("07_mine.sql", f"{head}select 1;\n")
    assert read == Claim("C7", "Somebody says so.", "usd", "a b", "select 1")


@pytest.mark.parametrize("name", ["7_mine.sql", "007_mine.sql", "07-mine.sql", "07_Mine.sql", "mine.sql", "07_.sql"])
def test_a_name_that_is_no_claim_is_refused(name: str):
    with pytest.raises(ClaimError, match="a claim's file is named like 01_cumulative_deficit.sql"):
        read_claim(name, HEAD + ROW)


@pytest.mark.parametrize(
    ("head", "says"),
    [
        ("", "nothing"),
        ("-- sentence: a\n-- unit: usd\n", "sentence, unit"),
        ("-- sentence: a\n-- unit: usd\n-- rule:\n", "sentence, unit, rule"),
        (HEAD + "-- source: press\n", "sentence, unit, rule, source"),
        ("\n" + HEAD, "nothing"),
    ],
)
def test_a_bad_head_is_refused_with_what_it_says(head: str, says: str):
    with pytest.raises(ClaimError, match=f"07_mine.sql: its head must say sentence, unit and rule, and says {says}"):
        read_claim("07_mine.sql", head + ROW)


def test_two_files_with_one_number_are_refused(tmp_path: Path):
    for name in ("01_one.sql", "01_other.sql", "02_two.sql"):
        (tmp_path / name).write_text(HEAD + ROW)
    with pytest.raises(ClaimError, match="more than one file for C1$"):
        read_claims(tmp_path)


# --- what their SQL returns


def test_a_row_carries_the_claim_and_what_was_found():
    row = judged(ROW)
    assert row["claim_id"] == "C7" and row["sql"] == ROW and row["unit"] == "usd"
    assert (row["value"], row["control_value"], row["verdict"]) == (1.0, None, "partly")


@pytest.mark.parametrize(
    ("sql", "why"),
    [
        (ROW.replace(" as evidence", " as proof"), "returned 1 rows of .*proof"),
        (ROW.replace("1 as value, ", ""), "returned 1 rows"),
        (f"{ROW}, 1 as more", "returned 1 rows of .*more"),
        (f"{ROW} union all {ROW}", "returned 2 rows"),
        (f"{ROW} where false", "returned 0 rows"),
        (ROW.replace("'partly'", "'maybe'"), "verdict 'maybe'"),
        (ROW.replace("'partly'", "null"), "verdict None"),
        (ROW.replace("'x'", "''"), "verdict 'partly', evidence ''"),
        (ROW.replace("'x'", "null"), "verdict 'partly', evidence None"),
    ],
)
def test_what_is_no_claim_is_refused(sql: str, why: str):
    with pytest.raises(ClaimError, match=f"C7: {why}"):
        judged(sql)


# --- on the recorded market


@pytest.fixture(scope="session")
def published(market: Path) -> Path:
    """The file that analysts read."""
    return recorded.run(market) / "published" / "marts.duckdb"


@pytest.fixture(scope="session")
def register(published: Path) -> dict[str, dict]:
    """The published table."""
    with duckdb.connect(str(published), read_only=True) as con:
        rows = con.sql("from claims").to_arrow_table().to_pylist()
    assert len(rows) == len({row["claim_id"] for row in rows})
    return {row["claim_id"]: row for row in rows}


def test_all_claims_are_there_once():
    numbers = [int(path.name[:2]) for path in sorted(FOLDER.glob("*.sql"))]
    assert numbers == list(range(1, 56))


@pytest.mark.recorded
def test_the_register_has_every_file_and_known_verdicts(register: dict[str, dict]):
    claims = read_claims()
    assert set(register) == {claim.claim_id for claim in claims}
    for claim in claims:
        row = register[claim.claim_id]
        assert (row["sentence"], row["unit"], row["rule"]) == (claim.sentence, claim.unit, claim.rule)
        assert row["verdict"] in VERDICTS
        assert row["p_value"] is None or 0 <= row["p_value"] <= 1, claim.claim_id


@pytest.mark.recorded
def test_an_analyst_gets_what_the_register_says(register: dict[str, dict], published: Path):
    """The SQL of each row, run as it stands on the published file."""
    with duckdb.connect(str(published), read_only=True) as con:
        for claim_id, row in register.items():
            found = con.execute(row["sql"]).fetchall()
            assert len(found) == 1, claim_id
            again = dict(zip(COLUMNS, found[0], strict=True))
            for name in ("utc_date", "verdict", "evidence"):
                assert again[name] == row[name], (claim_id, name)
            for name in ("value", "control_value", "p_value"):
                assert (again[name] is None) == (row[name] is None), (claim_id, name)
                if row[name] is not None:
                    assert float(again[name]) == pytest.approx(row[name], rel=1e-9, abs=1e-12), (claim_id, name)


@pytest.mark.recorded
def test_where_nothing_is_stored_a_claim_says_what_it_lacks(published: Path):
    with duckdb.connect(str(published), read_only=True) as con:
        for (table,) in con.execute("SELECT table_name FROM duckdb_tables()").fetchall():
            con.execute(f'CREATE TEMP TABLE "{table}" AS FROM marts.main."{table}" LIMIT 0')
        rows = evaluate(con, read_claims()).to_pylist()
    decided = {row["claim_id"] for row in rows if row["verdict"] in ("supported", "contradicted", "partly")}
    assert decided == set()
    assert {row["claim_id"] for row in rows if row["value"] is not None} == set()


@pytest.mark.recorded
def test_dbt_knows_every_table_that_a_claim_reads(published: Path):
    model = (recorded.ROOT / "dbt_project/models/intermediate/int_claims_judged.py").read_text()
    known = set(re.findall(r'dbt\.ref\("(\w+)"\)', model))
    with duckdb.connect(str(published), read_only=True) as con:
        unknown = {claim.claim_id: con.get_table_names(claim.sql) - known for claim in read_claims()}
    assert {claim_id: tables for claim_id, tables in unknown.items() if tables} == {}


@pytest.mark.recorded
@pytest.mark.parametrize("claim_id", QUOTED)
def test_the_evidence_shows_the_figures_of_the_definition(register: dict[str, dict], claim_id: str):
    for figure in QUOTED[claim_id]:
        assert figure in register[claim_id]["evidence"]
