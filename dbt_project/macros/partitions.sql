{#-
A model over a big feed, computed one day at a time and kept as a Parquet file a day.

What is due stands in `landing.partition` (the build writes it: day, row files, name with the hash of the inputs); what is
not due lies in the build's folder already. While a day is computed, `landing.position` shows that day's row files and
nothing else, so the model is the plain SQL of all days, and the memory is that of one.
-#}
{% materialization day_partitions, adapter='duckdb' %}
    {%- set relation = this.incorporate(type='view') -%}
    {%- set folder = (target.path.split('/')[:-1] + ['partitions', this.identifier]) | join('/') -%}
    {{ run_hooks(pre_hooks) }}
    {%- set due = run_query(
        "select event_date::varchar, files, name from landing.partition where model = '" ~ this.identifier
        ~ "' and is_due order by event_date") -%}
    {%- for row in due.rows -%}
        {%- do run_query("create or replace view landing.position as select * from read_parquet(["
            ~ row[1] ~ "]) where event_date = '" ~ row[0] ~ "'") -%}
        {%- do run_query("copy (" ~ sql ~ ") to '" ~ folder ~ "/" ~ row[2]
            ~ ".parquet' (format parquet, compression zstd)") -%}
    {%- endfor -%}
    {%- do landing_shape('position') -%}
    {%- call statement('main') -%}
        create or replace view {{ relation }} as select * from read_parquet('{{ folder }}/*.parquet')
    {%- endcall -%}
    {%- do adapter.commit() -%}
    {{ run_hooks(post_hooks) }}
    {{ return({'relations': [relation]}) }}
{% endmaterialization %}
