-- series x period x source x version: the versioned ledger, public. A withheld version shows that it exists and not
-- its value. Ask it at an instant T with `known_from <= T and (known_to is null or T < known_to)`.
select
    series_id,
    source_id,
    feed,
    lineage_root,
    evidence_kind,
    event_date,
    event_at,
    case when obs_status != 'held' then value end as value,
    unit,
    obs_status,
    version_no,
    revision_kind,
    published_at,
    known_from,
    known_to,
    vintage_kind,
    payload_sha256,
    locator,
    parser_version,
    value_raw
from {{ ref('observation_version') }}
-- the day first: a range of days skips blocks, and a text's block statistics hold no more than its first eight bytes
order by event_date, series_id, event_at, source_id, version_no
