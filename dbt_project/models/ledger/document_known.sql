-- The version of each document that is known at the cut-off (document x source): a new title makes a new one.
with versions as (
    {{ version_chain(
        ref('stg_document'),
        ['doc_sha256'],
        ['title', 'author', 'lang', 'url', 'obs_status'],
    ) | indent(4) }}
)

select
    doc_sha256,
    title,
    author,
    lang,
    url,
    event_date,
    event_at,
    source_id,
    lineage_root,
    evidence_kind,
    known_from,
    vintage_kind,
    payload_sha256,
    locator
from versions
where obs_status not in ('held', 'retracted')
qualify place = max(place) over (partition by source_id, doc_sha256)
