{#- An identity or a bound between columns of one row. A row in which it cannot be decided (NULL) keeps it. -#}
{% test holds_true(model, expression) %}
select *
from {{ model }}
where not ({{ expression }})
{% endtest %}
