{% macro takes_rows(existing, target) -%}
    {#- Whether new rows can go straight into the table that stands: this project made it, and the model does not
        read the rows that it replaces (built_before). -#}
    {%- set is_alone = target | string not in compiled_code -%}
    {%- set stands = existing is not none and existing.is_table -%}
    {{ return(stands and is_alone and model["language"] == "sql" and is_same_project()) }}
{%- endmacro %}
