{% macro quarters_changed() -%}
    {#- First days of the quarters that are built anew: those with a day whose flows changed, or the day after one. -#}
    (
        select distinct cast(date_trunc('quarter', changed.utc_date + cast(reach.days as integer)) as date)
        from {{ ref('int_days_changed') }} as changed
        cross join range(0, 2) as reach(days)
    )
{%- endmacro %}
