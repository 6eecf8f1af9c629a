"""The published snapshot as the brief asks it: rows, columns, and whether a table or a column is there at all."""

from typing import Any

from orchestration.publish import Connection, SqlError


class Snapshot:
    """`con`: a connection to published/marts.duckdb, from publish.open_published. The caller closes it."""

    def __init__(self, con: Connection):
        self.con = con
        self._answers: dict[str, tuple[list[str], list[tuple[Any, ...]], str]] = {}
        self._columns: set[tuple[str, str]] = set(
            con.execute("SELECT table_name, column_name FROM duckdb_columns() WHERE NOT internal").fetchall()
        )

    def has(self, table: str, column: str | None = None) -> bool:
        """Whether the snapshot has that table, with that column."""
        return any(name == table and column in (None, other) for name, other in self._columns)

    def rows(self, sql: str) -> tuple[list[str], list[tuple[Any, ...]], str]:
        """Names of the columns, rows, and why there are none: '' or what DuckDB says of a missing table.
        Parts that share a query share its answer."""
        if sql not in self._answers:
            try:
                cursor = self.con.execute(sql)
                names = [column[0] for column in cursor.description or []]
                self._answers[sql] = names, cursor.fetchall(), ""
            except SqlError as error:
                self._answers[sql] = [], [], str(error).partition("\n")[0]
        return self._answers[sql]

    def row(self, sql: str) -> tuple[dict[str, Any], str]:
        """The first row by column, empty where there is none, and why."""
        names, rows, why = self.rows(sql)
        return (dict(zip(names, rows[0], strict=True)) if rows else {}), why
