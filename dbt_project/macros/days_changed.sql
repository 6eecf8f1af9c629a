{% macro days_changed(reach_days=0, days_before=0) -%}
    {#- The days that are built anew: those whose flows changed, and the days after them that look back on them. Days
        before them are asked for by what reads them. -#}
    (
        select distinct changed.utc_date + cast(reach.days as integer) as utc_date
        from {{ ref('int_days_changed') }} as changed
        cross join range({{ -days_before }}, {{ reach_days + 1 }}) as reach(days)
    )
{%- endmacro %}
