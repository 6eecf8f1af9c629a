"""DDL of the schema `raw`, made from `records`: the tables that dbt and the warehouse share."""

import re

import pyarrow as pa

from orchestration.records import RECORDS, Record

VERSION = 1

TYPES = {
    pa.string(): "VARCHAR",
    pa.date32(): "DATE",
    pa.float64(): "DOUBLE",
    pa.int64(): "BIGINT",
    pa.bool_(): "BOOLEAN",
    pa.timestamp("us"): "TIMESTAMP",
}

HOUSEKEEPING = {
    "warehouse_info": """One row: what this data folder belongs to
        source VARCHAR NOT NULL, market VARCHAR, schema_version INTEGER NOT NULL, created_at TIMESTAMP NOT NULL""",
    "runs": """One row per run that wrote to the warehouse
        run_id VARCHAR NOT NULL, source VARCHAR NOT NULL, synthetic BOOLEAN NOT NULL,
        first_date DATE NOT NULL, last_date DATE NOT NULL, code_version VARCHAR NOT NULL,
        started_at TIMESTAMP NOT NULL""",
    "loads": """One row per transaction that wrote rows
        load_id BIGINT NOT NULL, run_id VARCHAR NOT NULL, table_name VARCHAR NOT NULL, scope VARCHAR NOT NULL,
        start_date DATE, end_date DATE, received_count BIGINT NOT NULL, inserted_count BIGINT NOT NULL,
        changed_count BIGINT NOT NULL, deleted_count BIGINT NOT NULL, rounded_count BIGINT NOT NULL,
        loaded_at TIMESTAMP NOT NULL""",
    "changes": """One row per table, exchange and day that a load touched
        table_name VARCHAR NOT NULL, exchange VARCHAR NOT NULL, utc_date DATE, load_id BIGINT NOT NULL""",
    "quarantine": """One row per row that was refused
        table_name VARCHAR NOT NULL, row_key VARCHAR NOT NULL, utc_date DATE, reason VARCHAR NOT NULL,
        row_json VARCHAR NOT NULL, body_sha256 VARCHAR NOT NULL, run_id VARCHAR NOT NULL,
        quarantined_at TIMESTAMP NOT NULL""",
    "source_files": """One row per archived body: the index of the archive
        body_sha256 VARCHAR NOT NULL, upstream VARCHAR NOT NULL, dataset VARCHAR NOT NULL, url VARCHAR NOT NULL,
        status INTEGER NOT NULL, fetched_at TIMESTAMP NOT NULL, byte_count BIGINT NOT NULL,
        pack VARCHAR NOT NULL, pack_offset BIGINT NOT NULL, pack_length BIGINT NOT NULL, context VARCHAR NOT NULL""",
    "gaps": """One row per run, upstream, dataset and thing that was asked for and did not arrive
        run_id VARCHAR NOT NULL, upstream VARCHAR NOT NULL, dataset VARCHAR NOT NULL, scope VARCHAR NOT NULL,
        start_date DATE, end_date DATE, reason VARCHAR NOT NULL, message VARCHAR NOT NULL,
        noticed_at TIMESTAMP NOT NULL""",
    "absences": """One row per upstream, dataset, scope and days that the upstream says it does not have (yet)
        run_id VARCHAR NOT NULL, upstream VARCHAR NOT NULL, dataset VARCHAR NOT NULL, scope VARCHAR NOT NULL,
        start_date DATE NOT NULL, end_date DATE NOT NULL, reason VARCHAR NOT NULL, message VARCHAR NOT NULL,
        noticed_at TIMESTAMP NOT NULL""",
    "asked": """One row per upstream, dataset and scope: the days that were asked for and answered
        upstream VARCHAR NOT NULL, dataset VARCHAR NOT NULL, scope VARCHAR NOT NULL,
        start_date DATE NOT NULL, end_date DATE NOT NULL, answered_at TIMESTAMP NOT NULL""",
    "builds": """At most one row: what the marts in this file were built from, and by which run
        data_version VARCHAR NOT NULL, models_version VARCHAR NOT NULL, run_id VARCHAR NOT NULL,
        built_at TIMESTAMP NOT NULL""",
    "published_headlines": """One row per publish that changed it, definition and day: what stood published
        run_id VARCHAR NOT NULL, published_at TIMESTAMP NOT NULL, definition_id VARCHAR NOT NULL,
        utc_date DATE NOT NULL, value DECIMAL(38, 8)""",
    "publications": """One row per publish and definition: what the published file held, to replay the log of headlines
        run_id VARCHAR NOT NULL, published_at TIMESTAMP NOT NULL, definition_id VARCHAR NOT NULL,
        value_count BIGINT NOT NULL, value_sum_usd DECIMAL(38, 8) NOT NULL""",
    "check_results": """One row per check and scope: verdicts that are known after dbt, just before publishing
        check_id VARCHAR NOT NULL, scope VARCHAR NOT NULL, utc_date DATE NOT NULL, passed BOOLEAN, value DOUBLE,
        threshold DOUBLE, severity VARCHAR NOT NULL, impact_usd DECIMAL(38, 8), reason VARCHAR NOT NULL""",
    "alerts": """One row per alert: alerts.jsonl as it stood at the last publish
        alert_id VARCHAR NOT NULL, kind VARCHAR NOT NULL, subject VARCHAR NOT NULL, severity VARCHAR NOT NULL,
        utc_date DATE, message VARCHAR NOT NULL, run_id VARCHAR, begun_at TIMESTAMP NOT NULL, resolved_at TIMESTAMP,
        delivery VARCHAR NOT NULL, sent_at TIMESTAMP, attempt_count BIGINT NOT NULL""",
}


def _columns(record: Record) -> str:
    lines = []
    for column in record.schema:
        kind = TYPES.get(column.type, "DECIMAL(38, 12)")
        lines.append(f"{column.name} {kind}{'' if column.nullable else ' NOT NULL'}")
    return ", ".join(lines)


def _tables() -> dict[str, str]:
    """Every raw table with its columns as SQL."""
    tables = {}
    for table, record in RECORDS.items():
        tables[table] = f"{_columns(record)}, load_id BIGINT NOT NULL, loaded_at TIMESTAMP NOT NULL"
        history = "replaced_by_load_id BIGINT NOT NULL, replaced_at TIMESTAMP NOT NULL"
        tables[f"{table}_history"] = f"{tables[table]}, {history}"
    return tables | {table: text.split("\n", 1)[1] for table, text in HOUSEKEEPING.items()}


def columns() -> dict[str, dict[str, str]]:
    """Type, and `NOT NULL` where it is, by table and column."""
    return {
        table: dict(column.split(maxsplit=1) for column in re.split(r",\s+(?![^(]*\))", text.strip()))
        for table, text in _tables().items()
    }


def ddl() -> list[str]:
    """Statements that create every raw table that does not exist yet."""
    made = [f"CREATE TABLE IF NOT EXISTS raw.{table} ({text})" for table, text in _tables().items()]
    said = [f"COMMENT ON TABLE raw.{table} IS '{record.description}'" for table, record in RECORDS.items()]
    return ["CREATE SCHEMA IF NOT EXISTS raw", *made, *said]
