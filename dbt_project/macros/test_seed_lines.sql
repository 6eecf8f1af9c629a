{#- Lines come back whose grain names not exactly one, where a filled column is missing or one with a list is not on it.
    One test, not one per column: a whole build judges every seed, and dbt's own work for a test is most of it. -#}
{% test seed_lines(model, grain, filled=[], one_of={}) %}
    {%- set broken = ["count(*) over (partition by " ~ grain | join(", ") ~ ") > 1"] -%}
    {%- for column in grain + filled -%}
        {%- do broken.append(column ~ " is null") -%}
    {%- endfor -%}
    {%- for column, listed in one_of.items() -%}
        {%- do broken.append(column ~ " not in ('" ~ listed | join("', '") ~ "')") -%}
    {%- endfor -%}
select *
from {{ model }}
qualify {{ broken | join(" or ") }}
{% endtest %}
