-- The only model that reads the as-of variable. Everything later than `cutoff_at` does not exist for this build.
select
    run_id,
    clock,
    {% if var('as_of', none) %}'{{ var('as_of') }}'::timestamptz{% else %}coalesce(as_of, clock){% endif %} as cutoff_at
from {{ source('landing', 'run') }}
