{% macro get_incremental_replace_days_sql(arguments) %}
    {#- A strategy of dbt's incremental models: all rows of the days that were built anew go, also where none come.
        Those are the days that changed and so many after them, or all from the first one on (`onward`). -#}
    {%- set columns = arguments["dest_columns"] | map(attribute="quoted") | join(", ") %}
    {%- set reach = config.get("meta", {}).get("reach_days", 0) %}
    {%- set first = "utc_date >= " ~ first_day_changed() %}
    delete from {{ arguments["target_relation"] }}
    where {{ first if reach == "onward" else "utc_date in " ~ days_changed(reach) }};
    insert into {{ arguments["target_relation"] }} ({{ columns }})
    select {{ columns }} from {{ arguments["temp_relation"] }}
{% endmacro %}
