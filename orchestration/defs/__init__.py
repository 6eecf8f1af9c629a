"""Everything Dagster and nothing else: thin assets over `ingest`, dbt, `expectations` and `publish`."""
