{#- A table in a file of its own, in which nothing stood before: created under its name, without the renaming by which
    dbt replaces a table that is being read, and with its comments in one statement. The contract is checked as ever;
    by it the columns that are named are those that exist. By hand it replaces what the last build made. -#}
{% materialization table, adapter='duckdb' %}
    {%- set target = this.incorporate(type='table') -%}
    {%- do drop_relation_if_exists(load_cached_relation(this)) -%}
    {%- call statement('main') -%}{{ create_table_as(false, target, sql) }}{%- endcall -%}
    {%- if config.persist_column_docs() -%}
        {%- call statement('comments') -%}
            comment on table {{ target }} is {{ duckdb_escape_comment(model.description) }};
            {%- for column in model.columns.values() %}
            comment on column {{ target }}.{{ column.name }} is {{ duckdb_escape_comment(column.description) }};
            {%- endfor -%}
        {%- endcall -%}
    {%- endif -%}
    {%- do adapter.commit() -%}
    {{ return({'relations': [target]}) }}
{% endmaterialization %}
