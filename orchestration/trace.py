"""From a published number to the bodies it was read from, with nothing but the published file.

`trace_routes` says, for each mart and column, which rows of which published table a number is made of; a table with a
column `body_sha256` ends the way. Where a route names an aggregate, it is computed again and compared: the published
value is proved, not asserted. Raises TraceError for a question that has no answer; its message says what to ask.
"""

import difflib
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

from orchestration.publish import Connection, SqlError

LARGEST = 10
"""contributions that are shown"""
MOST_ROWS = 1_000
"""rows of one day whose values are kept one by one"""
RELATIVE = 1e-12
"""what the same sum of doubles in another order may differ by"""
SUM = re.compile(r"sum\((source\.\w+)\)")


class TraceError(Exception):
    """What was asked cannot be traced; the message says why and what to ask instead."""


class NoRow(TraceError):
    """The table has no such row on that day."""


@dataclass(frozen=True)
class Made:
    """A number and what its rows come to. `recomputed`: None where the route names no aggregate for this row."""

    key: dict[str, Any]
    published: Any
    recomputed: Any
    is_equal: bool | None


@dataclass(frozen=True)
class Step:
    """Rows of one published table that the number is made of. Days are included."""

    table: str
    below: str
    row_count: int
    first_date: date | None
    last_date: date | None
    body_count: int | None


@dataclass(frozen=True)
class Contribution:
    """One row below the number and its part of the sum."""

    key: dict[str, Any]
    value: Any


@dataclass(frozen=True)
class TracedBody:
    """A body as received: where it came from, and how many rows below the number cite it.

    `sources`: address, SHA-256 and size of each file that it was read from; one, the body itself, but for trades that
    were reduced where they were read. `last_date` and `series`: the newest of these rows, to be looked up in it."""

    body_sha256: str
    upstream: str | None
    fetched_at: Any
    row_count: int
    last_date: date | None
    series: str | None
    sources: list[dict[str, Any]]


@dataclass
class Trace:
    """What one number (or the numbers of one day) is made of."""

    table: str
    day_column: str
    day: date
    column: str | None
    meaning: str | None
    expression: str | None
    row_count: int
    numbers: list[Made]
    steps: list[Step] = field(default_factory=list)
    largest: list[Contribution] = field(default_factory=list)
    others: Contribution | None = None
    bodies: list[TracedBody] = field(default_factory=list)
    reads: list[str] = field(default_factory=list)
    why_null: list[str] = field(default_factory=list)

    @property
    def is_proved(self) -> bool | None:
        """Whether every number that can be computed again came out as published; None where none can."""
        said = [made.is_equal for made in self.numbers if made.is_equal is not None]
        return all(said) if said else None

    def data(self, most_bodies: int | None = None) -> dict[str, Any]:
        """All of it as plain data; `most_bodies` cuts the list, never the count."""
        bodies = [asdict(body) for body in self.bodies]
        return {
            **{
                name: value
                for name, value in vars(self).items()
                if name in ("table", "day", "column", "meaning", "expression")
            },
            "row_count": self.row_count,
            "numbers": [asdict(made) for made in self.numbers],
            "is_proved": self.is_proved,
            "made_of": [asdict(step) for step in self.steps],
            "largest": [asdict(part) for part in self.largest],
            "others": asdict(self.others) if self.others else None,
            "reads": self.reads,
            "why_null": self.why_null,
            "body_count": len(self.bodies),
            "bodies": bodies[:most_bodies],
        }


def trace(con: Connection, table: str, day: date, column: str | None = None, where: str | None = None) -> Trace:
    """What the rows of `table` on that day are made of; `where` (SQL) chooses among them."""
    table = table.removeprefix("marts.")
    published = tables(con)
    if table not in published:
        raise TraceError(f"no published table is called {table}{_meant(table, published)}")
    columns = published[table]
    routes = _routes(con, table)
    day_column = routes[0]["day_column"] if routes else "utc_date"
    if day_column not in columns:
        raise TraceError(f"{table} has no day: its rows are not of one day, so there is nothing to look up by date")
    if column and column not in columns:
        raise TraceError(f"{table} has no column {column}{_meant(column, list(columns))}")
    numbers = _choose_rows(con, table, day_column, day, where)
    found = Trace(table, day_column, day, column, None, None, numbers, [])
    if "sql" in columns:
        if numbers > 1:
            raise TraceError(f"{numbers} claims are of {day}: choose one, as with --where \"claim_id = 'C1'\"")
        _through_query(con, found)
    else:
        if column is None:
            sums = [route["column_name"] for route in routes if route["expression"] and route["route_number"] == 1]
            found.column = next(iter([*sums, *_figures(columns)]), None)
        _prove(con, found, columns, [route for route in routes if route["column_name"] == found.column])
    found.meaning = _comment(con, found)
    _follow(con, found, published)
    _find_bodies(con, found, published)
    found.why_null = _why_null(con, found, columns)
    return found


def tables(con: Connection) -> dict[str, dict[str, str]]:
    """Type of each column, by table; in the order of the columns."""
    rows = con.execute(
        "SELECT table_name, column_name, data_type FROM duckdb_columns() "
        "WHERE database_name = current_database() AND schema_name = 'main' ORDER BY table_name, column_index"
    ).fetchall()
    found: dict[str, dict[str, str]] = {}
    for table, column, kind in rows:
        found.setdefault(table, {})[column] = kind
    if "trace_routes" not in found:
        raise TraceError("this snapshot was published by a version without routes: run `altflow run` once")
    return found


def _meant(name: str, known: Sequence[str] | dict) -> str:
    close = difflib.get_close_matches(name, list(known), n=3, cutoff=0.4)
    return f"; closest: {', '.join(close)}" if close else "; `altflow sql` and .tables list them"


def _routes(con: Connection, table: str) -> list[dict[str, Any]]:
    return _rows(con, "SELECT * FROM trace_routes WHERE table_name = ? ORDER BY route_number", [table])


def _rows(con: Connection, sql: str, parameters: Sequence[Any] = ()) -> list[dict[str, Any]]:
    cursor = con.execute(sql, list(parameters))
    names = [column[0] for column in cursor.description or []]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _scalar(con: Connection, sql: str, parameters: Sequence[Any] = ()) -> Any:
    return con.execute(sql, list(parameters)).fetchall()[0][0]


def _choose_rows(con: Connection, table: str, day_column: str, day: date, where: str | None) -> int:
    """Keeps the rows of the number in `mart_rows` (rowid, and their order); returns how many."""
    condition = f"({where})" if where else "true"
    try:
        con.execute(
            f'CREATE OR REPLACE TEMP TABLE mart_rows AS SELECT rowid AS row_id FROM "{table}" '
            f'WHERE "{day_column}" = ? AND {condition}',
            [day],
        )
    except SqlError as error:
        raise TraceError(f"--where {where}: {error}") from None
    count = _scalar(con, "SELECT count(*) FROM mart_rows")
    if count:
        return count
    before, after = con.execute(
        "SELECT max(near.day) FILTER (near.day < $day), min(near.day) FILTER (near.day > $day) "
        f'FROM (SELECT "{day_column}" AS day FROM "{table}" WHERE {condition}) AS near',
        {"day": day},
    ).fetchall()[0]
    if before is None and after is None:
        empty = _scalar(con, f'SELECT count(*) FROM "{table}"') == 0
        raise NoRow(f"{table} is empty" if empty else f"{table} has no row with {where} on any day")
    near = ", ".join(str(found) for found in (before, after) if found)
    raise NoRow(f"{table} has no row on {day}{f' with {where}' if where else ''}; the nearest days with one: {near}")


def _key_columns(columns: dict[str, str]) -> list[str]:
    """The columns that name a row: the text and days that stand before its first figure."""
    names = []
    for name, kind in columns.items():
        if kind not in ("VARCHAR", "DATE", "TIMESTAMP") or len(names) == 4:
            break
        names.append(name)
    return names


def _figures(columns: dict[str, str]) -> list[str]:
    """Columns that hold a number, the flow first."""
    names = [name for name, kind in columns.items() if kind.startswith(("DECIMAL", "DOUBLE", "BIGINT", "INTEGER"))]
    return sorted(names, key=lambda name: name != "net_taker_usd")


def _prove(con: Connection, found: Trace, columns: dict[str, str], routes: list[dict[str, Any]]) -> None:
    """The published value of each row, beside what the rows below it come to."""
    column = found.column
    shown = [name for name in _key_columns(columns) if name != found.day_column] or [found.day_column]
    keys = ", ".join(f'mart."{name}"' for name in shown)
    value = f'mart."{column}"' if column else "NULL"
    rows = con.execute(
        f'SELECT mart.rowid, {value}, {keys} FROM "{found.table}" AS mart '
        f"WHERE mart.rowid IN (SELECT row_id FROM mart_rows) ORDER BY mart.rowid LIMIT {MOST_ROWS}"
    ).fetchall()
    proof = next((route for route in routes if route["expression"]), None)
    recomputed: dict[int, Any] = {}
    if proof:
        found.expression = proof["expression"]
        recomputed = dict(
            con.execute(
                f'SELECT mart.rowid, {proof["expression"]} FROM "{found.table}" AS mart, '
                f'"{proof["source_name"]}" AS source WHERE mart.rowid IN (SELECT row_id FROM mart_rows) '
                f"AND ({proof['source_condition']}) GROUP BY mart.rowid"
            ).fetchall()
        )
        sums = SUM.search(proof["expression"])
        if len(rows) == 1 and sums and rows[0][1] is not None:
            _contributions(con, found, proof, sums[1])
    for row_id, published, *values in rows:
        again = recomputed.get(row_id)
        is_equal = None if again is None or published is None else _same(published, again)
        found.numbers.append(Made(dict(zip(shown, values, strict=True)), published, again, is_equal))


def _same(published: Any, recomputed: Any) -> bool:
    if isinstance(published, float) or isinstance(recomputed, float):
        return abs(float(published) - float(recomputed)) <= RELATIVE * max(abs(float(published)), 1e-9)
    if isinstance(published, (Decimal, int)) and isinstance(recomputed, (Decimal, int)):
        return Decimal(published) == Decimal(recomputed)
    return published == recomputed


def _contributions(con: Connection, found: Trace, route: dict[str, Any], value: str) -> None:
    """The largest parts of a plain sum, and what the others come to."""
    columns = tables(con)[route["source_name"]]
    keys = _key_columns(columns)[:3]
    parts = con.execute(
        f'SELECT {value}, {", ".join(f"source.{key}" for key in keys)} FROM "{found.table}" AS mart, '
        f'"{route["source_name"]}" AS source WHERE mart.rowid IN (SELECT row_id FROM mart_rows) '
        f"AND ({route['source_condition']}) AND {value} IS NOT NULL "
        f"ORDER BY abs({value}) DESC, {', '.join(f'source.{key}' for key in keys)} LIMIT {LARGEST}"
    ).fetchall()
    count, total = con.execute(
        f'SELECT count({value}), sum({value}) FROM "{found.table}" AS mart, "{route["source_name"]}" AS source '
        f"WHERE mart.rowid IN (SELECT row_id FROM mart_rows) AND ({route['source_condition']})"
    ).fetchall()[0]
    found.largest = [Contribution(dict(zip(keys, key, strict=True)), part) for part, *key in parts]
    if count > len(parts):
        rest = total - sum(part.value for part in found.largest)
        found.others = Contribution({"row_count": count - len(parts)}, rest)


def _through_query(con: Connection, found: Trace) -> None:
    """A claim carries its query: run again, it must say the same."""
    found.column = "value"
    rows = con.execute(
        "SELECT claim_id, sql, value, utc_date FROM claims WHERE rowid IN (SELECT row_id FROM mart_rows) ORDER BY rowid"
    ).fetchall()
    words: set[str] = set()
    for claim, sql, value, _ in rows:
        words |= set(re.findall(r"\w+", sql))
        again = _rows(con, sql)[0].get("value")
        again = float(again) if again is not None else None
        is_equal = None if value is None or again is None else _same(value, again)
        found.numbers.append(Made({"claim_id": claim}, value, again, is_equal))
    found.expression = "the query in the column sql, run again"
    found.reads = sorted(words & tables(con).keys())


def _follow(con: Connection, found: Trace, published: dict[str, dict[str, str]]) -> None:
    """Goes down the routes; keeps the rows reached in temporary tables `reached_<table>` (rowid)."""
    con.execute("CREATE OR REPLACE TEMP TABLE fresh AS FROM mart_rows")
    reached: dict[str, int] = {}
    ways: list[tuple[str, str, str | None, tuple[str, ...]]] = []
    if found.reads:
        for table in found.reads:
            days = _routes(con, table)
            day_column = days[0]["day_column"] if days else "utc_date"
            if day_column in published[table]:
                reached[table] = _reach(
                    con, table, f'SELECT rowid FROM "{table}" WHERE "{day_column}" = ?', reached, [found.day]
                )
                _note(con, found, published, table, "its query")
                ways.append((table, f"reached_{table}", None, (table,)))
    else:
        ways.append((found.table, "mart_rows", found.column, (found.table,)))
    if "body_sha256" in published[found.table] and not found.reads:
        reached[found.table] = _reach(con, found.table, "SELECT row_id FROM mart_rows", reached)
    while ways:
        table, rows, column, path = ways.pop(0)
        for route in _taken(_routes(con, table), column):
            source = route["source_name"]
            # A table leads to other rows of itself once, and never back up.
            if source in path and (source != table or path.count(source) > 1):
                continue
            named = sorted(set(re.findall(r"\bmart\.(\w+)", route["source_condition"])))
            marts = f'SELECT DISTINCT {", ".join(named) or "1 AS one"} FROM "{table}" WHERE rowid IN (FROM {rows})'
            count = _reach(
                con,
                source,
                f'SELECT source.rowid FROM "{source}" AS source WHERE EXISTS '
                f"(FROM ({marts}) AS mart WHERE {route['source_condition']})",
                reached,
            )
            if count:
                reached[source] = reached.get(source, 0) + count
                _note(con, found, published, source, table)
                ways.append((source, f"reached_{source}", route["source_column"], (*path, source)))


def _taken(routes: list[dict[str, Any]], column: str | None) -> list[dict[str, Any]]:
    """One row per route that leads to the column; to all columns where it names none of its own."""
    own = [route for route in routes if column and route["column_name"] == column]
    taken = own or [route for route in routes if route["column_name"] == "*"] or routes
    return list({route["route_number"]: route for route in taken}.values())


def _reach(con: Connection, table: str, sql: str, reached: dict[str, int], parameters: Sequence[Any] = ()) -> int:
    """Adds the rows that are new; returns how many were."""
    if table not in reached:
        con.execute(f"CREATE OR REPLACE TEMP TABLE reached_{table} (row_id BIGINT)")
    con.execute(
        f"INSERT INTO reached_{table} SELECT DISTINCT row_id FROM ({sql}) AS found(row_id) "
        f"WHERE row_id NOT IN (FROM reached_{table})",
        list(parameters),
    )
    return _scalar(con, f"SELECT count(*) FROM reached_{table}") - reached.get(table, 0)


def _note(con: Connection, found: Trace, published: dict[str, dict[str, str]], table: str, below: str) -> None:
    """What was reached of a table by now, in the place of what was said of it before."""
    columns = published[table]
    first, last = next(
        ((a, b) for a, b in (("utc_date", "utc_date"), ("first_date", "last_date")) if a in columns), ("NULL", "NULL")
    )
    bodies = "count(DISTINCT body_sha256)" if "body_sha256" in columns else "NULL"
    row = con.execute(
        f'SELECT count(*), min({first}), max({last}), {bodies} FROM "{table}" WHERE rowid IN (FROM reached_{table})'
    ).fetchall()[0]
    before = next((step for step in found.steps if step.table == table), None)
    found.steps = [step for step in found.steps if step.table != table]
    found.steps.append(Step(table, before.below if before else below, *row))


def _find_bodies(con: Connection, found: Trace, published: dict[str, dict[str, str]]) -> None:
    """The bodies that the rows reached cite; those of the largest contributions first."""
    ends = [step.table for step in found.steps if "body_sha256" in published[step.table]]
    if "body_sha256" in published[found.table] and found.table not in ends:
        ends.append(found.table)
    if not ends:
        return
    cited = " UNION ALL BY NAME ".join(
        f"SELECT body_sha256, {_last_day(published[table])} AS last_date, {_series(published[table])} AS series "
        f'FROM "{table}" WHERE rowid IN (FROM reached_{table})'
        for table in ends
    )
    rows = con.execute(
        f"""
        WITH cited AS ({cited}), bodies AS (
            SELECT body_sha256, count(*) AS row_count, max_by(least(last_date, $day), last_date) AS last_date,
                max_by(series, coalesce(last_date, DATE '1970-01-01')) AS series FROM cited GROUP BY ALL
        ), files AS (
            SELECT body_sha256, any_value(upstream) AS upstream, min(fetched_at) AS fetched_at,
                list({{'url': url, 'file_sha256': file_sha256, 'byte_count': byte_count}} ORDER BY url) AS sources
            FROM source_files GROUP BY ALL
        )
        SELECT body_sha256, upstream, fetched_at, row_count, last_date, series, coalesce(sources, [])
        FROM bodies LEFT JOIN files USING (body_sha256) ORDER BY row_count DESC, upstream, series, body_sha256
        """,
        {"day": found.day},
    ).fetchall()
    bodies = {row[0]: TracedBody(*row) for row in rows}
    first = []
    for part in found.largest:
        sha256 = _cited_by(con, part.key, published)
        if sha256 in bodies:
            body = bodies.pop(sha256)
            series = part.key.get("symbol") or body.series
            first.append(TracedBody(**{**vars(body), "last_date": part.key.get("utc_date"), "series": series}))
    found.bodies = [*first, *bodies.values()]


def _last_day(columns: dict[str, str]) -> str:
    return "utc_date" if "utc_date" in columns else "last_date"


def _series(columns: dict[str, str]) -> str:
    return next((name for name in ("symbol", "series", "series_id", "base_asset") if name in columns), "NULL")


def _cited_by(con: Connection, key: dict[str, Any], published: dict[str, dict[str, str]]) -> str | None:
    if set(key) != {"exchange", "symbol", "utc_date"}:
        return None
    rows = con.execute(
        "SELECT body_sha256 FROM daily_symbol_flows WHERE exchange = $exchange AND symbol = $symbol "
        "AND utc_date = $utc_date",
        key,
    ).fetchall()
    return rows[0][0] if rows else None


def _comment(con: Connection, found: Trace) -> str | None:
    """What the column says of itself."""
    return _scalar(
        con,
        "SELECT max(comment) FROM duckdb_columns() WHERE table_name = ? AND column_name = ?",
        [found.table, found.column],
    )


def _why_null(con: Connection, found: Trace, columns: dict[str, str]) -> list[str]:
    """Of a number that is not there: how its row was judged, and what was not covered."""
    if not found.column or all(made.published is not None for made in found.numbers):
        return []
    said = []
    judged = [name for name in columns if re.search(r"coverage|complete|covered|reason|_days$|_count$", name)]
    if judged and found.row_count == 1:
        row = _rows(
            con,
            f'SELECT {", ".join(judged)} FROM "{found.table}" WHERE rowid IN (FROM mart_rows)',
        )[0]
        said.append("its row: " + ", ".join(f"{name} {value}" for name, value in row.items() if value is not None))
    spans = [(step.first_date, step.last_date) for step in found.steps if step.first_date and step.last_date]
    first = min((span[0] for span in spans), default=found.day)
    if "window_start_date" in columns:
        first = _scalar(con, f'SELECT min(window_start_date) FROM "{found.table}" WHERE rowid IN (FROM mart_rows)')
    reasons = con.execute(
        "SELECT exchange, dataset, reason, count(*), sum(expected_count - present_count)::BIGINT, min(utc_date), "
        "max(utc_date) FROM coverage_daily WHERE utc_date BETWEEN ? AND ? AND present_count < expected_count "
        "GROUP BY ALL ORDER BY 5 DESC LIMIT 5",
        [first, found.day],
    ).fetchall()
    said += [
        f"missing {exchange} {dataset}: {missing:,} rows on {days:,} days of {start} .. {end}: {reason}"
        for exchange, dataset, reason, days, missing, start, end in reasons
    ]
    listed_from = _scalar(con, "SELECT min(utc_date) FROM coverage_daily")
    if listed_from and first < listed_from:
        said.append(f"the run begins on {listed_from}: days before it were not asked for")
    return said
