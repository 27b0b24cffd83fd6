-- run x rule x check x subject: what the gate found, with its evidence and who looks at it.
select
    run_id,
    rule_id,
    check_name,
    subject,
    outcome,
    evidence,
    n_evaluated,
    n_failed,
    owner,
    checked_at
from {{ source('landing', 'gate_result') }}
order by checked_at, run_id, rule_id, check_name, subject
