-- Runs of numbers in the base unit of their unit: a source that changes its unit changes no figure.
select
    run.series_id,
    run.event_date,
    run.event_at,
    run.period_start,
    {{ to_base('run.value', 'unit.scale_to_base') }} as value,
    coalesce(unit.base_unit, run.unit) as unit,
    run.source_id,
    run.feed,
    run.feed_rank,
    run.lineage_root,
    run.evidence_kind,
    run.measurement_root,
    run.obs_status,
    run.value_raw,
    run.published_at,
    run.claimed_known_at,
    run.vintage_kind,
    run.first_seen,
    run.last_seen,
    run.n_seen,
    run.payload_sha256,
    run.locator,
    run.parser_version
from {{ source('landing', 'observation') }} as run
left join {{ ref('unit') }} as unit on run.unit = unit.unit
