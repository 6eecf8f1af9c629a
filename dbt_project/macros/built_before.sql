{% macro built_before(name) -%}
    {#- A relation of this schema as an earlier build left it, where ref would be a circle; None before the first. -#}
    {{ return(adapter.get_relation(this.database, this.schema, name)) }}
{%- endmacro %}
