{% macro is_same_project() -%}
    {#- Whether the tables that stand were made by this project, as it is now. -#}
    {{ return(env_var("ALTFLOW_SAME_MODELS", "") == "yes" and not should_full_refresh()) }}
{%- endmacro %}
