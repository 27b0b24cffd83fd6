-- One row a person or body, under the official name. Marts join on `entity_id`, never on a name.
with alias as (
    {{ event_choice(['ALIAS']) | indent(4) }}
),

named as (
    select
        {{ attribute('entity_id') }} as entity_id,
        {{ attribute('entity_kind') }} as entity_kind,
        {{ attribute('official_name') }} as official_name,
        {{ attribute('alias_kind') }} as alias_kind,
        {{ event_provenance() | indent(8) }}
    from alias
    group by event_id
)

select
    entity_id,
    entity_kind,
    official_name,
    count(*) over (partition by entity_id)::int as n_aliases,
    source_id,
    lineage_root,
    evidence_kind,
    grade,
    known_from,
    vintage_kind,
    payload_sha256,
    locator,
    cited_url
from named
qualify
    row_number() over (
        partition by entity_id order by alias_kind = 'official' desc, known_from, payload_sha256, locator
    ) = 1
order by entity_id
