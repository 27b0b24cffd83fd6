-- One row a canonical unit. Parsers convert into these; a mart column that ends in a unit's name is in that unit.
select
    unit,
    quantity,
    base_unit,
    scale_to_base,
    meaning
from {{ ref('unit') }}
order by unit
