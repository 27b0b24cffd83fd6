-- One row a policy meeting. A bank with a target band has its ends, and the midpoint as its rate; a bank with one
-- target has no band. Decided is not effective: a rate is in force from `effective_date`. A statement that does not say
-- the rate before continues the meeting before it, if that is on record.
with chosen as (
    {{ event_choice(['DECISION'], beside=['IMPLEMENTATION']) | indent(4) }}
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

-- members are counted in the list of votes, so that the split printed in a statement can be checked against it; a list
-- that names the dissenters only counts nobody
member as (
    select
        vote.meeting_id,
        case when count(*) filter (vote.vote = 'for') > 0 then count(*)::int end as n_members
    from (
        select
            event_id,
            source_id,
            {{ attribute('meeting_id') }} as meeting_id,
            {{ attribute('vote') }} as vote
        from {{ ref('event_known') }}
        where kind = 'VOTE'
        group by event_id, source_id
    ) as vote
    inner join {{ source('landing', 'source') }} as source on vote.source_id = source.source_id
    group by vote.meeting_id, vote.source_id, source.rank
    qualify row_number() over (partition by vote.meeting_id order by source.rank, vote.source_id) = 1
),

-- statements that were seen and not believed
review as (
    select
        meeting_id,
        source_id,
        string_agg(needs_review, '; ' order by needs_review) as needs_review
    from (
        select
            source_id,
            {{ attribute('meeting_id') }} as meeting_id,
            {{ attribute('needs_review') }} as needs_review
        from {{ ref('event_known') }}
        where kind = 'REVIEW'
        group by event_id, source_id
    )
    group by meeting_id, source_id
),

stepped as (
    select
        meeting.*,
        coalesce(
            target_after_pct, {{ ratio('(rate_after_lower_pct + rate_after_upper_pct) * 0.5') }}
        ) as rate_after_pct,
        coalesce(
            target_before_pct, {{ ratio('(rate_before_lower_pct + rate_before_upper_pct) * 0.5') }}
        ) as told_before_pct,
        decision_date - lag(decision_date) over by_bank <= 75 as follows_the_last -- eight meetings a year
    from meeting
    window by_bank as (partition by bank order by decision_date)
),

rated as (
    select
        stepped.* replace (
            case when carries then lag(rate_after_lower_pct) over by_bank else rate_before_lower_pct end
                as rate_before_lower_pct,
            case when carries then lag(rate_after_upper_pct) over by_bank else rate_before_upper_pct end
                as rate_before_upper_pct
        ),
        case when carries then lag(rate_after_pct) over by_bank else told_before_pct end as rate_before_pct
    from (select *, told_before_pct is null and follows_the_last as carries from stepped) as stepped
    window by_bank as (partition by bank order by decision_date)
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
    coalesce(rated.votes_for, case when rated.votes_against = 0 then member.n_members end) as votes_for,
    rated.votes_against,
    member.n_members,
    coalesce(rated.needs_primary, false) as needs_primary, -- a source that does not ask for the original has it
    review.needs_review,
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
left join review on rated.meeting_id = review.meeting_id and rated.source_id != review.source_id
order by rated.meeting_id
