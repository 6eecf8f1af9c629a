"""The claim register: each claim is one file of SQL, which an analyst can run on the published file as it stands.

A file of `dbt_project/claims/` is named `<number>_<what>.sql`, begins with comments that say the sentence, the unit
and the rule, and returns one row:

    -- sentence: …         what is said, by the press or in the field
    -- unit: usd           of value and control_value: usd, ratio, days, months, index, count …
    -- rule: …             how the verdict follows from the value, and what would refute it
    select utc_date, value, control_value, p_value, verdict, evidence

A comment may go on over several lines, which then begin with `--   `.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from orchestration.settings import ROOT

FOLDER = ROOT / "dbt_project" / "claims"
VERDICTS = ("supported", "contradicted", "partly", "no data", "not comparable", "not measurable")
COLUMNS = ("utc_date", "value", "control_value", "p_value", "verdict", "evidence")
SCHEMA = pa.schema(
    [
        ("claim_id", pa.string()),
        ("utc_date", pa.date32()),
        ("sentence", pa.string()),
        ("sql", pa.string()),
        ("value", pa.float64()),
        ("unit", pa.string()),
        ("verdict", pa.string()),
        ("rule", pa.string()),
        ("evidence", pa.string()),
        ("control_value", pa.float64()),
        ("p_value", pa.float64()),
    ]
)
_NAME = re.compile(r"(\d\d)_[a-z0-9_]+\.sql")


class ClaimError(Exception):
    """A file of the register cannot be read, or its SQL does not return what a claim is."""


@dataclass(frozen=True)
class Claim:
    """One file of the register. `sql`: without the comments at its head."""

    claim_id: str
    sentence: str
    unit: str
    rule: str
    sql: str


def read_claims(folder: Path = FOLDER) -> list[Claim]:
    """All claims, by number. Raises ClaimError."""
    claims = [read_claim(path.name, path.read_text()) for path in sorted(folder.glob("*.sql"))]
    ids = [claim.claim_id for claim in claims]
    if twice := {claim_id for claim_id in ids if ids.count(claim_id) > 1}:
        raise ClaimError(f"{folder}: more than one file for {', '.join(sorted(twice))}")
    return claims


def read_claim(name: str, text: str) -> Claim:
    """The claim of a file called `name`. Raises ClaimError."""
    matched = _NAME.fullmatch(name)
    if not matched:
        raise ClaimError(f"{name}: a claim's file is named like 01_cumulative_deficit.sql")
    said: dict[str, str] = {}
    label = ""
    lines = text.splitlines()
    while lines and lines[0].startswith("--"):
        line = lines.pop(0).removeprefix("--")
        if line.startswith("   ") and label:
            said[label] += f" {line.strip()}"
        else:
            label, _, what = line.strip().partition(": ")
            said[label] = what.strip()
    if said.keys() != {"sentence", "unit", "rule"} or not all(said.values()):
        raise ClaimError(f"{name}: its head must say sentence, unit and rule, and says {', '.join(said) or 'nothing'}")
    sql = "\n".join(lines).strip().removesuffix(";")
    return Claim(f"C{int(matched[1])}", said["sentence"], said["unit"], said["rule"], sql)


def evaluate(con: Any, claims: Sequence[Claim]) -> pa.Table:
    """A row of `claims` for each: what its SQL returns on the marts that `con`, a connection, finds without
    naming a schema. Raises ClaimError."""
    rows = []
    for claim in claims:
        result = con.execute(claim.sql)
        names = tuple(column[0] for column in result.description or ())
        found = result.fetchall()
        if names != COLUMNS or len(found) != 1:
            raise ClaimError(
                f"{claim.claim_id}: returned {len(found)} rows of ({', '.join(names)}); "
                f"a claim is one row of ({', '.join(COLUMNS)})"
            )
        row = dict(zip(names, found[0], strict=True))
        if row["verdict"] not in VERDICTS or not row["evidence"]:
            raise ClaimError(f"{claim.claim_id}: verdict {row['verdict']!r}, evidence {row['evidence']!r}")
        for name in ("value", "control_value", "p_value"):
            row[name] = None if row[name] is None else float(row[name])
        head = {name: getattr(claim, name) for name in ("claim_id", "sentence", "unit", "rule", "sql")}
        rows.append(head | row)
    return pa.Table.from_pylist(rows, schema=SCHEMA)
