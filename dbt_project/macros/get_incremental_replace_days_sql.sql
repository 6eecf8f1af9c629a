{% macro get_incremental_replace_days_sql(arguments) %}
    {#- A strategy of dbt's incremental models: all rows of the days that were built anew go, also where none come.
        Those are the days that changed and so many after them, all from the first one on (`onward`), or the first days
        of their quarters (`quarter`). -#}
    {%- set columns = arguments["dest_columns"] | map(attribute="quoted") | join(", ") %}
    {%- set reach = config.get("meta", {}).get("reach_days", 0) %}
    {%- set first = "utc_date >= " ~ first_day_changed() %}
    {%- set days = quarters_changed() if reach == "quarter" else days_changed(0 if reach == "onward" else reach) %}
    delete from {{ arguments["target_relation"] }}
    where {{ first if reach == "onward" else "utc_date in " ~ days }};
    insert into {{ arguments["target_relation"] }} ({{ columns }})
    select {{ columns }} from {{ arguments["temp_relation"] }}
{% endmacro %}
