{#- dbt-duckdb's tables, without what this project does not use (grants, indexes, hooks). Where the project has not changed
    since the table was made (orchestration/builder_worker.py says so), its rows are replaced and the table stays, with
    its columns and comments: half of the time of a small model. -#}
{% materialization table, adapter="duckdb", supported_languages=["sql", "python"] %}
    {%- set language = model["language"] -%}
    {%- set existing = load_cached_relation(this) -%}
    {%- set target = this.incorporate(type="table") -%}

    {%- if takes_rows(existing, target) -%}
        {% call statement("main") %}
            delete from {{ target }};
            insert into {{ target }} by name ({{ compiled_code }});
        {% endcall %}
        {% do adapter.commit() %}
        {{ return({"relations": [target]}) }}
    {%- endif -%}

    {%- set aside = make_intermediate_relation(target) -%}
    {%- set before = make_backup_relation(target, "table" if existing is none else existing.type) -%}
    {% do drop_relation_if_exists(load_cached_relation(aside)) %}
    {% do drop_relation_if_exists(load_cached_relation(before)) %}
    {% call statement("main", language=language) %}
        {{ create_table_as(False, aside, compiled_code, language) }}
    {% endcall %}
    {% if existing is not none %}
        {% do adapter.rename_relation(existing, before) %}
    {% endif %}
    {% do adapter.rename_relation(aside, target) %}
    {% do persist_docs(target, model) %}
    {% do adapter.commit() %}
    {% do drop_relation_if_exists(before) %}
    {{ return({"relations": [target]}) }}
{% endmaterialization %}
