{#- Money and ratios. DuckDB's `/` and `avg` give DOUBLE, so division happens here and is rounded to a DECIMAL at once. -#}

{% macro divide(numerator, denominator, scale=8) -%}
    round(({{ numerator }})::double / nullif({{ denominator }}, 0)::double, {{ scale }})::decimal(18, {{ scale }})
{%- endmacro %}

{% macro usd(expression) -%}
    ({{ expression }})::decimal(24, 2)
{%- endmacro %}

{% macro ratio(expression) -%}
    round({{ expression }}, 8)::decimal(18, 8)
{%- endmacro %}

{#- Percent to basis points, exactly. -#}
{% macro bp(expression) -%}
    (({{ expression }})::decimal(18, 8) * 100)::decimal(18, 8)
{%- endmacro %}

{#- The last printed digit of a figure in its canonical unit: (32.2) printed in millions is 100000 dollars. -#}
{% macro printed_step(value, value_raw) -%}
    case
        when {{ value }} = 0 or regexp_extract({{ value_raw }}, '[0-9][0-9,]*\.?[0-9]*') = '' then null
        else abs({{ value }})::double
            / nullif(replace(regexp_extract({{ value_raw }}, '[0-9][0-9,]*\.?[0-9]*'), ',', '')::double, 0)
            / power(10, length(regexp_extract({{ value_raw }}, '\.([0-9]+)', 1)))
    end
{%- endmacro %}

{#- A figure in the base unit of its unit. The scale is cast first: a product of two wide decimals overflows. -#}
{% macro to_base(value, scale) -%}
    case when {{ scale }} != 1 then ({{ value }} * ({{ scale }})::decimal(18, 8))::decimal(38, 18) else {{ value }} end
{%- endmacro %}
