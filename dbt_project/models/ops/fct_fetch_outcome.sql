-- One row an attempt to land a payload: what came, or why nothing did.
select
    source_id,
    feed,
    run_id,
    seen_at,
    recorded_at,
    origin,
    outcome,
    nullif(rule_id, '') as rule_id,
    nullif(reason, '') as reason,
    nullif(http_status, 0)::int as http_status,
    http_attempts::int as http_attempts,
    n_bytes,
    n_rows,
    nullif(payload_sha256, '') as payload_sha256,
    vintage_kind,
    try_cast(window_start as date) as window_start_date,
    try_cast(window_end as date) as window_end_date,
    nullif(parser_version, '') as parser_version,
    headers
from {{ source('landing', 'fetch_outcome') }}
order by source_id, feed, seen_at, recorded_at, origin, outcome, payload_sha256
