{#- dbt-duckdb's views, made in one statement instead of by a view aside and two renamings; where the project has not
    changed since the view was made, it stands. -#}
{% materialization view, adapter="duckdb" %}
    {%- set existing = load_cached_relation(this) -%}
    {%- set target = this.incorporate(type="view") -%}

    {%- if existing is not none and not existing.is_view -%}
        {% do adapter.drop_relation(existing) %}
        {%- set existing = none -%}
    {%- endif -%}
    {%- if existing is not none and is_same_project() -%}
        {% do store_raw_result("main", message="stands", code="STANDS", rows_affected=0) %}
        {{ return({"relations": [target]}) }}
    {%- endif -%}

    {% call statement("main") %}
        create or replace view {{ target }} as ({{ compiled_code }});
    {% endcall %}
    {% do persist_docs(target, model) %}
    {% do adapter.commit() %}
    {{ return({"relations": [target]}) }}
{% endmaterialization %}
