{#- The rules of a table, one node for all of them: a row for each rule that is broken, with how many rows break it.
    key              columns in which no two rows agree; two NULLs count as equal
    filled           columns that every row fills
    known_by_cutoff  instants that lie no later than the cut-off of the build (rule G7)
    one_of           column: its values
    refers           column: model.column in which each of its values stands
    holds            name: an identity or a bound between columns of a row; where it cannot be decided (NULL) it is kept -#}
{% test rules(model, key=[], filled=[], known_by_cutoff=[], one_of={}, refers={}, holds={}) %}
    {%- set broken = {} -%}
    {%- for column in filled %}{% do broken.update({column ~ ' is filled': column ~ ' is null'}) %}{% endfor -%}
    {%- for column in known_by_cutoff -%}
        {% do broken.update({column ~ ' is no later than the cut-off':
            column ~ ' > (select cutoff_at from ' ~ ref('cutoff') ~ ')'}) %}
    {%- endfor -%}
    {%- for column, values in one_of.items() -%}
        {%- set said = [] -%}
        {%- for value in values %}{% do said.append("'" ~ value ~ "'" if value is string else value) %}{% endfor -%}
        {% do broken.update({column ~ ' is of its list': column ~ ' not in (' ~ said | join(', ') ~ ')'}) %}
    {%- endfor -%}
    {%- for column, to in refers.items() -%}
        {% do broken.update({column ~ ' refers to ' ~ to: column ~ ' not in (select ' ~ to.split('.')[1] ~ ' from '
            ~ ref(to.split('.')[0]) ~ ' where ' ~ to.split('.')[1] ~ ' is not null)'}) %}
    {%- endfor -%}
    {%- for name, expression in holds.items() %}{% do broken.update({name: 'not (' ~ expression ~ ')'}) %}{% endfor -%}
{%- for rule, condition in broken.items() %}
select '{{ rule }}' as rule, count(*) as n_rows from {{ model }} where {{ condition }} having count(*) > 0
{{ 'union all' if not loop.last or key }}
{%- endfor %}
{%- if key %}
select 'one row for each {{ key | join(', ') }}' as rule, count(*) as n_rows
from (select 1 from {{ model }} group by {{ key | join(', ') }} having count(*) > 1) having count(*) > 0
{%- endif %}
{% endtest %}
