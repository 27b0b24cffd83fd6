{#- Where models go: the schema named in dbt_project.yml, without the target's prefix. -#}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ custom_schema_name or target.schema }}
{%- endmacro %}

{#- The frozen inputs of a build as views of schema `landing`: four shapes, their pages, and the run's own tables. -#}
{% macro landing_views() %}
    {%- if execute -%}
    {%- set inputs = (target.path.split('/')[:-1] + ['inputs']) | join('/') -%}
    {%- do run_query("create schema if not exists landing") -%}
    {%- for shape in ['observation', 'event', 'position', 'document', 'page'] -%}
        {%- do landing_shape(shape) -%}
    {%- endfor -%}
    {%- for name in ['run', 'source', 'feed', 'market_session', 'expected', 'hold', 'fetch_outcome', 'gate_result',
                     'publication', 'model_run', 'partition'] -%}
        {%- do run_query("create or replace view landing." ~ name ~ " as select * from read_parquet('"
            ~ inputs ~ "/" ~ name ~ ".parquet')") -%}
    {%- endfor -%}
    {%- endif -%}
    select 1
{% endmacro %}

{#- All frozen row files of one shape as a view of schema `landing`. -#}
{% macro landing_shape(shape) -%}
    {%- set inputs = (target.path.split('/')[:-1] + ['inputs']) | join('/') -%}
    {%- do run_query("create or replace view landing." ~ shape ~ " as select * from read_parquet('"
        ~ inputs ~ "/rows/" ~ shape ~ "/*/*.parquet')") -%}
{%- endmacro %}

{#- Every column of every published model with its words, as rows. They are written from the project itself, where the
    comments in the file come from too, so they do not depend on what has been built before. -#}
{% macro published_columns() -%}
    {%- if not execute -%}
    select
        ''::varchar as schema_name, ''::varchar as table_name, ''::varchar as column_name, 0::int as ordinal_no,
        ''::varchar as data_type, false as is_key, ''::varchar as meaning, ''::varchar as table_meaning
    {%- else -%}
    {%- set keys = {} -%}
    {%- for test in graph.nodes.values() if test.resource_type == 'test' and test.config.where is none
            and test.test_metadata and test.test_metadata.name == 'rules' and test.test_metadata.kwargs.key -%}
        {%- do keys.update({test.attached_node: test.test_metadata.kwargs.key}) -%}
    {%- endfor -%}
    select * from (values
    {%- for model in graph.nodes.values() | selectattr('resource_type', 'equalto', 'model')
            | selectattr('access', 'equalto', 'public') | sort(attribute='name') -%}
        {%- set outer = loop -%}
        {%- for column in model.columns.values() %}
        ({{ quoted(model.schema) }}, {{ quoted(model.name) }}, {{ quoted(column.name) }}, {{ loop.index }},
            {{ quoted(column.data_type) }}, {{ column.name in keys[model.unique_id] }},
            {{ quoted(column.description) }}, {{ quoted(model.description) }}){{ ',' if not (outer.last and loop.last) }}
        {%- endfor -%}
    {%- endfor %}
    ) as t(schema_name, table_name, column_name, ordinal_no, data_type, is_key, meaning, table_meaning)
    {%- endif -%}
{%- endmacro %}

{#- A text as a literal, its line breaks as blanks. -#}
{% macro quoted(text) -%}
    '{{ text.split() | join(' ') | replace("'", "''") }}'
{%- endmacro %}
