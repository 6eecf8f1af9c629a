{% macro first_day_changed(days_before=0) -%}
    {#- The first day whose flows changed, or so many days before it; NULL where none did. -#}
    (select min(changed.utc_date) - {{ days_before }} from {{ ref('int_days_changed') }} as changed)
{%- endmacro %}
