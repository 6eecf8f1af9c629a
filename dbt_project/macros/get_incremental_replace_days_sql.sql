{% macro get_incremental_replace_days_sql(arguments) %}
    {#- A strategy of dbt's incremental models: all rows of the days that were built anew go, also where none come. -#}
    {%- set columns = arguments["dest_columns"] | map(attribute="quoted") | join(", ") %}
    delete from {{ arguments["target_relation"] }}
    where utc_date in {{ days_changed(config.get("meta", {}).get("reach_days", 0)) }};
    insert into {{ arguments["target_relation"] }} ({{ columns }})
    select {{ columns }} from {{ arguments["temp_relation"] }}
{% endmacro %}
