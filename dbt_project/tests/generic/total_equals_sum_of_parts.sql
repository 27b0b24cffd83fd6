{#- Rule G6: every total equals the sum of its parts, and a total that has no part at all fails too.
    `keys` join both sides, `tolerance` is what rounding a single part may cost. -#}
{% test total_equals_sum_of_parts(model, column_name, parts, part, keys, totals_where, parts_where, tolerance=0) %}
with total as (
    select {{ keys | join(', ') }}, {{ column_name }} as total
    from {{ model }}
    where {{ column_name }} is not null and ({{ totals_where }})
),

part as (
    select {{ keys | join(', ') }}, sum({{ part }}) as parts, count({{ part }}) as n_parts
    from {{ parts }}
    where {{ parts_where }}
    group by {{ keys | join(', ') }}
)

select total.*, part.parts
from total
left join part on {% for key in keys %}total.{{ key }} = part.{{ key }}{{ ' and ' if not loop.last }}{% endfor %}

where part.parts is null or abs(total.total - part.parts) > {{ tolerance }} * part.n_parts
{% endtest %}
