{% test unique_grain(model, columns) %}
-- Rows come back where the named columns do not name exactly one row, or where one of them is missing.
select
    {{ columns | join(', ') }},
    count(*) as row_count
from {{ model }}
group by {{ columns | join(', ') }}
having count(*) > 1 or {{ columns | join(' is null or ') }} is null
{% endtest %}
