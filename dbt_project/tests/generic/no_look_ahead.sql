{#- Rule G7: nothing in a table became known after the cut-off of its build. -#}
{% test no_look_ahead(model, column_name) %}
select model.{{ column_name }}, cutoff.cutoff_at
from {{ model }} as model
cross join {{ ref('cutoff') }} as cutoff
where model.{{ column_name }} > cutoff.cutoff_at
{% endtest %}
