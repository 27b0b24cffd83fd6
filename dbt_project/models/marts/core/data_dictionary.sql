-- schema x table x column: every column of the published file in words, with what a row of its table is.
with said as (
    {{ published_columns() }}
),

final as (
    select
        schema_name,
        table_name,
        column_name,
        ordinal_no,
        data_type,
        is_key,
        meaning,
        table_meaning
    from said
    order by schema_name, table_name, ordinal_no
)

select * from final
