{% macro check_result(check_id, severity) -%}
    {#- The columns of a row of data_quality_results from a relation that has them all but check_id and severity. -#}
    '{{ check_id }}' as check_id,
    scope,
    utc_date,
    passed,
    cast(value as double) as value,
    cast(threshold as double) as threshold,
    {{ severity }} as severity,
    cast(impact_usd as decimal(38, 8)) as impact_usd,
    reason
{%- endmacro %}
