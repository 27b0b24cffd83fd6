{#- Money and ratios. DuckDB's `/` and `avg` give DOUBLE: a ratio passes through one and is rounded to a DECIMAL at once
    (`divide`), dollars and prices never do (`product`, `proportion`). -#}

{% macro divide(numerator, denominator, scale=8) -%}
    round(({{ numerator }})::double / nullif({{ denominator }}, 0)::double, {{ scale }})::decimal(18, {{ scale }})
{%- endmacro %}

{% macro usd(expression) -%}
    ({{ expression }})::decimal(24, 2)
{%- endmacro %}

{#- Quantity x price as DECIMAL(38, 16). Both are cast first, since a product of two wide decimals overflows: 8 digits
    after the point, a quantity below 1e14 and a price below 1e8. -#}
{% macro product(quantity, price) -%}
    (({{ quantity }})::decimal(22, 8) * ({{ price }})::decimal(16, 8))
{%- endmacro %}

{#- part x weight / whole with `scale` digits, rounded half away from zero, in whole numbers from end to end; NULL over
    zero. `part` counts to `scale` digits, `weight` and `whole` to 8, and |part x weight| stays below 1e29 / 10 ** scale. -#}
{% macro proportion(part, weight, whole, scale=2) -%}
    {%- set above = '(' ~ scaled(part, scale) ~ ' * ' ~ scaled(weight, 8) ~ ')' -%}
    {%- set below = scaled(whole, 8) -%}
    (((2 * {{ above }} + sign({{ above }}) * abs({{ below }})) // (2 * {{ below }}))::decimal(28, 0)
    * 0.{{ '0' * (scale - 1) }}1::decimal({{ scale + 1 }}, {{ scale }}))::decimal(28, {{ scale }})
{%- endmacro %}

{% macro scaled(expression, digits) -%}
    (({{ expression }})::decimal(28, {{ digits }}) * 1{{ '0' * digits }}::decimal(9, 0))::hugeint
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
