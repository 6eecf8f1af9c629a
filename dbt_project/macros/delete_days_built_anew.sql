{% macro delete_days_built_anew(target) -%}
    {#- All rows of the days that are built anew go, also where none come. Those are the days that changed and so many
        after them (`reach_days`), all from the first one on (`onward`), or the first days of their quarters
        (`quarter`). -#}
    {%- set reach = config.get("meta", {}).get("reach_days", 0) %}
    {%- set first = "utc_date >= " ~ first_day_changed() %}
    {%- set days = quarters_changed() if reach == "quarter" else days_changed(0 if reach == "onward" else reach) %}
    delete from {{ target }}
    where {{ first if reach == "onward" else "utc_date in " ~ days }}
{%- endmacro %}
