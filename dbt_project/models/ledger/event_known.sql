-- The version of each event attribute that is known at the cut-off.
select * exclude (known_to)
from {{ ref('event_version') }}
where known_to is null and obs_status not in ('held', 'retracted')
