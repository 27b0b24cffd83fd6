-- What the gate withheld. A hold acts from its version's `known_from` until it is released. Holds of one batch are
-- released together.
select
    hold_id,
    batch_id,
    rule_id,
    source_id,
    series_id,
    event_date,
    event_at,
    value,
    obs_status,
    held_at,
    why,
    case when released_at <= cutoff.cutoff_at then released_at end as released_at,
    case when released_at <= cutoff.cutoff_at then released_why end as released_why
from {{ source('landing', 'hold') }}
cross join {{ ref('cutoff') }} as cutoff
