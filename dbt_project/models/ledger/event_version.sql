-- One row a version of an event attribute (event x attribute x source).
with versions as (
    {{ version_chain(
        ref('stg_event'),
        ['event_id', 'attribute'],
        ['kind', 'value_text', 'value', 'unit', 'event_date', 'event_at', 'slack_s', 'obs_status'],
    ) | indent(4) }}
)

select
    event_id,
    kind,
    attribute,
    event_date,
    event_at,
    slack_s,
    value_text,
    value,
    unit,
    obs_status,
    source_id,
    feed,
    lineage_root,
    evidence_kind,
    row_number() over chain::int as version_no,
    published_at,
    known_from,
    lead(known_from) over chain as known_to,
    vintage_kind,
    payload_sha256,
    locator,
    parser_version,
    value_raw
from versions
window
    chain as (
        partition by source_id, event_id, attribute order by place
    )
order by event_id, attribute, source_id, version_no
