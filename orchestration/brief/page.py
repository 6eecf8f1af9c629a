"""From the published snapshot to brief/index.html: asks every part's query, renders, replaces the file atomically."""

import base64
import contextlib
import hashlib
import json
import os
import time
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from markupsafe import Markup, escape

from orchestration.brief import javascript, numbers, sections
from orchestration.brief.parts import Chart, Dictionary, Note, Part, Register, Section, Sentence, Table
from orchestration.brief.snapshot import Snapshot
from orchestration.publish import open_published
from orchestration.settings import Settings

HERE = Path(__file__).parent
KEPT_DAYS = 35
"""Briefs of older days are kept once a month."""


def index(settings: Settings) -> Path:
    return settings.data_dir / "brief" / "index.html"


def build(settings: Settings) -> bool:
    """Writes the brief of what is published, unless it is there already; says whether it did.

    Raises NothingPublished."""
    made_of = _made_of(settings)
    if made_of and _stands(settings, made_of):
        return False
    with open_published(settings) as con:
        html, last_day = render(
            Snapshot(con), javascript.vega(javascript.BUILT, index(settings).parent), made_of, _before(settings)
        )
    _put(settings, html, last_day)
    return True


def render(snapshot: Snapshot, vega: str, made_of: str = "", days_before: list[str] | None = None) -> tuple[str, date]:
    """The page, and the last day that the snapshot covers."""
    info, _ = snapshot.row("select * from run_info")
    last_day = info.get("last_date") or date.min
    charts: list[str] = []
    shown = [_section(snapshot, section, charts) for section in sections.sections(snapshot)]
    before = [day for day in days_before or [] if day < last_day.isoformat()]
    script = (HERE / "page.js").read_text()
    style = (HERE / "page.css").read_text()
    head = "document.documentElement.classList.add('js')"
    html = _template().render(
        info=info,
        sections=shown,
        made_of=made_of,
        before=max(before, default=None),
        style=Markup(style),
        scripts=[Markup(vega), Markup(script)],
        head_script=Markup(head),
        policy="; ".join(
            [
                "default-src 'none'",
                f"script-src {' '.join(map(_allowed, [head, vega, script]))}",
                f"style-src {_allowed(style)}",
                "img-src data:",
                "base-uri 'none'",
                "form-action 'none'",
            ]
        ),
        charts=Markup("{" + ",".join(charts) + "}"),
        phases=Markup(_phases(snapshot)),
    )
    return html, last_day


def _allowed(script: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


@cache
def _template():
    import jinja2

    loader = jinja2.FileSystemLoader(HERE)
    environment = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.globals.update(show=numbers.show, plain=numbers.plain)
    return environment.get_template("page.html")


# --- parts


def _section(snapshot: Snapshot, section: Section, charts: list[str]) -> dict[str, Any]:
    return {
        "id": section.id,
        "title": section.title,
        "groups": _grouped([_part(snapshot, part, charts) for part in section.parts]),
        "claims": _verdicts(snapshot, section.claims),
    }


def _grouped(parts: list[dict[str, Any]]) -> list[tuple[str, list[dict[str, Any]]]]:
    """Cards that follow each other stand side by side."""
    groups: list[tuple[str, list[dict[str, Any]]]] = []
    for part in parts:
        if not groups or groups[-1][0] != part["kind"] or part["kind"] != "card":
            groups.append((part["kind"], []))
        groups[-1][1].append(part)
    return groups


def _part(snapshot: Snapshot, part: Part, charts: list[str]) -> dict[str, Any]:
    if isinstance(part, Note):
        return {"kind": "note", "text": Markup(part.text)}
    if isinstance(part, Sentence):
        return _sentence(snapshot, part)
    if isinstance(part, Chart):
        return _chart(snapshot, part, charts)
    if isinstance(part, Register):
        return {"kind": "register", "claims": _register(snapshot)}
    if isinstance(part, Dictionary):
        return {"kind": "dictionary", "tables": _dictionary(snapshot)}
    return _table(snapshot, part)


def _sentence(snapshot: Snapshot, sentence: Sentence) -> dict[str, Any]:
    row, why = snapshot.row(sentence.sql)
    lacks = not row or any(row.get(name) is None for name in sentence.needs)
    if lacks:
        text = Markup(sentence.otherwise)
        figure = numbers.show(None, "text")
    else:
        text, figure = (
            numbers.filled(said if isinstance(said, str) else said(row), row)
            for said in (sentence.text, sentence.figure)
        )
    return {
        "kind": "card" if sentence.figure else sentence.kind,
        "id": sentence.id,
        "label": sentence.label,
        "text": text,
        "figure": figure,
        "sql": sentence.sql.strip(),
        "as_of": row.get("utc_date"),
        "p_value": row.get("p_value"),
        "row": row,
        "why": why,
    }


def _chart(snapshot: Snapshot, chart: Chart, charts: list[str]) -> dict[str, Any]:
    names, rows, why = snapshot.rows(chart.sql)
    filled = {name for i, name in enumerate(names) if any(row[i] is not None for row in rows)}
    # A column without any value draws nothing.
    has_rows = any(not name.endswith("_date") and not name.startswith("label") for name in filled)
    if has_rows:
        described = {
            "spec": chart.spec,
            "series": [[each.column, each.label, each.color] for each in chart.series],
            "format": chart.format,
            "isDaily": chart.is_daily,
        }
        columns = ",".join(f"{_json(name)}:{_packed([row[i] for row in rows])}" for i, name in enumerate(names))
        charts.append(f'{_json(chart.id)}:{{"chart":{_json(described)},"columns":{{{columns}}}}}')
    days = [row[names.index("utc_date")] for row in rows] if "utc_date" in names else []
    return {
        "kind": "chart",
        "id": chart.id,
        "title": chart.title,
        "unit": chart.unit,
        "about": chart.about,
        "note": chart.note,
        "has_rows": has_rows,
        "span": (min(days), max(days)) if days else None,
        "row_count": len(rows),
        "series": chart.series,
        "filled": filled,
        "is_daily": chart.is_daily,
        "is_log_offered": chart.is_log_offered,
        "is_wide": chart.is_wide,
        "sql": chart.sql.strip(),
        "why": why,
    }


def _table(snapshot: Snapshot, table: Table) -> dict[str, Any]:
    names, rows, why = snapshot.rows(table.sql)
    places = [names.index(column.name) if column.name in names else None for column in table.columns]
    return {
        "kind": "table",
        "id": table.id,
        "title": table.title,
        "note": table.note,
        "columns": table.columns,
        "rows": [
            [
                (None if place is None or row[place] is None else row[place], column.format)
                for place, column in zip(places, table.columns, strict=True)
            ]
            for row in rows
        ],
        "is_sortable": table.is_sortable,
        "filter_id": table.filter_id,
        "is_collapsed": table.is_collapsed,
        "sql": table.sql.strip(),
        "why": why,
    }


def _verdicts(snapshot: Snapshot, claims: tuple[int, ...]) -> list[dict[str, Any]]:
    if not claims:
        return []
    names, rows, _ = snapshot.rows(
        "select claim_id, sentence, verdict, evidence from claims "
        f"where claim_id in ({', '.join(repr(f'C{number}') for number in claims)}) "
        "order by cast(substr(claim_id, 2) as integer)"
    )
    return [dict(zip(names, row, strict=True)) for row in rows]


def _register(snapshot: Snapshot) -> list[dict[str, Any]]:
    """One part for each claim; its row holds everything but the query."""
    names, rows, _ = snapshot.rows("select * from claims order by cast(substr(claim_id, 2) as integer)")
    claims = []
    for row in rows:
        claim = dict(zip(names, row, strict=True))
        form = {"usd": "usd", "count": "count", "days": "count", "months": "count"}.get(claim["unit"], "number")
        values = {
            name: numbers.Value(name, claim[name]).__html_format__(form) for name in ("value", "control_value")
        } | {"p_value": numbers.Value("p_value", claim["p_value"]).__html_format__("p")}
        kept = {name: claim[name] for name in ("utc_date", "value", "control_value", "p_value", "verdict")}
        claims.append({**claim, "kind": "claim", "id": claim["claim_id"], "shown": values, "row": kept, "why": ""})
    return claims


def _dictionary(snapshot: Snapshot) -> list[dict[str, Any]]:
    _, columns, _ = snapshot.rows(
        "select table_name, column_name, data_type, comment from duckdb_columns() where not internal "
        "order by table_name, column_index"
    )
    _, tables, _ = snapshot.rows("select table_name, comment from duckdb_tables() where not internal order by 1")
    by_table: dict[str, list[tuple[str, str, str | None]]] = {}
    for table, *column in columns:
        by_table.setdefault(table, []).append(tuple(column))
    return [{"name": name, "comment": comment, "columns": by_table.get(name, [])} for name, comment in tables]


# --- data


def _json(value: Any) -> str:
    """JSON that may stand in a script element."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=numbers.plain)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


EPOCH = date(1970, 1, 1)


def _packed(values: list[Any]) -> str:
    """One column as JSON: numbers with five digits, days as {"days": numbers since 1970}, steps where they are even."""
    kinds = {type(value) for value in values if value is not None}
    if kinds and kinds <= {date, datetime}:
        days = [(date(value.year, value.month, value.day) - EPOCH).days for value in values if value is not None]
        steps = {after - before for before, after in pairwise(days)}
        if len(steps) == 1 and len(days) == len(values):
            return f'{{"first":{days[0]},"step":{steps.pop()},"count":{len(days)}}}'
        known = iter(days)
        return f'{{"days":{_json([None if value is None else next(known) for value in values])}}}'
    if kinds and kinds <= {int, float, Decimal}:
        return "[" + ",".join("null" if value is None else _five_digits(value) for value in values) + "]"
    return _json([value if value is None or isinstance(value, bool) else numbers.text_only(value) for value in values])


def _five_digits(value: int | float | Decimal) -> str:
    number = float(value)
    if number != number or number in (float("inf"), float("-inf")):
        return "null"
    text = f"{number:.5g}"
    if "e" not in text:
        return text
    mantissa, _, exponent = text.partition("e")
    return f"{mantissa}e{int(exponent)}"


def _phases(snapshot: Snapshot) -> str:
    _, rows, _ = snapshot.rows(
        "select phase, first_date, least(coalesce(last_date, (select last_date from run_info)), "
        "(select last_date from run_info)) as last_date, description from market_phases "
        "where first_date <= (select last_date from run_info) order by first_date"
    )
    return _json(
        [
            [numbers.text_only(phase).replace("_", " "), (first - EPOCH).days, (last - EPOCH).days + 1, about]
            for phase, first, last, about in rows
        ]
    )


# --- files


@cache
def _code() -> str:
    """What the brief is made by: a hash of this package."""
    digest = hashlib.sha256()
    for path in sorted(HERE.rglob("*")):
        if path.suffix in (".py", ".html", ".css", ".js"):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _made_of(settings: Settings) -> str:
    """Which build of the marts, published by which code, a brief is made of; '' where nobody can say."""
    try:
        manifest = json.loads((settings.published_dir / "manifest.json").read_text())
    except (OSError, ValueError):
        return ""
    build_run_id = manifest.get("build_run_id")
    return f"{build_run_id} {manifest.get('code_version')} {_code()}" if build_run_id else ""


def _stands(settings: Settings, made_of: str) -> bool:
    """Whether index.html is made of that."""
    try:
        with open(index(settings), encoding="utf-8") as file:
            return f'<meta name="made-of" content="{escape(made_of)}">' in file.read(4096)
    except OSError:
        return False


def _before(settings: Settings) -> list[str]:
    return sorted(path.stem for path in index(settings).parent.glob("????-??-??.html"))


def _put(settings: Settings, html: str, last_day: date) -> None:
    """The brief of its day, and the same file as index.html: each is there as a whole or not at all."""
    final = index(settings)
    final.parent.mkdir(parents=True, exist_ok=True)
    for left in (path for pattern in (".brief.*", ".index.*") for path in final.parent.glob(pattern)):
        if left.stat().st_mtime < time.time() - 3600:  # by one that was killed; a younger one may still be writing
            left.unlink(missing_ok=True)
    aside = final.with_name(f".brief.{os.getpid()}")
    aside.write_text(html, encoding="utf-8")
    with open(aside, "rb") as file:
        os.fsync(file.fileno())
    link = final.with_name(f".index.{os.getpid()}")
    link.unlink(missing_ok=True)
    os.link(aside, link)
    os.replace(aside, final.with_name(f"{last_day.isoformat()}.html"))
    os.replace(link, final)
    _thin_out(final.parent, last_day)


def _thin_out(folder: Path, last_day: date) -> None:
    """Of months that are over, the last brief stays; of the last KEPT_DAYS all."""
    by_month: dict[str, list[Path]] = {}
    for path in sorted(folder.glob("????-??-??.html")):
        by_month.setdefault(path.stem[:7], []).append(path)
    for paths in by_month.values():
        for path in paths[:-1]:
            with contextlib.suppress(ValueError):
                if (last_day - date.fromisoformat(path.stem)).days > KEPT_DAYS:
                    path.unlink()
