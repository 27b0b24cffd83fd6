-- entity x alias: every name under which a source wrote of an entity. That it means this entity is an assertion with a
-- kind and a confidence of its own, beside the entity and never in place of its official name.
with alias as (
    {{ event_choice(['ALIAS']) | indent(4) }}
)

select
    {{ attribute('entity_id') }} as entity_id,
    {{ attribute('alias') }} as alias,
    {{ attribute('alias_kind') }} as alias_kind,
    {{ attribute('confidence', 'value', 'decimal(18, 8)') }} as confidence,
    {{ event_provenance() | indent(4) }}
from alias
group by event_id
order by entity_id, alias
