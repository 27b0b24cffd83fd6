-- One row a policy meeting. A bank with a target band has its ends, and the midpoint as its rate; a bank with one
-- target has no band. Decided is not effective: a rate is in force from `effective_date`.
with chosen as (
    {{ event_choice(['DECISION']) | indent(4) }}
),

meeting as (
    select
        event_id as meeting_id,
        {{ attribute('bank') }} as bank,
        min(event_date) as decision_date,
        max(event_at) as decided_at,
        max(slack_s)::int as slack_s,
        {{ attribute('effective_date', type='date') }} as effective_date,
        {{ attribute('rate_before_pct', 'value', 'decimal(18, 8)') }} as target_before_pct,
        {{ attribute('rate_after_pct', 'value', 'decimal(18, 8)') }} as target_after_pct,
        {{ attribute('rate_before_lower_pct', 'value', 'decimal(18, 8)') }} as rate_before_lower_pct,
        {{ attribute('rate_before_upper_pct', 'value', 'decimal(18, 8)') }} as rate_before_upper_pct,
        {{ attribute('rate_after_lower_pct', 'value', 'decimal(18, 8)') }} as rate_after_lower_pct,
        {{ attribute('rate_after_upper_pct', 'value', 'decimal(18, 8)') }} as rate_after_upper_pct,
        {{ attribute('votes_for', 'value', 'int') }} as votes_for,
        {{ attribute('votes_against', 'value', 'int') }} as votes_against,
        {{ attribute('needs_primary') }} = 'true' as needs_primary,
        {{ event_provenance() | indent(8) }}
    from chosen
    group by event_id
),

-- members are counted in the list of votes, so that the split printed in a statement can be checked against it
member as (
    select value_text as meeting_id, count(distinct event_id)::int as n_members
    from {{ ref('event_known') }}
    where kind = 'VOTE' and attribute = 'meeting_id'
    group by value_text
),

rated as (
    select
        meeting.*,
        coalesce(
            target_before_pct, {{ ratio('(rate_before_lower_pct + rate_before_upper_pct) * 0.5') }}
        ) as rate_before_pct,
        coalesce(target_after_pct, {{ ratio('(rate_after_lower_pct + rate_after_upper_pct) * 0.5') }}) as rate_after_pct
    from meeting
)

select
    rated.meeting_id,
    rated.bank,
    rated.decision_date,
    rated.decided_at,
    rated.slack_s,
    rated.effective_date,
    rated.rate_before_pct,
    rated.rate_after_pct,
    rated.rate_before_lower_pct,
    rated.rate_before_upper_pct,
    rated.rate_after_lower_pct,
    rated.rate_after_upper_pct,
    {{ bp('rated.rate_after_pct - rated.rate_before_pct') }} as change_bp,
    rated.votes_for,
    rated.votes_against,
    member.n_members,
    coalesce(rated.needs_primary, false) as needs_primary, -- a source that does not ask for the original has it
    rated.source_id,
    rated.lineage_root,
    rated.evidence_kind,
    rated.n_publishers,
    rated.n_lineages,
    rated.grade,
    rated.known_from,
    rated.vintage_kind,
    rated.payload_sha256,
    rated.locator,
    rated.cited_url
from rated
left join member on rated.meeting_id = member.meeting_id
order by rated.meeting_id
