-- run x model: what dbt built, and how long it took.
select
    run_id,
    model,
    status,
    seconds
from {{ source('landing', 'model_run') }}
order by run_id, model
