{% macro get_incremental_replace_days_sql(arguments) %}
    {#- A strategy of dbt's incremental models: all rows of the days that were built anew go, also where none come. Those
        are the days that changed and so many after them, or (`onward`) all from the first one on. -#}
    {%- set columns = arguments["dest_columns"] | map(attribute="quoted") | join(", ") %}
    {%- set reach = config.get("meta", {}).get("reach_days", 0) %}
    delete from {{ arguments["target_relation"] }}
    where {% if reach == "onward" %}utc_date >= {{ first_day_changed() }}{% else %}utc_date in {{ days_changed(reach) }}{% endif %};
    insert into {{ arguments["target_relation"] }} ({{ columns }})
    select {{ columns }} from {{ arguments["temp_relation"] }}
{% endmacro %}
