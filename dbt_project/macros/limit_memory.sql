{% macro limit_memory() -%}
    {#- DuckDB takes four fifths of a machine's memory: on a large one that keeps pages which are never read again. What
        does not fit is written to disk. -#}
    {%- if execute and flags.WHICH in ("build", "run") -%}
        {%- set most_gib = 6.5 -%}
        {%- set number, unit = run_query("select current_setting('memory_limit')").columns[0].values()[0].split() -%}
        {%- if unit == "TiB" or (unit == "GiB" and number | float > most_gib) -%}
            set memory_limit = '{{ most_gib }} GiB'
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}
