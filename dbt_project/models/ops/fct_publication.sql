-- One row a published version: its cut-off, what it was made of, and the hash of its marts.
select
    seq,
    run_id,
    published_at,
    cutoff_at,
    newest_known_from,
    code_sha256,
    input_hash,
    marts_hash,
    n_labels,
    n_holds
from {{ source('landing', 'publication') }}
order by seq
