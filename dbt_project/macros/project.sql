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
        {%- do run_query("create or replace view landing." ~ shape ~ " as select * from read_parquet('"
            ~ inputs ~ "/rows/" ~ shape ~ "/*/*.parquet')") -%}
    {%- endfor -%}
    {%- for name in ['run', 'source', 'feed', 'market_session', 'expected', 'hold', 'fetch_outcome', 'gate_result',
                     'publication', 'model_run'] -%}
        {%- do run_query("create or replace view landing." ~ name ~ " as select * from read_parquet('"
            ~ inputs ~ "/" ~ name ~ ".parquet')") -%}
    {%- endfor -%}
    {%- endif -%}
    select 1
{% endmacro %}
