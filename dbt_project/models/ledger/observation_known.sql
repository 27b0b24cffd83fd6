-- The version of each cell that is known at the cut-off: not superseded, not withheld, not withdrawn.
select * exclude (known_to, previous_value)
from {{ ref('observation_version') }}
where known_to is null and obs_status not in ('held', 'retracted')
