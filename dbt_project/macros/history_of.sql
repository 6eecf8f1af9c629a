{% macro history_of(raw_table) -%}
    {#- What the rows of a raw table were before they were replaced. -#}
    {{ raw_table.incorporate(path={"identifier": raw_table.identifier ~ "_history"}) }}
{%- endmacro %}
