{{ config(materialized="view") }}
{#- Declared in the .yml of each mart (config.meta.trace), beside its columns, and published with it. While the
    project is parsed, the graph is not known yet. -#}
{%- set rows = [] -%}
{%- for node in graph.nodes.values() | sort(attribute='name') if execute and node.schema == this.schema -%}
    {%- for route in node.config.meta.get('trace', []) -%}
        {%- set number = loop.index -%}
        {%- set recomputed = route.get('recompute', {}) -%}
        {%- set columns = route.get('columns', ['*']) -%}
        {%- for column in columns + (recomputed | reject('in', columns) | list) -%}
            {%- do rows.append([
                node.name, number, column, route.source, route.get('source_column'),
                route.where, recomputed.get(column),
                node.config.meta.get('trace_day', 'utc_date'),
            ]) -%}
        {%- endfor -%}
    {%- endfor -%}
{%- endfor -%}

with routes(
    table_name, route_number, column_name, source_name, source_column, source_condition, expression, day_column
) as (
    values
    {% for row in rows -%}
        (
            {%- for value in row -%}
                {%- if value is none -%}
                    null
                {%- elif value is number -%}
                    {{ value }}
                {%- else -%}
                    '{{ value | replace("'", "''") }}'
                {%- endif -%}
                {{ ', ' if not loop.last }}
            {%- endfor -%}
        ),
    {% endfor -%}
    (null, null, null, null, null, null, null, null)
)

select
    cast(table_name as varchar) as table_name,
    cast(route_number as bigint) as route_number,
    cast(column_name as varchar) as column_name,
    cast(source_name as varchar) as source_name,
    cast(source_column as varchar) as source_column,
    cast(source_condition as varchar) as source_condition,
    cast(expression as varchar) as expression,
    cast(day_column as varchar) as day_column
from routes
where table_name is not null
