-- series x period x source x version, versions after the first: what a source changed, and how long after the event.
-- Withheld versions changed nothing. A version that was first seen late has no timing: when it was printed is unknown.
with version as (
    select
        series_id,
        source_id,
        event_date,
        event_at,
        version_no,
        value,
        previous_value,
        value - previous_value as delta,
        unit,
        obs_status,
        revision_kind,
        known_from,
        vintage_kind,
        payload_sha256,
        locator
    from {{ ref('observation_version') }}
    where revision_kind is not null and obs_status != 'held'
)

select
    series_id,
    source_id,
    event_date,
    event_at,
    version_no,
    value,
    previous_value,
    delta,
    {{ divide('delta', 'abs(previous_value)') }} as delta_rel,
    unit,
    obs_status,
    revision_kind,
    -- a reading and a change of sign need two figures: a withdrawn or a first one has no flip
    sign(value) * sign(previous_value) < 0 as sign_flip,
    case
        when vintage_kind not in ('backfill_unknown', 'pseudo')
            then {{ divide("date_diff('second', coalesce(event_at, event_date::timestamptz), known_from)", '3600', 2) }}
    end as hours_after_event,
    known_from,
    vintage_kind,
    payload_sha256,
    locator
from version
order by series_id, event_date, event_at, source_id, version_no
