{#- dbt's seeds, without what this project does not use (grants, indexes, hooks); where the project has not changed since the
    file was read, the table stands: to read a file of CSV twice costs more than most models. -#}
{% materialization seed, adapter="duckdb" %}
    {%- set existing = load_cached_relation(this) -%}
    {%- set target = this.incorporate(type="table") -%}

    {%- if existing is not none and existing.is_table and is_same_project() -%}
        {% do store_raw_result("main", message="stands", code="STANDS", rows_affected=0) %}
        {% do store_result("agate_table", response="stands") %}
        {{ return({"relations": [target]}) }}
    {%- endif -%}

    {% if existing is not none %}
        {% do adapter.drop_relation(existing) %}
    {% endif %}
    {%- set lines = load_agate_table() -%}
    {% do store_result("agate_table", response="read", agate_table=lines) %}
    {% do create_csv_table(model, lines) %}
    {% if lines.rows %}
        {% do load_csv_rows(model, lines) %}
    {% endif %}
    {% do store_raw_result("main", message="INSERT " ~ lines.rows | length, code="INSERT", rows_affected=lines.rows | length) %}
    {% do persist_docs(target, model) %}
    {% do adapter.commit() %}
    {{ return({"relations": [target]}) }}
{% endmaterialization %}
