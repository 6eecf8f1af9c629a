{#- dbt-duckdb's incremental tables, without what this project does not use (keys, strategies, grants, indexes, hooks): rows of
    the days that are built anew replace those that stand. Where the project has not changed since the table was made
    (orchestration/builder_worker.py says so), they go straight into it, and its columns and comments stay. -#}
{% materialization incremental, adapter="duckdb", supported_languages=["sql", "python"] %}
    {%- set language = model["language"] -%}
    {%- set existing = load_cached_relation(this) -%}
    {%- set target = this.incorporate(type="table") -%}
    {%- set is_new = existing is none or not existing.is_table or should_full_refresh() -%}

    {%- if takes_rows(existing, target) -%}
        {% call statement("main") %}
            {{ delete_days_built_anew(target) }};
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

    {%- if is_new -%}
        {% if existing is not none %}
            {% do adapter.rename_relation(existing, before) %}
        {% endif %}
        {% do adapter.rename_relation(aside, target) %}
    {%- else -%}
        {%- if not is_same_project() -%}
            {% do process_schema_changes("fail", aside, existing) %}
        {%- endif -%}
        {% call statement("replace") %}
            {{ delete_days_built_anew(target) }};
            insert into {{ target }} by name (select * from {{ aside }});
        {% endcall %}
    {%- endif -%}
    {% if is_new or not is_same_project() %}
        {% do persist_docs(target, model) %}
    {% endif %}
    {% do adapter.commit() %}
    {% do drop_relation_if_exists(before if is_new else aside) %}
    {{ return({"relations": [target]}) }}
{% endmaterialization %}
