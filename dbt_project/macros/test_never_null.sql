{% test never_null(model, columns) %}
-- Rows come back where one of the named columns is missing.
select *
from {{ model }}
where {{ columns | join(' is null or ') }} is null
{% endtest %}
