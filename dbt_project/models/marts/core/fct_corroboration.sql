-- series x period x source: every lineage's known figure beside the published one of that date, what it counts as, and
-- how many sessions off it dates its figures.
with copied as (
    {{ counted_as() | indent(4) }}
)

select
    known.series_id,
    known.event_date,
    known.event_at,
    known.source_id,
    known.lineage_root,
    known.evidence_kind,
    coalesce(copied.lineage_a, known.lineage_root) as counted_as,
    known.value,
    known.unit,
    known.obs_status,
    known.source_id = agreed.source_id as is_published,
    agreed.value as published_value,
    agreed.source_id as published_source_id,
    (known.value - agreed.value)::decimal(38, 18) as difference,
    {{ divide('known.value - agreed.value', 'abs(agreed.value)') }} as difference_rel,
    coalesce(shift.shift_sessions, 0)::int as shift_sessions,
    agreed.n_publishers,
    agreed.n_lineages,
    agreed.n_measurements,
    agreed.spread_rel,
    agreed.agreement_status,
    agreed.grade,
    known.known_from,
    known.vintage_kind,
    known.payload_sha256,
    known.locator
from {{ ref('observation_known') }} as known
inner join {{ ref('observation_agreed') }} as agreed
    on known.series_id = agreed.series_id
    and known.event_date = agreed.event_date
    and known.event_at is not distinct from agreed.event_at
left join copied
    on copied.subject = {{ subject_of('known.series_id') }} and copied.lineage_b = known.lineage_root
left join {{ ref('lineage_shift') }} as shift
    on known.series_id = shift.series_id and known.source_id = shift.source_id
order by known.series_id, known.event_date, known.event_at, known.source_id
