{% macro without_last_zeros(text) -%}
    {#- Zeros behind the last digit after the point are no difference: 1.50 is 1.5. Other text stays. -#}
    case
        when regexp_full_match({{ text }}, '-?[0-9]+[.][0-9]+') then rtrim(rtrim({{ text }}, '0'), '.')
        else {{ text }}
    end
{%- endmacro %}
